"""Summaries of scores per file: their mean, a bootstrap confidence interval, and how many files have a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np


class SummaryRecord(TypedDict):
    """A :class:`Summary` as JSON holds it, with None instead of NaN."""

    mean: float | None
    low: float | None
    high: float | None
    n_ok: int
    n_total: int


@dataclass(frozen=True)
class Summary:
    """The mean of a score over the files that have a value.

    Args:
        mean: NaN if no file has a value.
        low, high: bootstrap confidence interval of the mean; NaN where there is none.
        n_ok: number of files with a value.
        n_total: number of all files.
    """

    mean: float
    low: float
    high: float
    n_ok: int
    n_total: int

    def as_dict(self) -> SummaryRecord:
        """The fields as JSON can hold them; NaN becomes None."""
        mean, low, high = (None if math.isnan(value) else value for value in (self.mean, self.low, self.high))
        return {"mean": mean, "low": low, "high": high, "n_ok": self.n_ok, "n_total": self.n_total}


def summarise(values: Sequence[float], resamples: int = 1000, confidence: float = 0.95, seed: int = 0) -> Summary:
    """The mean of a score over files, with a percentile bootstrap interval over files (Efron 1979).

    Args:
        values: of each file; NaN where it has none.
        resamples: number of bootstrap samples; below 1 no interval is computed.
        confidence: probability of the interval.
        seed: of the bootstrap samples.
    """
    good = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    if not len(good):
        return Summary(float("nan"), float("nan"), float("nan"), 0, len(values))
    if len(good) == 1 or resamples < 1:
        return Summary(float(good.mean()), float("nan"), float("nan"), len(good), len(values))
    picks = np.random.default_rng(seed).integers(0, len(good), (resamples, len(good)))
    low, high = np.quantile(good[picks].mean(axis=1), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Summary(float(good.mean()), float(low), float(high), len(good), len(values))


def common(systems: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The files for which every system has a value, sorted; systems are compared on these alone.

    Args:
        systems: by name, the value of each file.
    """
    sets = [{file for file, value in scores.items() if not math.isnan(value)} for scores in systems.values()]
    return sorted(set.intersection(*sets)) if sets else []


@dataclass(frozen=True)
class Difference:
    """How much a second system's mean score differs from a first one's.

    Args:
        mean: of second minus first, over the files for which both have a value.
        low, high: bootstrap confidence interval of that mean.
        files: number of these files.
    """

    mean: float
    low: float
    high: float
    files: int

    @property
    def clear(self) -> bool:
        """Whether the confidence interval excludes zero."""
        return self.low > 0 or self.high < 0


def paired(
    first: Mapping[str, float], second: Mapping[str, float], resamples: int = 1000, confidence: float = 0.95
) -> Difference:
    """Compares two systems file by file, so that how hard a file is does not count.

    Args:
        first, second: value of each file.
        resamples: number of bootstrap samples.
        confidence: probability of the interval.
    """
    files = common({"first": first, "second": second})
    found = summarise([second[name] - first[name] for name in files], resamples, confidence)
    return Difference(found.mean, found.low, found.high, len(files))
