"""Scores by the recipe's names for its metrics, so that two metrics of one kind keep their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gansemble.interfaces import IntervalMetric, Score
from gansemble.recipe.sections import Part


def renamed(key: str, name: str, use: str) -> str:
    """A score's key under the name ``name`` of a metric ``use``: ``quality`` for ``pesq``, ``quality_nb`` for ``pesq_nb``."""
    if name == use or key == name:
        return key
    return name + key.removeprefix(use) if key == use or key.startswith(use + "_") else f"{name}_{key}"


def scores(part: Part, metric: Any, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
    """What a recipe's metric gives, by the recipe's name for it."""
    found = metric.score(estimate, reference, sample_rate)
    return {renamed(key, str(part.path[-1]), part.entry.name): score for key, score in found.items()}


def set_scores(
    part: Part,
    metric: Any,
    estimates: Sequence[Any],
    references: Sequence[Any],
    sample_rate: int,
    labels: Sequence[int | None],
    reference_labels: Sequence[int | None] | None = None,
) -> dict[str, Score]:
    """What a recipe's metric of whole sets gives, by the recipe's name for it."""
    found = metric.score_set(estimates, references, sample_rate, labels, **_told(metric, reference_labels))
    return {renamed(key, str(part.path[-1]), part.entry.name): score for key, score in found.items()}


def set_intervals(
    part: Part,
    metric: Any,
    estimates: Sequence[Any],
    references: Sequence[Any],
    sample_rate: int,
    labels: Sequence[int | None],
    reference_labels: Sequence[int | None] | None = None,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """(low, high) of a recipe's metric of whole sets, by the recipe's name for it; nothing where it has none."""
    if not isinstance(metric, IntervalMetric):
        return {}
    told = _told(metric, reference_labels)
    found = metric.intervals(estimates, references, sample_rate, labels, confidence=confidence, **told)
    return {renamed(key, str(part.path[-1]), part.entry.name): bounds for key, bounds in found.items()}


def set_details(part: Part, metric: Any) -> dict[str, Any]:
    """What else a recipe's metric has to tell of the sets it scored last, by the recipe's name for it."""
    found = getattr(metric, "details", {})
    return {renamed(key, str(part.path[-1]), part.entry.name): told for key, told in found.items()}


def _told(metric: Any, reference_labels: Sequence[int | None] | None) -> dict[str, Any]:
    """The references' labels, for a metric that wants them."""
    return {"reference_labels": reference_labels} if getattr(metric, "wants_reference_labels", False) else {}


def keys(part: Part, metric: Any, sample_rate: int) -> list[str]:
    """The keys a recipe's metric gives for every file or set; the first is what ranks checkpoints."""
    if hasattr(metric, "score_set"):
        return [renamed(key, str(part.path[-1]), part.entry.name) for key in metric.keys]
    silence = np.zeros(sample_rate, np.float32)
    return list(scores(part, metric, silence, silence, sample_rate))
