"""Names scores after the recipe's names for its metrics, so that two metrics of one kind have different keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gansemble.abilities import (
    ClasswiseIntervals,
    ClasswiseMetric,
    DetailedMetric,
    DirectedMetric,
    ExplainedMetric,
    IntervalMetric,
    SetMetric,
)
from gansemble.interfaces import Metric, Score
from gansemble.interfaces.at_work import AtWork
from gansemble.interfaces.demands import demand_found
from gansemble.recipe.sections import Part
from gansemble.scoring.directions import Direction


def renamed(key: str, name: str, use: str) -> str:
    """The key of a score when the recipe calls the metric ``use`` by the name ``name``.

    With the name ``quality`` for ``pesq``, ``pesq`` becomes ``quality`` and ``pesq_nb`` becomes ``quality_nb``; a key
    that does not begin with the metric's own name is prefixed with the recipe's.

    Args:
        key: of the score, as the metric gives it.
        name: of the metric in the recipe.
        use: the metric's own name.
    """
    if name == use or key == name:
        return key
    return name + key.removeprefix(use) if key == use or key.startswith(use + "_") else f"{name}_{key}"


def scores(
    part: Part, metric: Metric, estimate: np.ndarray, reference: np.ndarray, sample_rate: int
) -> dict[str, Score]:
    """Scores an estimate against its reference; keys are by the recipe's name for the metric.

    Args:
        part: the metric in the recipe.
        metric: the object.
        estimate, reference: audio [T] each.
        sample_rate: [Hz].
    """
    with AtWork(who(part)):
        found = metric.score(estimate, reference, sample_rate)
    return _renamed(part, found)


def who(part: Part) -> str:
    """A metric's name for messages, such as ``metrics.quality (pesq)``."""
    return f"{'.'.join(map(str, part.path))} ({part.entry.name})"


def _renamed(part: Part, found: object) -> dict[str, Score]:
    scores = demand_found(who(part), found)
    return {renamed(key, str(part.path[-1]), part.entry.name): score for key, score in scores.items()}


def set_scores(
    part: Part,
    metric: SetMetric,
    estimates: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    sample_rate: int,
    labels: Sequence[int | None],
    reference_labels: Sequence[int | None] | None = None,
) -> dict[str, Score]:
    """Scores a set of clips against a reference set; keys are by the recipe's name for the metric.

    Args:
        part: the metric in the recipe.
        metric: the object.
        estimates, references: audio [T] each.
        sample_rate: [Hz].
        labels: of the estimates, None for a clip without one.
        reference_labels: of the references; only metrics that score class by class are given them.
    """
    with AtWork(who(part)):
        if isinstance(metric, ClasswiseMetric) and metric.wants_reference_labels:
            found = metric.score_set(estimates, references, sample_rate, labels, reference_labels=reference_labels)
        else:
            found = metric.score_set(estimates, references, sample_rate, labels)
    return _renamed(part, found)


def set_intervals(
    part: Part,
    metric: SetMetric,
    estimates: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    sample_rate: int,
    labels: Sequence[int | None],
    reference_labels: Sequence[int | None] | None = None,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Confidence intervals of the scores of sets; keys are by the recipe's name for the metric.

    Args:
        part: the metric in the recipe.
        metric: the object.
        estimates, references: audio [T] each.
        sample_rate: [Hz].
        labels: of the estimates, None for a clip without one.
        reference_labels: of the references; only metrics that score class by class are given them.
        confidence: probability of an interval, such as 0.95.

    Returns:
        (low, high) by key; empty for a metric without intervals.
    """
    if not isinstance(metric, IntervalMetric):
        return {}
    with AtWork(who(part), "to give intervals"):
        if isinstance(metric, ClasswiseIntervals) and metric.wants_reference_labels:
            found = metric.intervals(
                estimates, references, sample_rate, labels, reference_labels=reference_labels, confidence=confidence
            )
        else:
            found = metric.intervals(estimates, references, sample_rate, labels, confidence=confidence)
    return {renamed(key, str(part.path[-1]), part.entry.name): bounds for key, bounds in found.items()}


def set_details(part: Part, metric: SetMetric) -> dict[str, object]:
    """What a metric tells of the sets it scored last besides its scores, by the recipe's name for it; may be empty."""
    found = metric.details if isinstance(metric, DetailedMetric) else {}
    return {renamed(key, str(part.path[-1]), part.entry.name): told for key, told in found.items()}


def keys(part: Part, metric: Metric | SetMetric, sample_rate: int) -> list[str]:
    """The keys of the scores that a metric gives for every file or set; the first one ranks checkpoints.

    Those of a metric of single files are found by scoring a second of silence.
    """
    if isinstance(metric, SetMetric):
        return [renamed(key, str(part.path[-1]), part.entry.name) for key in metric.keys]
    silence = np.zeros(sample_rate, np.float32)
    return list(scores(part, metric, silence, silence, sample_rate))


def directions(part: Part, metric: Metric | SetMetric, keys: Iterable[str]) -> dict[str, Direction]:
    """The direction of each score of a metric, by the recipe's name for the score.

    Args:
        part: the metric in the recipe.
        metric: the object.
        keys: of its scores, by the recipe's name for the metric.
    """
    given = metric.directions if isinstance(metric, DirectedMetric) else {}
    own = {renamed(key, str(part.path[-1]), part.entry.name): value for key, value in given.items()}
    return {key: _direction(own.get(key, metric.better)) for key in keys}


def _direction(given: str | float) -> Direction:
    return Direction(given) if isinstance(given, str) else Direction("target", float(given))


def meaning_of(metric: Metric | SetMetric) -> str:
    """What a metric says of the meaning of its numbers; empty where it says nothing."""
    return metric.meaning if isinstance(metric, ExplainedMetric) else ""
