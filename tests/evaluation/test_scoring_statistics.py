"""Bootstrap intervals computed here in another way, and their defaults."""

from __future__ import annotations

import numpy as np
import pytest

from gansemble.scoring.statistics import Summary, paired, summarise

VALUES = [0.0, 1.0, 10.0, 4.0, 2.5]


def interval(values: list[float], resamples: int, confidence: float, seed: int) -> tuple[float, float]:
    """Percentiles of the means of samples with replacement, one sample after the other."""
    picks = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    means = sorted(float(np.mean([values[pick] for pick in row])) for row in picks)
    places = [share * (resamples - 1) for share in ((1 - confidence) / 2, 1 - (1 - confidence) / 2)]
    low, high = (np.interp(place, range(resamples), means) for place in places)
    return float(low), float(high)


def test_the_interval_is_that_of_the_percentiles_of_resampled_means():
    found = summarise(VALUES, 50, 0.8, 3)
    assert (found.low, found.high) == pytest.approx(interval(VALUES, 50, 0.8, 3))
    assert (found.mean, found.n_ok, found.n_total) == (3.5, 5, 5)


def test_a_thousand_samples_of_seed_0_give_an_interval_of_95_per_cent():
    values = np.random.default_rng(9).normal(0, 1, 26).tolist()
    expected = pytest.approx(interval(values, 1000, 0.95, 0), rel=1e-9)
    found = summarise(values)
    assert (found.low, found.high) == expected
    assert summarise([*values, float("nan")]) == Summary(found.mean, found.low, found.high, 26, 27)
    zero = dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 0.0)
    one = paired(zero, dict(zip(zero, values, strict=True)))
    assert (one.low, one.high) == expected and (one.mean, one.files) == (pytest.approx(np.mean(values)), 26)


def test_a_comparison_passes_its_samples_and_confidence_on():
    zero = dict.fromkeys("abcde", 0.0)
    found = paired(zero, dict(zip("abcde", VALUES, strict=True)), 50, 0.8)
    assert (found.low, found.high) == pytest.approx(interval(VALUES, 50, 0.8, 0))
