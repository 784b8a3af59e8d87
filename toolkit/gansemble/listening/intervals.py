"""Counts and grades with their intervals: exact binomial tests, Wilson's intervals, the bootstrap over listeners and clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Share:
    """How many of a number of answers went one way.

    Args:
        count: so many.
        total: of so many.
        low, high: Wilson's interval of the share (Wilson 1927), without correction for continuity.
        p: of the exact binomial test against one half.
    """

    count: int
    total: int
    low: float
    high: float
    p: float


def share(count: int, total: int, alternative: Literal["two-sided", "greater"], confidence: float = 0.95) -> Share:
    """Tests a share against one half.

    Args:
        count: answers of one kind.
        total: all answers, at least one.
        alternative: ``two-sided`` for a preference, ``greater`` for right answers.
        confidence: of the interval.
    """
    found = stats.binomtest(count, total, 0.5, alternative)
    low, high = stats.binomtest(count, total, 0.5).proportion_ci(confidence, "wilson")
    return Share(count, total, float(low), float(high), float(found.pvalue))


def holm(p: Sequence[float]) -> list[float]:
    """p values of several tests, adjusted so that one false finding among all is as rare as stated (Holm 1979)."""
    order = sorted(range(len(p)), key=lambda place: p[place])
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = highest
    return adjusted


@dataclass(frozen=True)
class Mean:
    """A mean over listeners and clips.

    Args:
        mean, median: of all values.
        low, high: percentile bootstrap interval of the mean; NaN where there is only one listener and one clip.
        count: number of values.
        why: why there is no interval; empty where there is one.
    """

    mean: float
    median: float
    low: float
    high: float
    count: int
    why: str = ""


def mean_over(values: np.ndarray, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> Mean:
    """The mean of grades, with a bootstrap interval for other listeners and other clips.

    In each resample listeners and clips are both drawn anew with replacement, so that the interval covers the choice of both
    (Owen 2007, the pigeonhole bootstrap, which errs on the wide side). Where there is one listener, clips alone are
    drawn, and the other way round.

    Args:
        values: [listeners, clips]; NaN where a listener did not grade a clip.
        resamples: number of resamples.
        confidence: of the interval.
        seed: of the resamples.
    """
    there = ~np.isnan(values)
    known = values[there]
    nan = float("nan")
    if not known.size:
        return Mean(nan, nan, nan, nan, 0, "no grades")
    mean, median = float(known.mean()), float(np.median(known))
    listeners, clips = values.shape
    if known.size == 1:
        return Mean(mean, median, nan, nan, 1, "one grade only")
    draws = np.random.default_rng(seed)
    of_listeners = draws.multinomial(listeners, np.full(listeners, 1 / listeners), resamples)
    of_clips = draws.multinomial(clips, np.full(clips, 1 / clips), resamples)
    total = np.einsum("rl,lc,rc->r", of_listeners, np.where(there, values, 0.0), of_clips)
    weight = np.einsum("rl,lc,rc->r", of_listeners, there.astype(float), of_clips)
    means = total[weight > 0] / weight[weight > 0]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Mean(mean, median, float(low), float(high), int(known.size))
