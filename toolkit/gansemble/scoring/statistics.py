"""Summaries of per-file scores: mean with a bootstrap confidence interval, and how many files have a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np


class SummaryRecord(TypedDict):
    """A :class:`Summary` in JSON; None where there is no number."""

    mean: float | None
    low: float | None
    high: float | None
    n_ok: int
    n_total: int


@dataclass(frozen=True)
class Summary:
    """Mean over the files that have a value, its bootstrap interval, and counts."""

    mean: float
    low: float
    high: float
    n_ok: int
    n_total: int

    def as_dict(self) -> SummaryRecord:
        """Plain values; NaN as null."""
        mean, low, high = (None if math.isnan(value) else value for value in (self.mean, self.low, self.high))
        return {"mean": mean, "low": low, "high": high, "n_ok": self.n_ok, "n_total": self.n_total}


def summarise(values: Sequence[float], resamples: int = 1000, confidence: float = 0.95, seed: int = 0) -> Summary:
    """The mean of the values that are not NaN, with a percentile bootstrap over files (Efron 1979), seeded."""
    good = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    if not len(good):
        return Summary(float("nan"), float("nan"), float("nan"), 0, len(values))
    if len(good) == 1 or resamples < 1:
        return Summary(float(good.mean()), float("nan"), float("nan"), len(good), len(values))
    picks = np.random.default_rng(seed).integers(0, len(good), (resamples, len(good)))
    low, high = np.quantile(good[picks].mean(axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Summary(float(good.mean()), float(low), float(high), len(good), len(values))


def common(systems: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The files every system has a value for; systems are compared on these alone."""
    sets = [{file for file, value in scores.items() if not math.isnan(value)} for scores in systems.values()]
    return sorted(set.intersection(*sets)) if sets else []


@dataclass(frozen=True)
class Difference:
    """Mean of second minus first over the files both have, its bootstrap interval, and how many files."""

    mean: float
    low: float
    high: float
    files: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def paired(
    first: Mapping[str, float], second: Mapping[str, float], resamples: int = 1000, confidence: float = 0.95
) -> Difference:
    """The difference of two systems file by file: files that are hard for both weigh on neither."""
    files = common({"first": first, "second": second})
    found = summarise([second[name] - first[name] for name in files], resamples, confidence)
    return Difference(found.mean, found.low, found.high, len(files))
