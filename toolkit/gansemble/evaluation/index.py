"""``samples/index.json``: what stage 4 made, on which the later stages rely; written whole, checked when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gansemble.data.trained_on import History
from gansemble.errors import DataError
from gansemble.files import sha256, write_atomically
from gansemble.recipe.task import Task

#: Raised when the record's fields change; an index of another version is made anew.
VERSION = 2
#: Folder of the baselines' clips, below the generator's.
BASELINES = "baselines"
SHOWN = 3
REMEDY = "run stage 4 again with --force"


@dataclass(frozen=True)
class GeneratedClip:
    """One generated clip.

    Args:
        id: its file's name, without the suffix.
        seconds: of audio.
        took: time it took [s].
        clipped: samples beyond full scale, which the file's format cut off.
        clip: id of the real clip it imitates; None where it imitates none.
        sha256: of that clip's samples, so that one that was packed anew since is noticed.
        condition: name of the test degradation it was made under, where there are several.
        label: class or pitch index it was made with.
        pitch: MIDI number it was made with.
    """

    id: str
    seconds: float
    took: float
    clipped: int
    clip: str | None = None
    sha256: str | None = None
    condition: str = ""
    label: int | None = None
    pitch: int | None = None


@dataclass(frozen=True)
class Index:
    """What stage 4 made.

    Args:
        task: of the recipe.
        split: whose clips were imitated, or are held against the generated ones.
        step: of the checkpoint.
        checkpoint: its name.
        device: where the clips were made.
        threads: of the processor.
        trained_on: the data that the generator was trained on, as its checkpoint states them.
        clips: in the order they were made.
        baselines: names of the systems that restored the same clips.
        seed: of latent vectors and labels.
        phase: where the clips' phase comes from, where the representation has none.
        files: SHA-256 of each file below ``samples``, by its path there.
    """

    task: Task
    split: str
    step: int
    checkpoint: str
    device: str
    threads: int
    trained_on: History
    clips: Sequence[GeneratedClip]
    baselines: Sequence[str] = ()
    seed: int | None = None
    phase: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Of all clips."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of audio."""
        return sum(clip.took for clip in self.clips) / self.seconds

    @property
    def conditions(self) -> list[str]:
        """Names of the test degradations, in alphabetical order."""
        return sorted({clip.condition for clip in self.clips})

    @staticmethod
    def path(exp: Path) -> Path:
        """Where an experiment's index is."""
        return exp / "samples" / "index.json"

    def write(self, exp: Path, made: Sequence[Path]) -> Index:
        """Writes the index with the hash of each file that was made; gives the index as it was written."""
        folder = exp / "samples"
        hashes = {path.relative_to(folder).as_posix(): sha256(path) for path in made}
        whole = Index(**{**self.__dict__, "files": hashes})
        clips = [
            {name: value for name, value in asdict(clip).items() if value not in (None, "")} for clip in self.clips
        ]
        facts = {"version": VERSION, **whole.__dict__, "clips": clips, "real_time_factor": self.real_time_factor}
        write_atomically(self.path(exp), json.dumps(facts, indent=1))
        return whole

    def promised(self, exp: Path) -> list[Path]:
        """The index and all that it lists: what stage 4 promises."""
        return [self.path(exp), *(exp / "samples" / name for name in self.files)]

    def demand_unchanged(self, exp: Path) -> None:
        """Refuses samples that are not those which the index lists.

        Raises:
            DataError: naming them.
        """
        wrong = []
        for name, digest in self.files.items():
            path = exp / "samples" / name
            if not path.is_file() or sha256(path) != digest:
                wrong.append(name)
        if wrong:
            named = ", ".join(wrong[:SHOWN]) + (", …" if len(wrong) > SHOWN else "")
            raise DataError(
                f"{exp / 'samples'}: {len(wrong)} of {len(self.files)} samples are gone or not those that stage 4 made "
                f"({named}); {REMEDY}"
            )

    def of_other_recordings(self, other: Index) -> set[str]:
        """Ids that stand for other recordings in another experiment: a comparison of these would mean nothing."""
        theirs = {clip.id: clip.sha256 for clip in other.clips}
        ours = {clip.id: clip.sha256 for clip in self.clips}
        return {
            id_ for id_ in ours if id_ in theirs and None not in (ours[id_], theirs[id_]) and ours[id_] != theirs[id_]
        }


def folder_of(exp: Path, split: str, baseline: str = "") -> Path:
    """Where the clips of the generator are, or those of a baseline."""
    folder = exp / "samples" / split
    return folder / BASELINES / baseline if baseline else folder


def read(exp: Path) -> Index:
    """What :meth:`Index.write` wrote.

    Raises:
        DataError: if it is missing, damaged or of another version.
    """
    path = Index.path(exp)
    found = read_json(path, REMEDY)
    if found.get("version") != VERSION:
        raise DataError(f"{path}: of version {found.get('version', 1)}, expected {VERSION}; {REMEDY}")
    facts = {name: value for name, value in found.items() if name not in ("version", "real_time_factor")}
    kinds = {"split": str, "step": int, "checkpoint": str, "device": str, "threads": int, "clips": list, "files": dict}
    demand_fields(path, found, kinds, REMEDY)
    try:
        return Index(
            **{**facts, "task": Task(found["task"]), "clips": [GeneratedClip(**clip) for clip in found["clips"]]}
        )
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); {REMEDY}") from error


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: if the file is missing or holds none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: is not there; {remedy}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); {remedy}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: damaged (expected an object, got {type(found).__name__}); {remedy}")
    return found


def demand_fields(path: Path, found: Mapping[str, object], fields: Mapping[str, type], remedy: str) -> None:
    """Refuses a record whose fields are not of their types."""
    for name, kind in fields.items():
        value = found.get(name)
        if not isinstance(value, kind):
            raise DataError(f"{path}: damaged ({name} is {type(value).__name__}, not {kind.__name__}); {remedy}")
