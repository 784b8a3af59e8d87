"""Curves of a recipe's runs with several seeds, and where another run of it lies among them.

A file of such curves is ``reference/<name>.json`` beside the folder ``conf/`` of a recipe; ``tools/reference_curves.py``
makes it. For some steps it holds quantiles of each curve: of the values of all runs in the reports around a step, after the
slope of a line through them was taken off. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from gansemble.recipe.sections import BENIGN
from gansemble.scoring.curves import CurveRow, points

#: The quantiles that a file holds.
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Steps at which they are stated, at most; and how many reports on either side of one are looked at.
MOST_STEPS, AROUND = 40, 2
#: Curves that tell how a run goes, by the beginnings of their names; others are of the machine.
TOLD = ("generator/", "discriminator/", "gradient_norm/")
#: Settings in which runs of one recipe differ, and are compared all the same; see also ``BENIGN``.
OTHER = frozenset({"plan.seed", "init"})

#: Quantiles of one curve: for each of ``LEVELS`` a value at each step, or null.
Bands = list[list[float | None]]


class Reference(TypedDict):
    """A file of reference curves.

    Attributes:
        recipe: its name.
        made: when and where, in words.
        seeds: of the runs.
        clips: number of training clips.
        planned: number of steps of the plan.
        settings: of the recipe that change what training computes, by dotted key.
        levels: of the quantiles.
        steps: at which the curves are stated.
        curves: by name, as in ``logs/train.jsonl``.
        validated: steps of validation.
        validation: likewise of the scores in ``logs/validation.jsonl``.
    """

    recipe: str
    made: str
    seeds: list[int]
    clips: int
    planned: int
    settings: dict[str, object]
    levels: list[float]
    steps: list[int]
    curves: dict[str, Bands]
    validated: list[int]
    validation: dict[str, Bands]


def whole(found: Reference) -> bool:
    """Whether each curve of a file has the quantiles that are read here, and each of them a value for each step."""
    parts = ((found["steps"], found["curves"]), (found["validated"], found["validation"]))
    sizes = {len(level) == len(steps) for steps, curves in parts for bands in curves.values() for level in bands}
    counts = {len(bands) == len(LEVELS) for _, curves in parts for bands in curves.values()}
    return tuple(found["levels"]) == LEVELS and False not in sizes | counts


def place(recipe: Path) -> Path:
    """Where the reference curves of a recipe file ``…/conf/<name>.yaml`` are: ``…/reference/<name>.json``."""
    return recipe.parent.parent / "reference" / f"{recipe.stem}.json"


def bands(runs: Sequence[Sequence[CurveRow]], name: str, steps: Sequence[int], around: int = AROUND) -> Bands:
    """Quantiles of a curve at some steps.

    Args:
        runs: the rows of each run's log.
        name: of the curve.
        steps: at which they are wanted.
        around: number of reports on either side that are looked at.
    """
    curves = [dict(points(rows, name)) for rows in runs]
    reported = sorted({step for curve in curves for step in curve})
    least, most = (pick([value for curve in curves for value in curve.values()], default=0.0) for pick in (min, max))
    found: list[list[float] | None] = []
    for step in steps:
        if step not in reported:
            found.append(None)
            continue
        at = reported.index(step)
        near = reported[max(0, at - around) : at + around + 1]
        x, y = np.asarray([(each, curve[each]) for each in near for curve in curves if each in curve]).T
        slope = float(np.polyfit(x - step, y, 1)[0]) if len(set(x)) > 1 else 0.0
        # Not beyond what was seen anywhere: a share of 1 has none above it.
        quantiles = np.clip(np.quantile(y - slope * (x - step), LEVELS), least, most)
        found.append([float(f"{value:.4g}") for value in quantiles])
    return [[None if each is None else each[index] for each in found] for index in range(len(LEVELS))]


def thinned(steps: Sequence[int], most: int = MOST_STEPS) -> list[int]:
    """At most so many of some steps, evenly from the first to the last."""
    chosen = np.linspace(0, len(steps) - 1, min(most, len(steps))).round().astype(int)
    return [steps[index] for index in dict.fromkeys(chosen.tolist())]


def settings(flat: Mapping[str, object]) -> dict[str, object]:
    """Those keys of a flattened recipe that change what training computes, and that runs which are compared share."""
    return {key: value for key, value in flat.items() if not _within(key, BENIGN) and not _within(key, OTHER)}


def _within(key: str, names: frozenset[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names)


def differences(reference: Reference, flat: Mapping[str, object]) -> list[str]:
    """What a run's flattened recipe has that is not as in the reference, such as ``plan.batch_size 8 (reference: 4)``."""
    mine, theirs = settings(flat), reference["settings"]
    keys = [key for key in dict.fromkeys([*mine, *theirs]) if key != "name"]

    def value(given: Mapping[str, object], key: str) -> object:
        found = given.get(key)
        return None if found in ({}, []) else list(found) if isinstance(found, tuple) else found

    return [
        f"{key} {given if (given := value(mine, key)) is not None else 'none'} (reference: "
        f"{there if (there := value(theirs, key)) is not None else 'none'})"
        for key in keys
        if value(mine, key) != value(theirs, key)
    ]


def at(steps: Sequence[int], found: Bands, step: float) -> list[float] | None:
    """The quantiles of a curve at a step, linear between those that are stated; None before the first and after the last."""
    stated = [(each, [level[index] for level in found]) for index, each in enumerate(steps)]
    known = [(each, [float(v) for v in values if v is not None]) for each, values in stated if None not in values]
    if not known or not known[0][0] <= step <= known[-1][0]:
        return None
    return [
        float(np.interp(step, [each for each, _ in known], [v[level] for _, v in known]))
        for level in range(len(LEVELS))
    ]


def share_below(quantiles: Sequence[float], value: float) -> float:
    """The share of the reference that lies below a value, linear between the quantiles: 0.05 and less is below nearly all.

    Args:
        quantiles: at ``LEVELS``.
        value: of a run.

    Returns:
        From 0 to 1; 0 and 1 stand for all that lies outside of the outermost quantiles.
    """
    if value < quantiles[0]:
        return 0.0
    if value > quantiles[-1]:
        return 1.0
    # Equal quantiles, of a curve that does not move, would divide by nought.
    rising = np.maximum.accumulate(
        np.asarray(quantiles) + np.arange(len(LEVELS)) * 1e-12 * max(1.0, abs(quantiles[-1]))
    )
    return float(np.interp(value, rising, LEVELS))
