"""Scores by the recipe's names for its metrics, so that two metrics of one kind keep their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gansemble.abilities import ClasswiseIntervals, ClasswiseMetric, DetailedMetric, IntervalMetric, SetMetric
from gansemble.interfaces import Metric, Score
from gansemble.recipe.sections import Part


def renamed(key: str, name: str, use: str) -> str:
    """A score's key under the name ``name`` of a metric ``use``: ``quality`` for ``pesq``, ``quality_nb`` for ``pesq_nb``."""
    if name == use or key == name:
        return key
    return name + key.removeprefix(use) if key == use or key.startswith(use + "_") else f"{name}_{key}"


def scores(
    part: Part, metric: Metric, estimate: np.ndarray, reference: np.ndarray, sample_rate: int
) -> dict[str, Score]:
    """What a recipe's metric gives, by the recipe's name for it."""
    found = metric.score(estimate, reference, sample_rate)
    return {renamed(key, str(part.path[-1]), part.entry.name): score for key, score in found.items()}


def set_scores(
    part: Part,
    metric: SetMetric,
    estimates: Sequence[np.ndarray],
    references: Sequence[np.ndarray],
    sample_rate: int,
    labels: Sequence[int | None],
    reference_labels: Sequence[int | None] | None = None,
) -> dict[str, Score]:
    """What a recipe's metric of whole sets gives, by the recipe's name for it."""
    if isinstance(metric, ClasswiseMetric) and metric.wants_reference_labels:
        found = metric.score_set(estimates, references, sample_rate, labels, reference_labels=reference_labels)
    else:
        found = metric.score_set(estimates, references, sample_rate, labels)
    return {renamed(key, str(part.path[-1]), part.entry.name): score for key, score in found.items()}


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
    """(low, high) of a recipe's metric of whole sets, by the recipe's name for it; nothing where it has none."""
    if not isinstance(metric, IntervalMetric):
        return {}
    if isinstance(metric, ClasswiseIntervals) and metric.wants_reference_labels:
        found = metric.intervals(
            estimates, references, sample_rate, labels, reference_labels=reference_labels, confidence=confidence
        )
    else:
        found = metric.intervals(estimates, references, sample_rate, labels, confidence=confidence)
    return {renamed(key, str(part.path[-1]), part.entry.name): bounds for key, bounds in found.items()}


def set_details(part: Part, metric: SetMetric) -> dict[str, object]:
    """What else a recipe's metric has to tell of the sets it scored last, by the recipe's name for it."""
    found = metric.details if isinstance(metric, DetailedMetric) else {}
    return {renamed(key, str(part.path[-1]), part.entry.name): told for key, told in found.items()}


def keys(part: Part, metric: Metric | SetMetric, sample_rate: int) -> list[str]:
    """The keys a recipe's metric gives for every file or set; the first is what ranks checkpoints."""
    if isinstance(metric, SetMetric):
        return [renamed(key, str(part.path[-1]), part.entry.name) for key in metric.keys]
    silence = np.zeros(sample_rate, np.float32)
    return list(scores(part, metric, silence, silence, sample_rate))
