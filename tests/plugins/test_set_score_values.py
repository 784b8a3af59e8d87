"""Scores of sets, their variances and their pictures of sound, against plain loops and the formulas they are named after."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

from gansemble import random
from gansemble_plugins.set_metrics import artefacts, jackknife, mel, scores
from gansemble_plugins.set_metrics.manifolds import Balls, Overlap

Array = np.ndarray


def normal(count: int, size: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Array:
    return shift + scale * np.random.default_rng(seed).standard_normal((count, size))


def defaults(function: Callable[..., object]) -> dict[str, object]:
    found = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in found if each.default is not inspect.Parameter.empty}


# scores -----------------------------------------------------------------


def plain_inception(logits: Array) -> float:
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    marginal = chances.mean(0)
    return math.exp(np.mean([(p * np.log(p / marginal)).sum() for p in chances]))


def test_groups_that_cannot_be_equal_differ_by_one_clip():
    """Of 11 clips, 3 groups begin at 11 i // 3: 0, 3 and 7."""
    logits = normal(11, 4, 0, scale=2.0)
    wanted = [plain_inception(logits[start:end]) for start, end in ((0, 3), (3, 7), (7, 11))]
    mean, deviation = scores.inception_score(logits, 3)
    assert mean == pytest.approx(np.mean(wanted)) and deviation == pytest.approx(np.std(wanted))


def test_there_are_ten_groups_unless_told_otherwise_and_no_more_than_clips():
    logits = normal(30, 4, 0, scale=2.0)
    assert scores.inception_score(logits) == scores.inception_score(logits, 10)
    assert scores.inception_score(logits[:3], 3) == (pytest.approx(1), pytest.approx(0))
    for splits in (0, 31):
        with pytest.raises(ValueError, match=f"within 1 to the number of clips, 30; got {splits}"):
            scores.inception_score(logits, splits)


def plain_frechet(mean: Array, covariance: Array, other: Array, other_covariance: Array) -> float:
    """The trace of a root is the sum of the eigenvalues' roots."""
    common = np.sqrt(np.linalg.eigvals(covariance @ other_covariance).real.clip(0)).sum()
    return float(((mean - other) ** 2).sum() + np.trace(covariance + other_covariance) - 2 * common)


@pytest.mark.parametrize("counts", [(40, 30), (6, 30), (30, 6), (5, 4), (2, 2)])
def test_the_frechet_distance_is_that_of_the_sets_moments(counts):
    one = normal(counts[0], 5, 0) @ normal(5, 5, 2) + 0.3
    other = normal(counts[1], 5, 1) @ normal(5, 5, 3)
    moments = [x for points in (one, other) for x in (points.mean(0), np.cov(points.T))]
    singular = min(counts) <= 5  # the root of a product of little rank is no more exact than half of its digits
    expected = plain_frechet(*moments)
    assert scores.fid(one, other) == pytest.approx(expected, rel=1e-4 if singular else 1e-8)
    assert scores.frechet_distance(*moments) == pytest.approx(expected, rel=1e-4 if singular else 1e-8)
    assert scores.fid(one, other) == pytest.approx(scores.fid(other, one))


def test_no_frechet_distance_is_below_0_and_a_set_has_two_items():
    for seed in range(30):
        points = normal(6, 3, seed)
        assert 0 <= scores.fid(points, points) < 1e-9
    for pair in ((points[:1], points), (points, points[:1])):
        with pytest.raises(ValueError, match="two items or more, got 1"):
            scores.fid(*pair)


def plain_discrepancy(a: Array, b: Array) -> float:
    def kernel(x: Array, y: Array) -> float:
        return (x @ y / len(x) + 1) ** 3

    n = len(a)
    within = [sum(kernel(s[i], s[j]) for i in range(n) for j in range(n) if i != j) / n / (n - 1) for s in (a, b)]
    return sum(within) - 2 * sum(kernel(x, y) for x in a for y in b) / n**2


def test_kid_is_the_mean_over_subsets_drawn_of_either_set():
    a, b = normal(7, 3, 0), normal(5, 3, 1, 0.5)
    for seed in (0, 3):
        draws = np.random.default_rng(random.key(seed, "kid"))
        wanted = [
            plain_discrepancy(*(x[draws.choice(len(x), 4, replace=False)] for x in (a, b)))  # of a before b
            for _ in range(6)
        ]
        mean, deviation = scores.kid(a, b, 6, 4, seed)
        assert mean == pytest.approx(np.mean(wanted)) and deviation == pytest.approx(np.std(wanted))
    assert scores.kid(a, b, 6, 4) == scores.kid(a, b, 6, 4, 0)


def test_kid_takes_no_more_clips_than_there_are_and_all_of_both_once():
    a, b = normal(6, 3, 0), normal(6, 3, 1, 0.5)
    assert scores.kid(a, b, 5, 6) == scores.kid(a, b, 5, 99) == (pytest.approx(plain_discrepancy(a, b)), 0)
    assert scores.kid(a, b[:4], 5, 99) == scores.kid(a, b[:4], 5, 4) and scores.kid(a, b[:4], 5, 4)[1] > 0
    assert scores.kid(a[:4], b, 5, 4)[1] > 0
    assert scores.kid(a, b, 1, 2)[1] == 0
    assert defaults(scores.kid) == {"subsets": 100, "size": 1000, "seed": 0}
    for given in ((a, b, 5, 1), (a[:1], b), (a, b[:1]), (a, b, 0, 4)):
        with pytest.raises(ValueError, match="a subset or more, of two items or more"):
            scores.kid(*given)


@pytest.mark.parametrize("count", [3, 512, 513, 1030])
def test_nearest_items_and_others_are_those_of_all_distances(count):
    points, items = normal(count, 2, 0), normal(40, 2, 1)
    apart = np.linalg.norm(points[:, None] - items, axis=2)
    distances, places = scores.nearest(points, items)
    assert np.array_equal(places, apart.argmin(1))
    np.testing.assert_allclose(distances, apart.min(1), rtol=1e-12)
    own = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(count, np.inf))
    np.testing.assert_allclose(scores.nearest_other(points), own.min(1), rtol=1e-9)


def plain_cells(points: Array, count: int, seed: int, rounds: int) -> Array:
    """k-means++, then Lloyd's iterations, by the letter."""
    draws = np.random.default_rng(random.key(seed, "k-means"))
    centres = [points[draws.integers(len(points))]]
    while len(centres) < count:
        squares = np.min([((points - centre) ** 2).sum(1) for centre in centres], axis=0)
        centres.append(points[draws.choice(len(points), p=squares / squares.sum())])
    found = np.array(centres)
    for _ in range(rounds):
        places = ((points[:, None] - found) ** 2).sum(2).argmin(1)
        found = np.array([points[places == cell].mean(0) for cell in range(count)])
    return found


@pytest.mark.parametrize("rounds", [0, 1, 2, 100])
@pytest.mark.parametrize("seed", [0, 5])
def test_cells_are_those_of_k_means_begun_by_k_means_plus_plus(seed, rounds):
    points = normal(60, 2, 0)
    np.testing.assert_allclose(
        scores.cells_of(points, 4, seed, rounds), plain_cells(points, 4, seed, rounds), rtol=1e-9
    )


def test_cells_have_seed_0_and_a_hundred_rounds_unless_told_otherwise_and_are_1_to_all_points():
    points = normal(30, 2, 0)
    assert np.array_equal(scores.cells_of(points, 3), scores.cells_of(points, 3, 0, 100))
    assert defaults(scores.cells_of) == {"seed": 0, "rounds": 100}
    np.testing.assert_allclose(scores.cells_of(points, 1), points.mean(0)[None])
    assert np.array_equal(np.sort(scores.cells_of(points, 30), axis=0), np.sort(points, axis=0))
    for count in (0, 31):
        with pytest.raises(ValueError, match=f"number of points, 30; got {count}"):
            scores.cells_of(points, count)


def test_a_cell_that_loses_its_points_moves_to_the_point_farthest_from_its_centre():
    """Of two centres that begin on equal points the second has none; the next takes the farthest one, and only once."""
    points = np.array([[0.0], [0.0], [0.0], [10.0], [-8.0]])
    seen = set()
    for seed in range(20):
        centres = scores.cells_of(points, 3, seed)
        seen.add(tuple(np.sort(centres[:, 0])))
    assert seen == {(-8.0, 0.0, 10.0)}
    equal = np.array([[1.0], [1.0], [1.0], [5.0]])
    for seed in range(20):  # more cells than different points: those that are left over lie on points
        centres = scores.cells_of(equal, 3, seed)
        assert set(centres[:, 0]) == {1.0, 5.0}


def test_the_points_given_are_left_as_they_were():
    points = normal(20, 2, 0)
    before = points.copy()
    scores.cells_of(points, 5)
    assert np.array_equal(points, before)


def test_different_shares_are_told_by_the_pooled_z_test_for_sets_of_unequal_sizes():
    """12 of 100 against 20 of 400: pooled 32 / 500, z = 0.07 / sqrt(0.064 x 0.936 x (1/100 + 1/400)) = 2.558."""
    assert scores.different_cells([12, 88], [20, 380]).all()
    # 10 of 100: pooled 0.06, z = 0.05 / sqrt(0.06 x 0.94 / 80) = 1.883.
    assert not scores.different_cells([10, 90], [20, 380]).any()
    assert scores.different_cells([10, 90], [20, 380]).dtype == bool
    assert scores.ndb([10, 0, 50, 40], [20, 0, 200, 180]) == 0
    assert scores.ndb([40, 0, 20, 40], [20, 0, 200, 180]) == 0.5
    # Shares of 0 and 1 leave no error to divide by, whatever they are out of.
    assert scores.different_cells([0, 10], [0, 30]).tolist() == [False, False]


def test_the_jensen_shannon_divergence_of_unequal_shares():
    p, q = np.array([0.25, 0.75, 0.0]), np.array([0.5, 0.25, 0.25])
    m = (p + q) / 2
    half = [sum(x * math.log(x / y) for x, y in zip(each, m, strict=True) if x) / 2 for each in (p, q)]
    assert scores.jensen_shannon([1, 3, 0], [8, 4, 4]) == pytest.approx(sum(half))


def test_a_pitch_counts_within_a_semitone_on_either_side_unless_told_otherwise():
    logits = np.eye(5)[[0, 1, 2, 3, 4]]
    classes, labels = [40, 42, 44, 46, 48], [41, 41, 46, 46, 51]  # off by 1, 1, 2, 0 and 3
    assert [scores.pitch_accuracy(logits, labels, classes, within) for within in (0, 1, 2, 3)] == [0.2, 0.6, 0.8, 1]
    assert scores.pitch_accuracy(logits, labels, classes) == 0.6


def test_the_entropy_of_unlike_clips_is_their_mean():
    rows = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]])
    expected = -sum((p * np.log(p)).sum() for p in rows) / 2
    assert scores.pitch_entropy(np.log(rows) + np.array([[3.0], [-2.0]])) == pytest.approx(expected)


# variances and intervals ------------------------------------------------


@pytest.mark.parametrize(("clips", "confidence"), [(1, 0.9), (2, 0.95), (3, 0.9), (20, 0.5), (10**6, 0.99)])
def test_the_quantile_is_scipys(clips, confidence):
    expected = scipy.stats.t.ppf((1 + confidence) / 2, max(1, clips - 1))
    assert jackknife.quantile(clips, confidence) == pytest.approx(expected, rel=1e-9)


def test_an_interval_is_so_many_standard_errors_cut_to_the_scores_range():
    half = scipy.stats.t.ppf(0.95, 6) * 0.5
    assert jackknife.bounds(2.0, 0.25, 7, 0.9) == pytest.approx((2 - half, 2 + half))
    assert jackknife.bounds(2.0, 0.25, 7, 0.9, 1.9, 2.1) == (1.9, 2.1)
    assert jackknife.bounds(2.0, 0.25, 7, 0.9, -9.0, 9.0) == pytest.approx((2 - half, 2 + half))
    assert jackknife.bounds(2.0, 1e-12, 7, 0.9) is not None
    for value, variance in ((2.0, 0.0), (2.0, -1.0), (2.0, math.inf), (math.inf, 0.25), (math.nan, 0.25)):
        assert jackknife.bounds(value, variance, 7, 0.9) is None


def plain_wilson(share: float, count: float, z: float) -> tuple[float, float]:
    """The two shares p whose distance to the one found is z standard errors: (p - s)^2 = z^2 p (1 - p) / n."""
    a, b, c = 1 + z**2 / count, -(2 * share + z**2 / count), share**2
    root = math.sqrt(b**2 - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


@pytest.mark.parametrize(
    ("share", "variance", "count"),
    [(0.3, 0.3 * 0.7 / 17.5, 17.5), (0.3, 0.0, 40), (0.0, 0.01, 40), (1.0, 0.01, 40), (1.0, 0.0, 40), (0.6, 0.3, 1)],
)
def test_the_interval_of_a_share_is_of_the_clips_that_its_variance_is_worth(share, variance, count):
    """A variance or a share that tells nothing stands for all 40 clips that were judged; 9 clips give Student's t."""
    z = scipy.stats.t.ppf(0.95, 8)
    low, high = jackknife.share_bounds(share, variance, 40, 9, 0.9) or (None, None)
    assert (low, high) == pytest.approx(plain_wilson(share, count, z), abs=1e-9)


def test_the_interval_of_a_share_stays_within_0_and_1_and_needs_numbers():
    for share, end in ((0.0, 0), (1.0, 1)):
        for judged in range(1, 30):
            found = jackknife.share_bounds(share, 0.0, judged, 9, 0.9)
            assert found is not None and 0 <= found[0] < found[1] <= 1 and found[end] == pytest.approx(share, abs=1e-12)
    for value, variance in ((math.nan, 0.1), (0.5, math.nan), (0.5, math.inf), (math.inf, 0.1)):
        assert jackknife.share_bounds(value, variance, 40, 9, 0.9) is None


def test_the_jackknife_variance_by_hand():
    """About a mean of 3: (3 - 1) / 3 (4 + 1 + 9); and of two scores at once."""
    assert jackknife.variance(np.array([1.0, 2.0, 6.0])) == pytest.approx(2 / 3 * 14)
    assert jackknife.variance(np.array([[1.0, 0], [2, 0], [6, 3]])) == pytest.approx([28 / 3, 4])


def test_the_variance_of_an_inception_score_of_unequal_groups_is_brute_forces():
    logits = normal(11, 4, 0, scale=2.0)
    expected = 0.0
    for start, end in ((0, 3), (3, 7), (7, 11)):
        values = [scores.inception_score(np.delete(logits[start:end], i, 0), 1)[0] for i in range(end - start)]
        expected += (end - start - 1) / (end - start) * float(np.square(values - np.mean(values)).sum())
    assert jackknife.inception_variance(logits, 3) == pytest.approx(expected / 9)


def test_chances_that_vanish_without_a_clip_leave_no_trace():
    """The only clip of a class: without it the class' chance is 0, and 0 ln 0 is 0."""
    logits = np.array([[0.0, -900, -900], [-900, 0, -900], [-900, 0, -900], [0, -900, -900]])
    values = [scores.inception_score(np.delete(logits, i, 0), 1)[0] for i in range(4)]
    expected = 3 / 4 * float(np.square(values - np.mean(values)).sum())
    assert jackknife.inception_variance(logits, 1) == pytest.approx(expected)


def plain_influences(a: Array, b: Array) -> list[Array]:
    """Derivatives of the Fréchet distance by the weight of each point of both sets, in differences."""

    def distance(first: Array, second: Array) -> float:
        parts = []
        for points, weights in ((a, first), (b, second)):
            mean = weights @ points
            parts.append((mean, np.sqrt(weights * len(points) / (len(points) - 1))[:, None] * (points - mean)))
        (mean, one), (other, two) = parts
        common = np.linalg.svd(one @ two.T, compute_uv=False).sum()
        return float(((mean - other) ** 2).sum() + (one**2).sum() + (two**2).sum() - 2 * common)

    even, step = [np.full(len(points), 1 / len(points)) for points in (a, b)], 1e-5
    found = []
    for side, points in enumerate((a, b)):
        slopes = []
        for item in range(len(points)):
            ends = []
            for sign in (1, -1):
                weights = list(even)
                weights[side] = (1 - sign * step) * even[side] + sign * step * np.eye(len(points))[item]
                ends.append(distance(*weights))
            slopes.append((ends[0] - ends[1]) / (2 * step))
        found.append(np.array(slopes))
    return found


@pytest.mark.parametrize(("counts", "size"), [((9, 7), 3), ((4, 9), 6), ((9, 4), 6), ((4, 5), 7), ((6, 6), 6)])
def test_the_variance_of_fid_is_of_its_slopes_with_more_and_fewer_clips_than_features(counts, size):
    a, b = normal(counts[0], size, 0), normal(counts[1], size, 1, 0.5, 1.3)
    expected = sum((s**2).sum() / len(s) / (len(s) - 1) for s in plain_influences(a, b))
    assert jackknife.fid_variance(a, b) == pytest.approx(expected, rel=1e-5)
    assert jackknife.fid_variance(a[:2], b) > 0 < jackknife.fid_variance(a, b[:2])
    for pair in ((a[:1], b), (a, b[:1])):
        with pytest.raises(ValueError, match="two items or more, got 1"):
            jackknife.fid_variance(*pair)


@pytest.mark.parametrize("counts", [(3, 3), (3, 6), (7, 4)])
def test_the_variance_of_kid_is_brute_forces_from_three_clips_on(counts):
    def all_pairs(a: Array, b: Array) -> float:
        within = [((x @ x.T / x.shape[1] + 1) ** 3) for x in (a, b)]
        means = [(k.sum() - np.trace(k)) / len(k) / (len(k) - 1) for k in within]
        return float(sum(means) - 2 * ((a @ b.T / a.shape[1] + 1) ** 3).mean())

    a, b = normal(counts[0], 3, 0), normal(counts[1], 3, 1, 0.5)
    one = np.array([all_pairs(np.delete(a, i, 0), b) for i in range(len(a))])
    two = np.array([all_pairs(a, np.delete(b, i, 0)) for i in range(len(b))])
    expected = sum((len(x) - 1) / len(x) * ((x - x.mean()) ** 2).sum() for x in (one, two))
    for chunk in (1, 2, 5, 1024):
        assert jackknife.kid_variance(a, b, chunk) == pytest.approx(expected)
    assert jackknife.kid_variance(a, b) == pytest.approx(expected)
    assert math.isnan(jackknife.kid_variance(a[:2], b)) and math.isnan(jackknife.kid_variance(a, b[:2]))


# balls ------------------------------------------------------------------


def plain_balls(centres: Array, points: Array, nearest: int) -> tuple[Array, Array]:
    """Which points lie within the k-th nearest other centre, and within the next one."""
    own = np.linalg.norm(centres[:, None] - centres, axis=2)
    across = np.linalg.norm(centres[:, None] - points, axis=2)
    reach = np.sort(own + np.diag(np.full(len(centres), -1.0)), axis=1)  # the first is the centre itself
    next_one = min(nearest + 1, len(centres) - 1)
    return across <= reach[:, [nearest]], across <= reach[:, [next_one]]


@pytest.mark.parametrize(("count", "nearest"), [(5, 1), (5, 3), (5, 4), (511, 2), (512, 2), (513, 3)])
def test_balls_hold_what_all_distances_say(count, nearest):
    centres, points = normal(count, 2, 0, 3.0), normal(23, 2, 1, 3.2)
    found = Balls.of(centres, points, nearest)
    inside, wider = plain_balls(centres, points, nearest)
    assert np.array_equal(found.inside, inside) and np.array_equal(found.wider, wider)
    own = np.linalg.norm(centres[:, None] - centres, axis=2) + np.diag(np.full(count, np.inf))
    assert np.array_equal(found.neighbours, own.argsort(1)[:, :nearest])
    assert np.array_equal(found.hits, inside.sum(0))


@pytest.mark.parametrize("nearest", [1, 2, 5])
def test_without_each_centre_or_point_balls_are_those_of_the_rest(nearest):
    centres, points = normal(12, 2, 0), normal(9, 2, 1, 0.5)

    def three(a: Array, b: Array) -> tuple[float, float, float]:
        inside = plain_balls(a, b, nearest)[0]
        return inside.any(0).mean(), inside.sum(0).mean(), inside.any(1).mean()

    balls = Balls.of(centres, points, nearest)
    for found, wanted in (
        (balls.without_centres(), [three(np.delete(centres, i, 0), points) for i in range(12)]),
        (balls.without_points(), [three(centres, np.delete(points, i, 0)) for i in range(9)]),
    ):
        np.testing.assert_allclose(np.array(found).T, wanted, rtol=1e-12)


def test_balls_and_their_variances_need_more_centres_than_neighbours():
    centres, points = normal(4, 2, 0), normal(6, 2, 1)
    assert Balls.of(centres, points, 3).inside.shape == (4, 6)
    for nearest in (0, 4):
        with pytest.raises(ValueError, match=f"within 1 and 3, one less than the centres; got {nearest}"):
            Balls.of(centres, points, nearest)
    assert set(Overlap.of(centres, points, 3).values()) == {"precision", "density", "coverage", "recall"}
    assert set(Overlap.of(centres, points, 4).values()) == {"recall"}
    assert set(Overlap.of(centres, points, 2).variances()) == {"precision", "density", "coverage", "recall"}
    assert set(Overlap.of(centres, points, 3).variances()) == {"recall"}
    assert set(Overlap.of(points, centres, 3).variances()) == {"precision", "density", "coverage"}
    assert Overlap.of(centres, points, 5).variances() == {}
    with pytest.raises(ValueError, match="nearest must be at least 1, got 0"):
        Overlap.of(centres, points, 0)


def test_variances_of_an_overlap_need_two_points_beside_the_centres():
    many = normal(6, 2, 0)
    for count, wanted in ((1, set()), (2, {"precision", "density", "coverage"})):
        assert set(Overlap.of(many, normal(count, 2, 1), 2).variances()) == wanted
        assert set(Overlap.of(normal(count, 2, 1), many, 2).variances()) == ({"recall"} if wanted else set())


# the image --------------------------------------------------------------


def plain_matrix(rate: int, n_fft: int) -> Array:
    """Triangles of height 1 on HTK's mel scale, band by band."""

    def to_mel(hertz: Array) -> Array:
        return 1127 * np.log(1 + hertz / 700)

    bins = to_mel(np.linspace(0, rate / 2, n_fft // 2 + 1))
    edges = np.linspace(to_mel(np.array(40.0)), to_mel(np.array(min(7800.0, 0.4875 * rate))), 130)
    found = np.zeros((len(bins), 128))
    for band in range(128):
        low, middle, high = edges[band : band + 3]
        found[:, band] = np.clip(np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)), 0, None)
    found[0] = 0
    return found


@pytest.mark.parametrize(("rate", "n_fft"), [(16000, 1024), (8000, 1024), (44100, 4096), (15000, 512), (16000, 128)])
def test_mel_bands_are_triangles_on_htks_scale(rate, n_fft):
    np.testing.assert_allclose(mel.mel_matrix(rate, n_fft).numpy(), plain_matrix(rate, n_fft), atol=1e-9)


def test_htks_mel_scale_in_numbers():
    assert float(mel.mel(torch.tensor(1000.0, dtype=torch.float64))) == pytest.approx(999.9907, abs=1e-3)
    assert float(mel.mel(torch.tensor(700.0, dtype=torch.float64))) == pytest.approx(1127 * math.log(2))


@pytest.mark.parametrize(
    ("rate", "factor"),
    [(4000, 1), (15999, 1), (16000, 1), (16001, 2), (32000, 2), (32001, 4), (44100, 4), (64000, 4), (64001, 8)],
)
def test_windows_double_beyond_each_doubling_of_16_khz(rate, factor):
    assert mel.doublings(rate) == factor


def test_frames_are_counted_up_and_the_highest_band_ends_at_7800_hz_at_most():
    assert [mel.frames(samples, 128) for samples in (1, 127, 128, 129, 256, 257)] == [1, 1, 1, 2, 2, 3]
    assert mel.highest(16000) == 7800 and mel.highest(8000) == 3900 and mel.highest(48000) == 7800


def plain_log_mel(audio: Array, rate: int, n_fft: int, hop: int) -> Array:
    count = math.ceil(audio.shape[1] / hop)
    padded = np.pad(audio, ((0, 0), (0, count * hop + n_fft)))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = np.stack([padded[:, i * hop : i * hop + n_fft] for i in range(count)], axis=1)
    return np.log(np.abs(np.fft.rfft(window * frames)) @ plain_matrix(rate, n_fft) + 1e-6)


@pytest.mark.parametrize("samples", [1, 128, 900, 1024, 1025, 3000])
def test_the_log_mel_image_is_numpys(samples):
    audio = normal(2, samples, 0, scale=0.1)
    audio[:, : samples // 2] = 0
    found = mel.log_mel(torch.from_numpy(audio), 16000, 1024, 128).numpy()
    np.testing.assert_allclose(found, plain_log_mel(audio, 16000, 1024, 128), rtol=1e-7)


@pytest.mark.parametrize(("rate", "scale"), [(16000, 1), (24000, 2)])
def test_the_finer_image_has_windows_of_2048_and_samples_of_16_bits(rate, scale):
    audio = normal(17, 600, 0, scale=0.1)  # one clip more than are taken at once
    found = mel.fine(torch.from_numpy(audio), rate).numpy()
    wanted = plain_log_mel(32768 * audio, rate, 2048 * scale, 128 * scale)
    np.testing.assert_allclose(found, wanted.reshape(17, -1), rtol=1e-7)


@pytest.mark.parametrize(("rate", "samples", "side"), [(16000, 128 * 40, 32), (16000, 128 * 7, 32), (24000, 9000, 8)])
def test_patches_are_means_of_the_classifiers_image(rate, samples, side):
    scale = mel.doublings(rate)
    audio = normal(3, samples, 0, scale=0.1)
    image = torch.from_numpy(plain_log_mel(audio, rate, 1024 * scale, 128 * scale))
    rows = min(side, image.shape[1])
    wanted = F.adaptive_avg_pool2d(image[:, None], (rows, side)).reshape(3, rows * side)
    given = (torch.from_numpy(audio), rate) if side == 32 else (torch.from_numpy(audio), rate, side)
    np.testing.assert_allclose(mel.patches(*given).numpy(), wanted.numpy(), rtol=1e-7)


# what upsampling leaves -------------------------------------------------


def plain_untrained(number: int, strides: tuple[int, ...], kernel: int, dim: int, seed: int) -> Array:
    """One generator's clip, its transposed convolutions written as sums."""
    draws = random.generator(seed, "untrained", number)
    channels = [*(dim * 2**power for power in reversed(range(len(strides)))), 1]

    def weights(*shape: int, fans: int) -> Array:
        return ((torch.rand(shape, generator=draws) * 2 - 1) * math.sqrt(6 / fans)).numpy()

    z = (torch.rand(1, 100, generator=draws) * 2 - 1).numpy()
    x = np.maximum(0, z @ weights(100, 16 * channels[0], fans=100 + 16 * channels[0])).reshape(channels[0], 16)
    for index, stride in enumerate(strides):
        before, after = channels[index], channels[index + 1]
        weight = weights(before, after, kernel, fans=kernel * (before + after))
        wide = np.zeros((after, stride * x.shape[1] + kernel))
        for place in range(x.shape[1]):
            wide[:, place * stride : place * stride + kernel] += np.einsum("c,cok->ok", x[:, place], weight)
        first = max(0, kernel - stride) // 2
        x = wide[:, first : first + stride * x.shape[1]]
        x = np.tanh(x) if index == len(strides) - 1 else np.maximum(0, x)
    return x[0]


@pytest.mark.parametrize(
    ("strides", "kernel", "dim"), [((4, 2), 7, 3), ((3, 5, 2), 4, 2), ((2,), 9, 1), ((5, 2), 3, 2), ((3, 3), 3, 2)]
)
def test_untrained_generators_are_sums_of_shifted_kernels(strides, kernel, dim):
    for seed in (0, 4):
        made = list(artefacts.untrained(2, strides, kernel, dim, seed))
        assert len(made) == 2
        for number, clip in enumerate(made):
            assert clip.shape == (16 * math.prod(strides),)
            wanted = plain_untrained(number, strides, kernel, dim, seed)
            np.testing.assert_allclose(clip.numpy(), wanted, rtol=1e-4, atol=1e-6)
    first = next(iter(artefacts.untrained(1, strides, kernel, dim)))
    assert torch.equal(first, next(iter(artefacts.untrained(1, strides, kernel, dim, 0))))


def plain_magnitudes(clips: list[Array]) -> Array:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    found = []
    for clip in clips:
        level = clip / np.sqrt((clip**2).mean())
        starts = range(0, max(1, math.ceil((len(clip) - 1024) / 512) + 1) * 512, 512)
        padded = np.pad(level, (0, starts[-1] + 1024 - len(clip)))
        found.append(np.mean([np.abs(np.fft.rfft(window * padded[s : s + 1024])) for s in starts], axis=0))
    return np.mean(found, axis=0) / math.sqrt((window**2).sum() * math.pi / 4)


@pytest.mark.parametrize("samples", [1, 600, 1024, 1025, 1536, 1537, 2500])
def test_the_mean_magnitude_spectrum_is_numpys(samples):
    clips = [clip for clip in normal(3, samples, 0, 0.1, 3.0)]
    np.testing.assert_allclose(artefacts.magnitudes(clips), plain_magnitudes(clips), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        artefacts.magnitudes([torch.from_numpy(clip) for clip in clips]), plain_magnitudes(clips), rtol=1e-9, atol=1e-12
    )


def test_the_envelope_is_untrained_generators_spectrum_from_0_to_1_without_those_that_are_silent():
    """With a single channel a ReLU often leaves nothing, and a silent clip has no level to be scaled to."""
    clips = [clip.numpy().astype(np.float64) for clip in artefacts.untrained(12, (2, 2), 3, 1)]
    sounding = [clip for clip in clips if clip.any()]
    spectrum = plain_magnitudes(sounding)
    wanted = (spectrum - spectrum.min()) / (spectrum.max() - spectrum.min())
    np.testing.assert_allclose(artefacts.envelope(12, (2, 2), 3, 1), wanted, rtol=1e-6, atol=1e-9)


def test_a_match_is_a_weighted_mean():
    assert artefacts.match(np.array([1.0, 2.0, 6.0]), np.array([2.0, 1.0, 1.0])) == 2.5
