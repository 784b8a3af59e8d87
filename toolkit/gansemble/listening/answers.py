"""The files of answers: what they hold, which belong to a test, which are damaged or were handed in twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from gansemble.audio.names import is_text, shown
from gansemble.errors import DataError
from gansemble.listening.design import Key, TrialKey
from gansemble.listening.places import ANSWERS, KEY
from gansemble.stages import json_files

FORMAT = "gansemble listening answers"
#: Longest name of a listener [characters].
LONGEST_NAME = 200
#: Grades of MUSHRA.
LOWEST, HIGHEST = 0, 100


class Answer(TypedDict):
    """The answer to one trial: a ``choice`` of a sound in AB and ABX, ``ratings`` by sound in MUSHRA."""

    trial: str
    shown: list[str]
    choice: NotRequired[str]
    ratings: NotRequired[dict[str, int]]
    seconds: NotRequired[float]
    played: NotRequired[dict[str, int]]


class Answers(TypedDict):
    """A file of answers: those that one listener gave in one session."""

    format: Literal["gansemble listening answers"]
    version: Literal[1]
    test: str
    mode: str
    listener: str
    session: str
    started: str
    trials: int
    complete: bool
    answers: list[Answer]


@dataclass(frozen=True)
class Test:
    """A listening test with its answers.

    Args:
        folder: where it is.
        key: what was played.
        sessions: the answers that count, one for each session.
        notes: which files do not count, and why; which sessions are incomplete.
    """

    folder: Path
    key: Key
    sessions: list[Answers]
    notes: list[str]


def read_key(folder: Path) -> Key:
    """The key of a test.

    Raises:
        DataError: if the folder is no listening test, or the key is damaged.
    """
    if not (folder / KEY).is_file():
        raise DataError(f"{shown(folder)}: no {KEY} here; expected a folder that `gansemble listening make` wrote")
    return json_files.read(folder / KEY, Key, "bring it back from a copy: without it answers cannot be understood")


def check(found: Answers, key: Key) -> None:
    """Holds answers against a test's key.

    Raises:
        ValueError: if they belong to another test, or an answer does not fit its trial.
    """
    if found["test"] != key["test"]:
        raise ValueError(f"belongs to another test ({found['test']}, expected {key['test']})")
    if not found["listener"].strip() or len(found["listener"]) > LONGEST_NAME or not is_text(found["listener"]):
        raise ValueError(f"listener must be a printable name of 1 to {LONGEST_NAME} characters")
    seen = set()
    for number, row in enumerate(found["answers"], 1):
        trial = key["trials"].get(row["trial"])
        if trial is None or row["trial"] in seen:
            raise ValueError(
                f"answer {number}: trial {row['trial']!r} {'is unknown' if trial is None else 'is answered twice'}"
            )
        seen.add(row["trial"])
        wrong = _fault(row, trial, key["mode"] == "mushra")
        if wrong:
            raise ValueError(f"answer {number}: {wrong}")


def _fault(row: Answer, trial: TrialKey, graded: bool) -> str | None:
    """What is wrong with an answer; None if nothing is."""
    if not graded:
        choice = row.get("choice")
        return None if choice in trial["sounds"] else f"choice must be one of the trial's two sounds, got {choice!r}"
    ratings = row.get("ratings", {})
    if set(ratings) != set(trial["sounds"]):
        return f"ratings must be of the trial's {len(trial['sounds'])} sounds, got {len(ratings)} others or fewer"
    odd = [value for value in ratings.values() if not LOWEST <= value <= HIGHEST]
    return f"ratings must be from {LOWEST} to {HIGHEST}, got {odd[0]}" if odd else None


def collect(folder: Path) -> Test:
    """Reads a test and all its answers. Files that cannot be used are named in the notes, and the others count.

    Of several files of one session the one with the most answers counts.

    Raises:
        DataError: if the folder is no test, or no file of answers can be used.
    """
    key = read_key(folder)
    place = folder / ANSWERS
    paths = sorted(place.glob("*.json")) if place.is_dir() else []
    if not paths:
        raise DataError(
            f"{shown(place)}: no answers yet; `gansemble listening serve` saves them here, or put listeners' files here"
        )
    notes: list[str] = []
    kept: dict[str, tuple[Path, Answers]] = {}
    for path in paths:
        try:
            found = json_files.read(path, Answers, "ask the listener to send it again")
            check(found, key)
        except ValueError as error:
            notes.append(f"left out: {shown(path)}: {error}")
        except DataError as error:
            notes.append(f"left out: {error}")
        else:
            _keep_longer(kept, path, found, notes)
    sessions = [found for _, found in kept.values() if found["answers"]]
    if not sessions:
        raise DataError("\n  ".join([f"{shown(place)}: none of {len(paths)} files of answers can be used", *notes]))
    return Test(folder, key, sessions, notes + _remarks(sessions, len(key["trials"])))


def _keep_longer(kept: dict[str, tuple[Path, Answers]], path: Path, found: Answers, notes: list[str]) -> None:
    """Adds a file, unless its session is there with as many answers or more."""
    other = kept.get(found["session"])
    if other is None:
        kept[found["session"]] = (path, found)
        return
    first, second = other, (path, found)
    if len(found["answers"]) > len(other[1]["answers"]):
        first, second = second, first
    kept[found["session"]] = first
    notes.append(
        f"left out: {shown(second[0])}: is of the same session as {shown(first[0].name)}, which has {len(first[1]['answers'])} answers"
    )


def _remarks(sessions: Sequence[Answers], trials: int) -> list[str]:
    said = [
        f"{row['listener']}: answered {len(row['answers'])} of {trials} trials"
        for row in sessions
        if len(row["answers"]) < trials
    ]
    names = [row["listener"] for row in sessions]
    twice = sorted({name for name in names if names.count(name) > 1})
    return said + [f"{name}: took the test {names.count(name)} times; all count, as one listener's" for name in twice]
