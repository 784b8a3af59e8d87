"""The results of MUSHRA: which listeners count, mean grades, and differences of systems."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np

from gansemble.listening.anchors import ANCHORS
from gansemble.listening.answers import Answers, Test
from gansemble.listening.intervals import mean_over
from gansemble.listening.joined import Row, each_answer, made_by

#: BS.1534-3: a listener is left out who grades the hidden reference below 90, or the mid anchor above 90, in more than 15 %
#: of the trials.
LIMIT, OFTEN = 90, 0.15
MID_ANCHOR = max(ANCHORS, key=lambda name: ANCHORS[name])


def screened(test: Test) -> dict[str, str]:
    """Listeners who are left out, with the reason."""
    hidden, mid = defaultdict(list), defaultdict(list)
    for listener, answer in each_answer(test.sessions):
        for sound, grade in answer.get("ratings", {}).items():
            if made_by(test, sound) == test.key["reference"]:
                hidden[listener].append(grade < LIMIT)
            elif made_by(test, sound) == MID_ANCHOR:
                mid[listener].append(grade > LIMIT)
    excluded = {}
    for listener in sorted({*mid, *hidden}):
        rules = {
            f"hidden reference below {LIMIT}": hidden[listener],
            f"{MID_ANCHOR} above {LIMIT}": mid[listener],
        }
        reasons = [
            f"{rule} in {sum(broken)} of {len(broken)} trials"
            for rule, broken in rules.items()
            if sum(broken) > OFTEN * len(broken)
        ]
        if reasons:
            excluded[listener] = "; ".join(reasons)
    return excluded


def grades(test: Test, sessions: list[Answers], confidence: float) -> tuple[dict[str, list[Row]], list[str]]:
    """The tables of MUSHRA: grades of each system, and differences of each two within a listener and a clip."""
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for listener, answer in each_answer(sessions):
        for sound, grade in answer.get("ratings", {}).items():
            what = test.key["sounds"][sound]
            cells[(what["system"], listener, what["clip"])].append(grade)
    if not cells:
        return {"grades": [], "differences": []}, ["no listener is left"]
    listeners, clips = (sorted({place[axis] for place in cells}) for axis in (1, 2))
    order = [test.key["reference"], *test.key["systems"], *ANCHORS]
    systems = sorted({system for system, _, _ in cells}, key=order.index)
    found_of = {system: np.full((len(listeners), len(clips)), np.nan) for system in systems}
    for (system, listener, clip), found in cells.items():
        found_of[system][listeners.index(listener), clips.index(clip)] = np.mean(found)
    size: Row = {"listeners": len(listeners), "clips": len(clips)}
    means = [_mean_row({"system": _called(test, name)}, found_of[name], confidence) | size for name in systems]
    pairs = list(itertools.combinations([name for name in systems if name not in ANCHORS], 2))
    differences = [
        _mean_row(
            {"first": _called(test, one), "second": _called(test, other)}, found_of[one] - found_of[other], confidence
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
