"""Scores of sets and their intervals against closed forms, brute force and Gaussians whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats

from gansemble_plugins.set_metrics import jackknife, scores
from gansemble_plugins.set_metrics.manifolds import Balls, Overlap

Array = np.ndarray


def normal(count: int, size: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Array:
    return shift + scale * np.random.default_rng(seed).standard_normal((count, size))


def with_moments(mean: Array, deviations: Array, count: int, seed: int) -> Array:
    """Points of exactly this mean and diagonal unbiased covariance."""
    points = normal(count, len(mean), seed)
    points -= points.mean(axis=0)
    return np.linalg.qr(points)[0] * math.sqrt(count - 1) * deviations + mean


# closed forms -----------------------------------------------------------


def test_the_frechet_distance_of_diagonal_gaussians():
    mean, other = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    a, b = np.array([1.0, 0.3, 2.0]), np.array([0.5, 0.3, 4.0])
    expected = ((mean - other) ** 2).sum() + ((a - b) ** 2).sum()
    for count in (4, 300):
        found = scores.fid(with_moments(mean, a, count, 0), with_moments(other, b, 200, 1))
        assert found == pytest.approx(expected, rel=1e-9)
    features = normal(50, 80, 0)
    assert scores.fid(features, features) == pytest.approx(0, abs=1e-9)


def test_the_inception_score_is_the_number_of_classes_or_one():
    for classes in (2, 10):
        assert scores.inception_score(1e3 * np.eye(classes), 1)[0] == pytest.approx(classes)
        assert scores.inception_score(np.tile(np.arange(classes), (7, 1)), 1)[0] == pytest.approx(1)


def test_identical_sets_have_all_of_each_other_within_reach():
    points = normal(60, 5, 0)
    found = Overlap.of(points, points.copy(), 3).values()
    assert found == {"precision": 1, "recall": 1, "coverage": 1, "density": pytest.approx(4 / 3)}
    far = Overlap.of(points, points + 1e3, 3).values()
    assert far == {"precision": 0, "recall": 0, "coverage": 0, "density": 0}


def test_precision_recall_density_and_coverage_by_hand():
    real, fake = np.array([[0.0], [1.0], [3.0], [10.0]]), np.array([[0.5], [2.5], [20.0]])
    # Balls to the nearest real one: [-1, 1], [0, 2], [1, 5], [3, 17]; to the nearest fake one: [-1.5, 2.5], [0.5, 4.5],
    # [2.5, 37.5].
    assert Overlap.of(real, fake, 1).values() == {
        "precision": pytest.approx(2 / 3), "density": pytest.approx(3 / 3), "coverage": 3 / 4, "recall": 1,
    }  # fmt: skip
    # To the second nearest: [-3, 3], [-1, 3], [0, 6], [1, 19]; and the fake ones' balls hold everything.
    assert Overlap.of(real, fake, 2).values() == {
        "precision": pytest.approx(2 / 3), "density": pytest.approx(7 / 3 / 2), "coverage": 1, "recall": 1,
    }  # fmt: skip


def test_a_point_at_the_very_radius_and_a_duplicate_are_within_reach():
    real = np.array([[0.0, 0], [3, 4], [100, 0]])
    assert Overlap.of(real, np.array([[-3.0, -4], [1e4, 0]]), 1).values()["precision"] == 0.5
    copies = np.repeat(normal(3, 40, 0, shift=1e3), 4, axis=0)  # balls of radius 0, far from the origin
    found = Overlap.of(copies, copies[::4], 3).values()
    assert (found["precision"], found["coverage"]) == (1, 1) and "recall" not in found
    assert Overlap.of(copies, copies[::4] + 1e-3, 3).values()["precision"] == 0


def test_a_set_with_no_more_points_than_neighbours_has_no_balls():
    real, fake = normal(9, 3, 0), normal(5, 3, 1)
    assert set(Overlap.of(real, fake, 5).values()) == {"precision", "density", "coverage"}
    assert set(Overlap.of(real, fake, 4).values()) == {"precision", "density", "coverage", "recall"}
    assert set(Overlap.of(real, fake, 4).variances()) == {"precision", "density", "coverage"}
    with pytest.raises(ValueError, match="nearest must be at least 1, got 0"):
        Overlap.of(real, fake, 0)
    with pytest.raises(ValueError, match="nearest must be within 1 and 8"):
        Balls.of(real, fake, 9)


def test_more_points_than_a_chunk_are_as_brute_force_has_them():
    real, fake = normal(700, 3, 0), normal(600, 3, 1, 0.5)
    apart = np.linalg.norm(real[:, None] - fake, axis=2)
    own = np.sort(np.linalg.norm(real[:, None] - real, axis=2), axis=1)
    inside = apart <= own[:, [5]]  # the first is the point itself
    found = Overlap.of(real, fake, 5).values()
    assert found["precision"] == inside.any(0).mean() and found["coverage"] == inside.any(1).mean()
    assert found["density"] == pytest.approx(inside.sum() / 5 / 600)


def test_kid_of_one_distribution_is_0_on_average():
    found = [scores.kid(normal(40, 4, seed), normal(40, 4, 1000 + seed))[0] for seed in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(len(found))
    assert min(found) < 0 < max(found)


# jackknife variances against brute force --------------------------------


def brute_force(score: Callable[[Array, Array], float], a: Array, b: Array) -> float:
    """The jackknife variance over the items of both sets, by scoring without each."""
    found = 0.0
    for side, other, turned in ((a, b, False), (b, a, True)):
        without = [np.delete(side, i, axis=0) for i in range(len(side))]
        values = np.array([score(*((other, each) if turned else (each, other))) for each in without])
        found += (len(side) - 1) / len(side) * ((values - values.mean()) ** 2).sum()
    return found


def all_pairs(a: Array, b: Array) -> float:
    """The unbiased discrepancy, for sets of any two sizes."""
    within = [((x @ x.T / x.shape[1] + 1) ** 3) for x in (a, b)]
    means = [(k.sum() - np.trace(k)) / len(k) / (len(k) - 1) for k in within]
    return float(sum(means) - 2 * ((a @ b.T / a.shape[1] + 1) ** 3).mean())


def test_the_variance_of_kid_is_brute_forces():
    a, b = normal(14, 3, 0), normal(9, 3, 1, 0.5)
    for chunk in (4, 1024):
        assert jackknife.kid_variance(a, b, chunk) == pytest.approx(brute_force(all_pairs, a, b), rel=1e-9)
    assert math.isnan(jackknife.kid_variance(a[:2], b))


def test_the_variance_of_precision_recall_density_and_coverage_is_brute_forces():
    real, fake = normal(30, 2, 0), normal(24, 2, 1, 0.7, 0.7)
    real[5] = real[6] = real[4]
    fake[3] = real[4]
    found = Overlap.of(real, fake, 3).variances()
    assert set(found) == {"precision", "recall", "density", "coverage"}
    for key, value in found.items():
        expected = brute_force(lambda a, b, key=key: Overlap.of(a, b, 3).values()[key], real, fake)
        assert value == pytest.approx(expected, rel=1e-9), key
        assert value > 0


def test_the_variance_of_an_inception_score_is_brute_forces():
    logits = normal(24, 5, 0, scale=2.0)
    for splits in (1, 4):
        groups, expected = np.split(logits, splits), 0.0
        for group in groups:
            values = [scores.inception_score(np.delete(group, i, axis=0), 1)[0] for i in range(len(group))]
            expected += (len(group) - 1) / len(group) * float(np.square(values - np.mean(values)).sum())
        assert jackknife.inception_variance(logits, splits) == pytest.approx(expected / splits**2, rel=1e-9)
    assert math.isnan(jackknife.inception_variance(logits, 12))


def test_the_variance_of_fid_is_that_of_its_derivatives_by_weight():
    a, b = normal(20, 3, 0), normal(15, 3, 1, 0.5, 1.3)

    def weighted(points: Array, weights: Array) -> tuple[Array, Array]:
        mean = weights @ points
        centred = points - mean
        return mean, (weights[:, None] * centred).T @ centred * len(points) / (len(points) - 1)

    def distance(first: Array, second: Array) -> float:
        return scores.frechet_distance(*weighted(a, first), *weighted(b, second))

    even = [np.full(len(points), 1 / len(points)) for points in (a, b)]
    assert distance(*even) == pytest.approx(scores.fid(a, b))
    expected, step = 0.0, 1e-5
    for side, points in enumerate((a, b)):
        influences = []
        for item in range(len(points)):
            ends = []
            for sign in (1, -1):
                weights = list(even)
                weights[side] = (1 - sign * step) * even[side] + sign * step * np.eye(len(points))[item]
                ends.append(distance(*weights))
            influences.append((ends[0] - ends[1]) / (2 * step))
        expected += float(np.square(influences).sum()) / (len(points) * (len(points) - 1))
    assert jackknife.fid_variance(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("count", "size"), [(60, 4), (20, 50)])
def test_the_variance_of_fid_is_near_brute_forces_with_fewer_items_than_features_too(count, size):
    a, b = normal(count, size, 0), normal(count, size, 1, 0.5, 1.2)
    assert jackknife.fid_variance(a, b) == pytest.approx(brute_force(scores.fid, a, b), rel=0.25)
    with pytest.raises(ValueError, match="two items or more, got 1"):
        jackknife.fid_variance(a[:1], b)


# intervals on Gaussians whose truth is known ----------------------------


def held(truth: float, found: list[jackknife.Bounds | None]) -> float:
    """The share of intervals that hold the truth."""
    assert None not in found
    return float(np.mean([each[0] <= truth <= each[1] for each in found if each is not None]))


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.5, 1.2)])
def test_intervals_of_fid_hold_the_mean_fid_of_sets_of_their_size(shift, scale):
    values, found = [], []
    for seed in range(200):
        a, b = normal(100, 8, seed), normal(100, 8, 1000 + seed, shift, scale)
        values.append(scores.fid(a, b))
        found.append(jackknife.bounds(values[-1], jackknife.fid_variance(a, b), 100, 0.95, 0.0))
    assert held(float(np.mean(values)), found) >= 0.9
    widths = [each[1] - each[0] for each in found if each is not None]
    assert np.mean(widths) < 2 * 4 * np.std(values)  # nor are they so wide that they must
    # That mean is what a small set has, not what an endless one would: few clips make FID high.
    assert np.mean(values) > 8 * (shift**2 + (scale - 1) ** 2) + 0.2


def cubic(mean: float, other: float, size: int) -> float:
    """E (x.y / D + 1)^3 of normal x and y with these means and a variance of 1 in each of D directions."""
    one, two = mean * other, (mean**2 + 1) * (other**2 + 1)
    three = (mean**3 + 3 * mean) * (other**3 + 3 * other)
    first, second = size * one, size * two + size * (size - 1) * one**2
    third = size * three + 3 * size * (size - 1) * two * one + size * (size - 1) * (size - 2) * one**3
    return 1 + 3 * first / size + 3 * second / size**2 + third / size**3


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_intervals_of_kid_hold_the_true_discrepancy(shift):
    truth = cubic(0, 0, 8) + cubic(shift, shift, 8) - 2 * cubic(0, shift, 8)
    found, values = [], []
    for seed in range(200):
        a, b = normal(100, 8, seed), normal(100, 8, 1000 + seed, shift)
        values.append(scores.kid(a, b)[0])
        found.append(jackknife.bounds(values[-1], jackknife.kid_variance(a, b), 100, 0.95))
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / math.sqrt(200))
    assert held(truth, found) >= 0.9
    assert np.mean([each[1] - each[0] for each in found if each is not None]) < 2 * 4 * np.std(values)


def test_intervals_of_coverage_and_density_hold_what_they_are_for_one_distribution():
    """Coverage is then 1 - product over i = 1 … k of (N - i) / (M + N - i), and density 1, whatever the distribution
    (Naeem et al. 2020)."""
    real, fake, nearest = 60, 40, 2
    expected = 1 - math.prod((real - i) / (fake + real - i) for i in range(1, nearest + 1))
    found: dict[str, list[Any]] = {"coverage": [], "density": []}
    values: dict[str, list[float]] = {"coverage": [], "density": []}
    for seed in range(100):
        overlap = Overlap.of(normal(real, 3, seed), normal(fake, 3, 1000 + seed), nearest)
        value, variance = overlap.values(), overlap.variances()
        found["coverage"].append(jackknife.share_bounds(value["coverage"], variance["coverage"], real, fake, 0.95))
        found["density"].append(jackknife.bounds(value["density"], variance["density"], fake, 0.95, 0.0))
        for key in values:
            values[key].append(value[key])
    assert np.mean(values["coverage"]) == pytest.approx(expected, abs=0.02)
    assert np.mean(values["density"]) == pytest.approx(1, abs=0.04)
    assert held(expected, found["coverage"]) >= 0.93 and held(1.0, found["density"]) >= 0.93
    for key in values:
        assert np.mean([each[1] - each[0] for each in found[key]]) < 2.5 * 4 * np.std(values[key]), key


def test_intervals_of_the_inception_score_hold_its_mean():
    values, found = [], []
    for seed in range(200):
        logits = normal(200, 4, seed, scale=2.0)
        values.append(scores.inception_score(logits, 1)[0])
        found.append(jackknife.bounds(values[-1], jackknife.inception_variance(logits, 1), 200, 0.95, 1.0, 4.0))
    assert 0.9 <= held(float(np.mean(values)), found) < 1


def test_a_share_of_0_or_1_has_an_interval_all_the_same():
    low, high = jackknife.share_bounds(1.0, 0.0, 30, 30, 0.95) or (0, 0)
    assert 0.8 < low < 0.9 and high == 1
    low, high = jackknife.share_bounds(0.0, 0.0, 30, 30, 0.95) or (0, 0)
    assert low == 0 and 0.1 < high < 0.2
    wide, narrow = (jackknife.share_bounds(0.5, variance, 30, 30, 0.95) or (0, 0) for variance in (0.02, 0.005))
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]


@pytest.mark.parametrize(("share", "variance", "hits", "count"), [(0.3, 0.3 * 0.7 / 40, 12, 40), (1.0, 0.0, 30, 30)])
def test_the_interval_of_a_share_is_wilsons_for_as_many_independent_clips(share, variance, hits, count):
    """With so many clips that Student's t is the normal law."""
    wanted = scipy.stats.binomtest(hits, count).proportion_ci(0.9, "wilson")
    assert jackknife.share_bounds(share, variance, count, 10**9, 0.9) == pytest.approx(
        (wanted.low, wanted.high), abs=1e-6
    )


def test_a_share_is_at_least_of_one_independent_clip():
    """However much it varies."""
    z = scipy.stats.norm.ppf(0.95)
    half = z / 2 / math.sqrt(1 + z**2)
    for variance in (0.25, 0.5, 2.0):
        found = jackknife.share_bounds(0.5, variance, 30, 10**9, 0.9)
        assert found == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)


def test_the_quantile_is_students_with_one_degree_of_freedom_at_least():
    assert jackknife.quantile(10, 0.95) == pytest.approx(2.262157, abs=1e-6)
    assert jackknife.quantile(1, 0.95) == jackknife.quantile(2, 0.95) == pytest.approx(12.7062, abs=1e-4)


def test_where_nothing_varies_there_is_no_interval():
    assert jackknife.bounds(1.0, 0.0, 9, 0.95) is None
    assert jackknife.bounds(math.nan, 1.0, 9, 0.95) is None and jackknife.bounds(1.0, math.nan, 9, 0.95) is None
    assert jackknife.share_bounds(math.nan, 1.0, 9, 9, 0.95) is None
    assert jackknife.bounds(0.1, 1.0, 10_000, 0.95, 0.0) == (0.0, pytest.approx(2.06, abs=0.01))
    for confidence in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match=f"confidence must lie between 0 and 1, got {confidence}"):
            jackknife.quantile(9, confidence)
