"""Paired comparison of two systems on the files that both have a value for: a permutation test and an effect size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gansemble.scoring.statistics import common, summarise

#: Random sign changes of a test with more files than can be tried in every way.
RESAMPLES = 9999
#: Numbers that a test holds at once: the signs of many files are drawn a part at a time.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Paired:
    """How a second system's scores differ from a first one's, file by file.

    Args:
        mean: of second minus first.
        low, high: bootstrap confidence interval of it; NaN for fewer than two files.
        p: of the permutation test, two-sided: how often the difference would be at least as large if the names of the two
            systems had been drawn by lot for each file. NaN for fewer than two files.
        effect: the mean difference in standard deviations of the differences (Cohen's d for paired samples); NaN where
            they do not vary.
        wins: share of files that the second system scores higher at, ties counting half.
        files: number of files.
    """

    mean: float
    low: float
    high: float
    p: float
    effect: float
    wins: float
    files: int


def compare(
    first: Mapping[str, float],
    second: Mapping[str, float],
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Paired:
    """Compares two systems on the files for which both have a value.

    The test changes the sign of each file's difference at random, in every way where that are at most 9,999 ways, else in
    9,999 drawn from ``seed`` (Good 2005, section 3). It assumes nothing of the distribution, only that files are independent.

    Args:
        first, second: value of each file; NaN where it has none.
        resamples: number of bootstrap samples.
        confidence: probability of the interval.
        seed: of the resampling.
    """
    files = common({"first": first, "second": second})
    differences = np.array([second[name] - first[name] for name in files], np.float64)
    interval = summarise(list(differences), resamples, confidence, seed)
    nothing = float("nan")
    if len(files) < 2:
        wins = float((np.sign(differences).mean() + 1) / 2) if len(files) else nothing
        return Paired(interval.mean, nothing, nothing, nothing, nothing, wins, len(files))
    spread = float(differences.std(ddof=1))
    return Paired(
        interval.mean,
        interval.low,
        interval.high,
        _p(differences, seed),
        interval.mean / spread if spread > 0 else nothing,
        float((np.sign(differences).mean() + 1) / 2),
        len(files),
    )


def _p(differences: np.ndarray, seed: int) -> float:
    if not differences.any():
        return 1.0
    if 2 ** len(differences) > RESAMPLES:
        return _p_of_drawn_signs(differences, seed)
    from scipy.stats import permutation_test

    found = permutation_test(
        (differences,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        n_resamples=RESAMPLES,
        vectorized=True,
    )
    return float(found.pvalue)


def _p_of_drawn_signs(differences: np.ndarray, seed: int) -> float:
    """What ``scipy.stats.permutation_test`` computes for signs drawn at random, in a hundredth of its time and memory.

    As there, the differences as they are count as one of the draws (Phipson & Smyth 2010), ties within rounding count as
    at least as large, and both directions have twice the smaller share.
    """
    draws = np.random.default_rng(seed)
    observed = differences.sum()
    rounding = 1e-14 * np.abs(differences).sum()
    above = below = 1
    rows = max(1, _AT_ONCE // len(differences))
    for start in range(0, RESAMPLES, rows):
        signs = draws.integers(0, 2, (min(rows, RESAMPLES - start), len(differences)), np.int8)
        # Of signs 0 and 1: twice the sum of those that stay, less the sum of all.
        sums = 2 * (signs @ differences) - observed
        above += int((sums >= observed - rounding).sum())
        below += int((sums <= observed + rounding).sum())
    return min(1.0, 2 * min(above, below) / (RESAMPLES + 1))


def holm(values: Sequence[float]) -> list[float]:
    """Probabilities of several tests, raised so that all of them together err as seldom as one (Holm 1979); NaN stays NaN."""
    order = sorted((place for place, value in enumerate(values) if value == value), key=lambda place: values[place])
    found = [float("nan")] * len(values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * values[place]))
        found[place] = largest
    return found
