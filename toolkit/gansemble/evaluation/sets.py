"""The scores of whole sets of clips, as stage 5 writes them: for every task, by the same metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gansemble.abilities import IntervalMetric, SetMetric
from gansemble.evaluation.records import ScoreRow
from gansemble.interfaces import Score
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part
from gansemble.scoring import directions, naming
from gansemble.scoring.definitions import definition_hash
from gansemble.scoring.directions import ReadingFields


@dataclass(frozen=True)
class Set:
    """Clips that are scored together as one set.

    Args:
        clips: float arrays [T], T samples each.
        labels: label index of each clip, or None.
    """

    clips: Sequence[np.ndarray]
    labels: Sequence[int | None]


def rows_of(part: Part, metric: SetMetric, made: Set, real: Set, recipe: Recipe) -> dict[str, ScoreRow]:
    """The scores of a set against a set of real clips, by key, with intervals where the recipe and the metric have some.

    Args:
        part: the metric in the recipe.
        metric: the object, fitted where it learns from the corpus.
        made: the clips that are scored.
        real: those that they are held against.
        recipe: gives the sample rate, and the settings of the intervals.
    """
    given = (made.clips, real.clips, recipe.audio.sample_rate, made.labels, real.labels)
    found = naming.set_scores(part, metric, *given)
    details, sure = naming.set_details(part, metric), {}
    if recipe.evaluation.bootstrap:  # 0 asks for no intervals, of sets either
        sure = naming.set_intervals(part, metric, *given, recipe.evaluation.confidence)
    mark = definition_hash(part, metric, sample_rate=recipe.audio.sample_rate)
    rows = {}
    for key, direction in naming.directions(part, metric, found).items():
        fields = directions.fields(direction, naming.meaning_of(metric))
        rows[key] = _row(part, metric, fields, found[key], len(made.clips), sure.get(key), details.get(key))
        rows[key]["hash"] = mark
    return rows


def _row(
    part: Part,
    metric: SetMetric,
    fields: ReadingFields,
    score: Score,
    count: int,
    bounds: tuple[float, float] | None,
    details: object,
) -> ScoreRow:
    known = not math.isnan(score.value)
    low, high = bounds if bounds is not None and known else (None, None)
    row: ScoreRow = {
        "mean": float(score.value) if known else None,
        "low": low,
        "high": high,
        "n_ok": count if known else 0,
        "n_total": count,
        "reason": score.reason,
        "definition": metric.definition,
        **fields,
        "metric": str(part.path[-1]),
        "of_set": True,
    }
    if low is not None and isinstance(metric, IntervalMetric):
        row["interval"] = metric.interval
    if details is not None:
        row["details"] = details
    return row
