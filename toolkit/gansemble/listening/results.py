"""What listeners said: answers joined with the key, as tables with intervals."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

import numpy as np

from gansemble.listening.anchors import ANCHORS
from gansemble.listening.answers import Answer, Answers, Test
from gansemble.listening.intervals import holm, mean_over, share

#: BS.1534-3: a listener is left out who grades the hidden reference below 90, or the mid anchor above 90, in more than 15 %
#: of the trials.
LIMIT, OFTEN = 90, 0.15
MID_ANCHOR = max(ANCHORS, key=lambda name: ANCHORS[name])

#: A row of a table, by column.
Row = dict[str, str | int | float | None]


@dataclass
class Results:
    """The results of one test.

    Args:
        test: its name.
        title: its title.
        mode: of the test.
        listeners: that count.
        excluded: by listener, why not.
        tables: rows by the name of the table.
        notes: on files of answers, and how to read the tables.
    """

    test: str
    title: str
    mode: str
    listeners: list[str]
    excluded: dict[str, str]
    tables: dict[str, list[Row]]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """As JSON can hold it; NaN becomes None."""
        return asdict(self) | {"tables": {name: [_plain(row) for row in rows] for name, rows in self.tables.items()}}


def _plain(row: Row) -> Row:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def evaluate(test: Test, confidence: float = 0.95, screen: bool = True) -> Results:
    """The results of a test.

    Args:
        test: with its answers.
        confidence: of all intervals.
        screen: leave out listeners by the rule of BS.1534-3; MUSHRA only.
    """
    excluded = _screened(test) if screen and test.key["mode"] == "mushra" else {}
    sessions = [row for row in test.sessions if row["listener"] not in excluded]
    notes = list(test.notes)
    if test.key["mode"] == "mushra":
        tables, more = _grades(test, sessions, confidence)
    else:
        tables, more = _counts(test, sessions, confidence)
    listeners = sorted({row["listener"] for row in sessions})
    return Results(test.key["test"], test.key["title"], test.key["mode"], listeners, excluded, tables, notes + more)


def _each(sessions: Iterable[Answers]) -> Iterator[tuple[str, Answer]]:
    for row in sessions:
        yield from ((row["listener"], answer) for answer in row["answers"])


def _system(test: Test, sound: str) -> str:
    return test.key["sounds"][sound]["system"]


def _pair(test: Test, answer: Answer) -> tuple[str, str]:
    """The two systems of a trial, in the order of the command that made the test."""
    order = [test.key["reference"], *test.key["systems"]]
    first, second = sorted(
        (_system(test, name) for name in test.key["trials"][answer["trial"]]["sounds"]), key=order.index
    )
    return first, second


def _counts(test: Test, sessions: list[Answers], confidence: float) -> tuple[dict[str, list[Row]], list[str]]:
    """The tables of AB and ABX: of all listeners, and of each."""
    right = test.key["mode"] == "abx"
    votes: dict[tuple[str, str], list[tuple[str, bool]]] = defaultdict(list)
    for listener, answer in _each(sessions):
        pair, chosen = _pair(test, answer), _system(test, answer.get("choice", ""))
        unknown = test.key["trials"][answer["trial"]].get("x")
        wanted = _system(test, unknown) if right and unknown else pair[0]
        votes[pair].append((listener, chosen == wanted))
    whole = [_count_row(pair, [yes for _, yes in found], right, confidence) for pair, found in sorted(votes.items())]
    for row, p in zip(whole, holm([float(row["p"] or 0) for row in whole]), strict=True):
        row |= {"p_holm": p, "listeners": len({name for name, _ in votes[(str(row["first"]), str(row["second"]))]})}
    each = []
    for pair, found in sorted(votes.items()):
        for name in sorted({listener for listener, _ in found}):
            yes = [vote for listener, vote in found if listener == name]
            each.append({"listener": name, **_count_row(pair, yes, right, confidence)})
    notes = ["p: exact binomial test against one half"]
    notes += ["p_holm: adjusted for the number of comparisons (Holm)"] if len(whole) > 1 else []
    if max((int(row["n"] or 0) for row in each), default=0) > 1 and len({row["listener"] for row in each}) > 1:
        notes.append(
            "all answers count alike: those of one listener are not independent, so see the table of listeners, too"
        )
    return {"answers": whole, "listeners": each}, notes


def _count_row(pair: tuple[str, str], votes: list[bool], right: bool, confidence: float) -> Row:
    found = share(sum(votes), len(votes), "greater" if right else "two-sided", confidence)
    row: Row = {"first": pair[0], "second": pair[1], "n": found.total}
    row |= (
        {"right": found.count} if right else {"prefer_first": found.count, "prefer_second": found.total - found.count}
    )
    row |= {"share": found.count / found.total, "low": found.low, "high": found.high, "p": found.p}
    return row


def _screened(test: Test) -> dict[str, str]:
    """Listeners who are left out, with the reason."""
    hidden, mid = defaultdict(list), defaultdict(list)
    for listener, answer in _each(test.sessions):
        for sound, grade in answer.get("ratings", {}).items():
            if _system(test, sound) == test.key["reference"]:
                hidden[listener].append(grade < LIMIT)
            elif _system(test, sound) == MID_ANCHOR:
                mid[listener].append(grade > LIMIT)
    excluded = {}
    for listener, found in {**mid, **hidden}.items():
        reasons = []
        if sum(found := hidden[listener]) > OFTEN * len(found):
            reasons.append(f"hidden reference below {LIMIT} in {sum(found)} of {len(found)} trials")
        if sum(found := mid[listener]) > OFTEN * len(found):
            reasons.append(f"{MID_ANCHOR} above {LIMIT} in {sum(found)} of {len(found)} trials")
        if reasons:
            excluded[listener] = "; ".join(reasons)
    return excluded


def _grades(test: Test, sessions: list[Answers], confidence: float) -> tuple[dict[str, list[Row]], list[str]]:
    """The tables of MUSHRA: grades of each system, and differences of each two within a listener and a clip."""
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for listener, answer in _each(sessions):
        for sound, grade in answer.get("ratings", {}).items():
            what = test.key["sounds"][sound]
            cells[(what["system"], listener, what["clip"])].append(grade)
    if not cells:
        return {"grades": [], "differences": []}, ["no listener is left"]
    listeners, clips = (sorted({place[axis] for place in cells}) for axis in (1, 2))
    order = [test.key["reference"], *test.key["systems"], *ANCHORS]
    systems = sorted({system for system, _, _ in cells}, key=order.index)
    grades = {system: np.full((len(listeners), len(clips)), np.nan) for system in systems}
    for (system, listener, clip), found in cells.items():
        grades[system][listeners.index(listener), clips.index(clip)] = np.mean(found)
    size: Row = {"listeners": len(listeners), "clips": len(clips)}
    means = [_mean_row({"system": _called(test, name)}, grades[name], confidence) | size for name in systems]
    pairs = list(itertools.combinations([name for name in systems if name not in ANCHORS], 2))
    differences = [
        _mean_row(
            {"first": _called(test, one), "second": _called(test, other)}, grades[one] - grades[other], confidence
        )
        for one, other in pairs
    ]
    notes = [f"intervals: {100 * confidence:g} %, bootstrap over {_over(len(listeners), len(clips))}"]
    return {"grades": means, "differences": differences}, notes


def _called(test: Test, system: str) -> str:
    return f"{system} (hidden reference)" if system == test.key["reference"] else system


def _mean_row(named: Row, values: np.ndarray, confidence: float) -> Row:
    found = mean_over(values, confidence=confidence)
    return named | {"mean": found.mean, "low": found.low, "high": found.high, "median": found.median, "n": found.count}


def _over(listeners: int, clips: int) -> str:
    if listeners == 1:
        return "clips; of one listener, so they say nothing about others"
    return "listeners; of one clip, so they say nothing about others" if clips == 1 else "listeners and clips"
