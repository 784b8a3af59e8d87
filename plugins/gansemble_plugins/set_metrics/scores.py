"""The scores of sets as functions of logits [N, K], features [N, D] or points [N, D], all in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import log_softmax, logsumexp

from gansemble import random

#: Two proportions differ at the 5 % level beyond this many standard errors.
SIGNIFICANT = 1.959963984540054
Array = np.ndarray


def inception_score(logits: Array, splits: int = 10) -> tuple[float, float]:
    """Mean and population standard deviation over ``splits`` contiguous groups of exp(mean over clips of the
    Kullback-Leibler divergence between a clip's class probabilities and their mean over the group) (Salimans et al.
    2016).

    Raises:
        ValueError: if there are fewer clips than groups.
    """
    count = len(logits)
    if not 1 <= splits <= count:
        raise ValueError(f"splits must be within 1 to the number of clips, {count}; got {splits}")
    # Over classes: over clips it would reward a set of one class alone.
    known = log_softmax(np.asarray(logits, np.float64), axis=1)
    groups = [known[count * i // splits : count * (i + 1) // splits] for i in range(splits)]
    found = [math.exp(_divergence(group)) for group in groups]
    return float(np.mean(found)), float(np.std(found))


def _divergence(known: Array) -> float:
    marginal = logsumexp(known, axis=0) - math.log(len(known))
    return float((np.exp(known) * (known - marginal)).sum(axis=1).mean())


def fid(first: Array, second: Array) -> float:
    """The Fréchet distance between normal distributions of two sets' means and unbiased covariances (Heusel et al.
    2017).

    tr (C C')^(1/2) is the sum of the square roots of the eigenvalues of the symmetric C^(1/2) C' C^(1/2), which are the
    singular values of A B^T, where C = A^T A and C' = B^T B: no root of a matrix is taken.

    Raises:
        ValueError: if a set has fewer than two items.
    """
    for features in (first, second):
        if len(features) < 2:
            raise ValueError(f"a covariance needs two items or more, got {len(features)}")
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    mean, other = first.mean(axis=0), second.mean(axis=0)
    a, b = _factor(first - mean), _factor(second - other)
    common = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return _distance(mean, other, (a**2).sum(), (b**2).sum(), common)


def frechet_distance(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
    """The same of means [D] and covariances [D, D]."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = root @ np.asarray(other_covariance, np.float64) @ root
    common = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(0)).sum()
    return _distance(mean, other_mean, np.trace(covariance), np.trace(other_covariance), common)


def _factor(centred: Array) -> Array:
    """A with C = A^T A, of no more rows than it needs."""
    scaled = centred / math.sqrt(len(centred) - 1)
    return np.asarray(np.linalg.qr(scaled, mode="r")) if len(scaled) > scaled.shape[1] else scaled


def _distance(mean: Array, other: Array, spread: float, other_spread: float, common: float) -> float:
    return max(0.0, float(np.square(np.asarray(mean) - other).sum() + spread + other_spread - 2 * common))


def kid(first: Array, second: Array, subsets: int = 100, size: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean and population standard deviation over ``subsets`` of the unbiased squared maximum mean discrepancy with
    kernel (x.y / D + 1)^3 (Bińkowski et al. 2018).

    Each subset holds ``size`` items of each set, or as many as the smaller has, drawn without repetition; where that is
    all of both, there is one. About 0, and below it as often as above, for sets of one distribution.

    Raises:
        ValueError: if a set has fewer than two items, or a number is out of range.
    """
    a, b = (np.asarray(features, np.float64) for features in (first, second))
    size = min(size, len(a), len(b))
    if size < 2 or subsets < 1:
        raise ValueError(f"needs a subset or more, of two items or more; got {subsets} of {size}")
    draws = np.random.default_rng(random.key(seed, "kid"))
    if size == len(a) == len(b):
        return _discrepancy(a, b), 0.0
    found = [
        _discrepancy(*(x[draws.choice(len(x), size, replace=False)] for x in (a, b)))
        for _ in range(subsets)
    ]  # fmt: skip
    return float(np.mean(found)), float(np.std(found))


def _discrepancy(a: Array, b: Array) -> float:
    count = len(a)
    within = [(kernel.sum() - np.trace(kernel)) / (count * (count - 1)) for kernel in (_kernel(a, a), _kernel(b, b))]
    return float(within[0] + within[1] - 2 * _kernel(a, b).mean())


def _kernel(a: Array, b: Array) -> Array:
    return (a @ b.T / a.shape[1] + 1) ** 3


def nearest(queries: Array, items: Array) -> tuple[Array, Array]:
    """(Euclidean distance [N] of each query to the nearest of ``items``, its index [N]), by brute force.

    The nearest is found by |x|^2 - 2 x.y + |y|^2, and its distance then taken from the difference, so that equal points
    are exactly 0 apart.
    """
    return _search(queries, items, apart=False)


def nearest_other(points: Array) -> Array:
    """The Euclidean distance [N] of each point to the nearest other one."""
    return _search(points, points, apart=True)[0]


def _search(queries: Array, items: Array, apart: bool, chunk: int = 512) -> tuple[Array, Array]:
    queries, items = np.asarray(queries, np.float64), np.asarray(items, np.float64)
    squares = (items**2).sum(axis=1)
    distances, places = np.empty(len(queries)), np.empty(len(queries), np.int64)
    for start in range(0, len(queries), chunk):
        some = queries[start : start + chunk]
        far = squares - 2 * some @ items.T  # the distances' squares less the queries' own, which change no order
        if apart:
            far[np.arange(len(some)), start + np.arange(len(some))] = np.inf
        found = far.argmin(axis=1)
        places[start : start + chunk] = found
        distances[start : start + chunk] = np.linalg.norm(some - items[found], axis=1)
    return distances, places


def cells_of(points: Array, count: int, seed: int = 0, rounds: int = 100) -> Array:
    """``count`` centres [count, D] by k-means: drawn far apart (k-means++), then Lloyd's iterations until none moves.

    A cell that loses its points moves to the point farthest from its centre.

    Raises:
        ValueError: if there are fewer points than cells.
    """
    points = np.asarray(points, np.float64)
    if not 1 <= count <= len(points):
        raise ValueError(f"cells must be within 1 to the number of points, {len(points)}; got {count}")
    centres = _spread(points, count, np.random.default_rng(random.key(seed, "k-means")))
    places = np.full(len(points), -1)
    for _ in range(rounds):
        distances, found = nearest(points, centres)
        if np.array_equal(found, places):
            break
        places = found
        for cell in range(count):
            mine = points[places == cell]
            if len(mine):
                centres[cell] = mine.mean(axis=0)
            else:
                far = int(distances.argmax())
                centres[cell], distances[far] = points[far], 0.0
    return centres


def _spread(points: Array, count: int, draws: np.random.Generator) -> Array:
    chosen = [int(draws.integers(len(points)))]
    squares = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count:
        total = squares.sum()
        chances = squares / total if total > 0 else None  # None: all points lie on centres, so any does
        chosen.append(int(draws.choice(len(points), p=chances)))
        squares = np.minimum(squares, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return points[chosen].copy()


def different_cells(counts: Sequence[int] | Array, others: Sequence[int] | Array) -> Array:
    """Which cells hold different shares of two sets, by the two-proportion z-test with the pooled share, two-sided, at
    0.05 (Richardson and Weiss 2018); a cell that is empty in both is the same."""
    a, b = np.asarray(counts, np.float64), np.asarray(others, np.float64)
    total, other_total = a.sum(), b.sum()
    pooled = (a + b) / (total + other_total)
    error = np.sqrt(pooled * (1 - pooled) * (1 / total + 1 / other_total))
    gap = np.abs(a / total - b / other_total)
    return gap > SIGNIFICANT * error


def ndb(counts: Sequence[int] | Array, others: Sequence[int] | Array) -> float:
    """Number of statistically different bins by number of bins."""
    return float(different_cells(counts, others).mean())


def jensen_shannon(counts: Sequence[int] | Array, others: Sequence[int] | Array) -> float:
    """The Jensen-Shannon divergence between two sets' shares of the cells [nat]."""
    p, q = (np.asarray(each, np.float64) / np.sum(each) for each in (counts, others))
    middle = (p + q) / 2
    return sum(float((x[x > 0] * np.log(x[x > 0] / middle[x > 0])).sum()) / 2 for x in (p, q))


def pitch_accuracy(logits: Array, labels: Sequence[int], classes: Sequence[int], within: int = 1) -> float:
    """Share of clips whose most likely class is at most ``within`` semitones from their label."""
    heard = np.asarray(classes)[np.asarray(logits).argmax(axis=1)]
    return float((np.abs(heard - np.asarray(labels)) <= within).mean())


def pitch_entropy(logits: Array) -> float:
    """Mean entropy of the class probabilities [nat]."""
    known = log_softmax(np.asarray(logits, np.float64), axis=1)
    return float(-(np.exp(known) * known).sum(axis=1).mean())
