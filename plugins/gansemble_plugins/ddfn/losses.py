"""Losses of a batch's values against real statistics, all in real standard deviations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from gansemble_plugins.ddfn.statistics import RealStatistics

Loss = Literal["hinge", "squared", "absolute", "adaptive", "distribution"]


def _difference(values: Tensor, reals: RealStatistics) -> Tensor:
    """|mean of values - real mean| in real standard deviations, u."""
    return (values.mean() - reals.mean).abs() / reals.sd


def hinge(values: Tensor, reals: RealStatistics, epsilon: float, multiplier: float, curvature: float) -> Tensor:
    """max(0, u - ε)."""
    return (_difference(values, reals) - epsilon).clamp_min(0)


def squared(values: Tensor, reals: RealStatistics, epsilon: float, multiplier: float, curvature: float) -> Tensor:
    """½ max(0, u - ε)²."""
    return 0.5 * hinge(values, reals, epsilon, multiplier, curvature).square()


def absolute(values: Tensor, reals: RealStatistics, epsilon: float, multiplier: float, curvature: float) -> Tensor:
    """u."""
    return _difference(values, reals)


def adaptive(values: Tensor, reals: RealStatistics, epsilon: float, multiplier: float, curvature: float) -> Tensor:
    """μ u + ½ ρ max(0, u - ε)²."""
    quadratic = curvature * squared(values, reals, epsilon, multiplier, curvature)
    return multiplier * _difference(values, reals) + quadratic


def distribution(values: Tensor, reals: RealStatistics, epsilon: float, multiplier: float, curvature: float) -> Tensor:
    """Wasserstein distance of order 1 to the real values, which no single value but theirs can bring to nothing."""
    return reals.distance(values) / reals.sd


LOSSES: dict[str, Callable[[Tensor, RealStatistics, float, float, float], Tensor]] = {
    "hinge": hinge,
    "squared": squared,
    "absolute": absolute,
    "adaptive": adaptive,
    "distribution": distribution,
}


def adapted(multiplier: float, off: float, rate: float, largest: float) -> float:
    """μ + rate · off, kept within 0 and ``largest``; unchanged where ``off`` is not finite."""
    return min(max(multiplier + rate * off, 0.0), largest) if math.isfinite(off) else multiplier
