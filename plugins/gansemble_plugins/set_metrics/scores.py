"""The scores of sets as functions of arrays, computed in float64.

Logits are [N, K] of N clips and K classes; features and points are [N, D] of N clips and D numbers.
"""

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
    """Mean and population standard deviation over groups of the inception score (Salimans et al. 2016).

    In each group it is exp(mean over clips of the Kullback-Leibler divergence between the clip's class probabilities
    and their mean over the group).

    Args:
        logits: [N, K].
        splits: number of groups of consecutive clips.

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
    """The Fréchet distance between normal distributions fitted to two sets (Heusel et al. 2017).

    They have the sets' means and unbiased covariances C and C'.

    With C = A^T A and C' = B^T B, the trace of (C C')^(1/2) is the sum of the square roots of the eigenvalues of the
    symmetric C^(1/2) C' C^(1/2), which are the singular values of A B^T. So no root of a matrix is computed.

    Args:
        first, second: features [N, D] and [M, D].

    Raises:
        ValueError: if a set has fewer than two clips.
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
    """The Fréchet distance between two normal distributions, given by their means [D] and covariances [D, D]."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    # Rounding may make eigenvalues of 0 slightly negative, here and below.
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = root @ np.asarray(other_covariance, np.float64) @ root
    common = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(0)).sum()
    return _distance(mean, other_mean, np.trace(covariance), np.trace(other_covariance), common)


def _factor(centred: Array) -> Array:
    """A [min(N, D), D] with C = A^T A, C being the covariance of the centred features [N, D]."""
    scaled = centred / math.sqrt(len(centred) - 1)
    return np.asarray(np.linalg.qr(scaled, mode="r")) if len(scaled) > scaled.shape[1] else scaled


def _distance(mean: Array, other: Array, spread: float, other_spread: float, common: float) -> float:
    return max(0.0, float(np.square(np.asarray(mean) - other).sum() + spread + other_spread - 2 * common))


def kid(first: Array, second: Array, subsets: int = 100, size: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean and population standard deviation over random subsets of the kernel distance (Bińkowski et al. 2018).

    It is the unbiased squared maximum mean discrepancy with kernel (x.y / D + 1)^3. For two sets of one distribution it
    is about 0, and as often below as above it.

    Args:
        first, second: features [N, D] and [M, D].
        subsets: number of subsets.
        size: clips of each set in a subset, drawn without repetition; at most as many as the smaller set has. If that
            is all of both, there is one subset.
        seed: of the draws.

    Raises:
        ValueError: if a set has fewer than two clips, or a number is out of range.
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
    # Without the diagonal, the kernel of a clip with itself, the estimate is unbiased.
    within = [(kernel.sum() - np.trace(kernel)) / (count * (count - 1)) for kernel in (_kernel(a, a), _kernel(b, b))]
    return float(within[0] + within[1] - 2 * _kernel(a, b).mean())


def _kernel(a: Array, b: Array) -> Array:
    return (a @ b.T / a.shape[1] + 1) ** 3


def nearest(queries: Array, items: Array) -> tuple[Array, Array]:
    """The nearest of ``items`` to each query: (its Euclidean distance [N], its index [N]), by brute force.

    The nearest is found by |x|^2 - 2 x.y + |y|^2, and its distance then computed from the difference, so that equal
    points are at a distance of exactly 0.

    Args:
        queries: [N, D].
        items: [M, D].
    """
    return _search(queries, items, apart=False)


def nearest_other(points: Array) -> Array:
    """The Euclidean distance of each of ``points`` [N, D] to the nearest other one; [N]."""
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
    """The centres [count, D] of k-means clusters, begun by k-means++ and moved by Lloyd's iterations until none moves.

    A cluster that loses its points moves to the point that is farthest from its own centre.

    Args:
        points: [N, D].
        count: number of clusters.
        seed: of the first centres.
        rounds: at most so many iterations.

    Raises:
        ValueError: if there are fewer points than clusters.
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
    """Which of several cells hold significantly different shares of two sets (Richardson and Weiss 2018); bool [cells].

    By the two-proportion z-test with the pooled share, two-sided, at the 5 % level. A cell that is empty in both sets
    counts as equal.

    Args:
        counts, others: number of items of each set in each cell [cells].
    """
    a, b = np.asarray(counts, np.float64), np.asarray(others, np.float64)
    total, other_total = a.sum(), b.sum()
    pooled = (a + b) / (total + other_total)
    error = np.sqrt(pooled * (1 - pooled) * (1 / total + 1 / other_total))
    gap = np.abs(a / total - b / other_total)
    return gap > SIGNIFICANT * error


def ndb(counts: Sequence[int] | Array, others: Sequence[int] | Array) -> float:
    """The share of cells that hold significantly different shares of two sets, see :func:`different_cells`."""
    return float(different_cells(counts, others).mean())


def jensen_shannon(counts: Sequence[int] | Array, others: Sequence[int] | Array) -> float:
    """The Jensen-Shannon divergence between the shares of two sets in the cells [nat], from their counts [cells]."""
    p, q = (np.asarray(each, np.float64) / np.sum(each) for each in (counts, others))
    middle = (p + q) / 2
    return sum(float((x[x > 0] * np.log(x[x > 0] / middle[x > 0])).sum()) / 2 for x in (p, q))


def pitch_accuracy(logits: Array, labels: Sequence[int], classes: Sequence[int], within: int = 1) -> float:
    """Share of clips whose most likely class is at most ``within`` semitones from their label.

    Args:
        logits: [N, K].
        labels: of the clips [semitones].
        classes: label of each logit [semitones].
        within: largest distance that counts as right [semitones].
    """
    heard = np.asarray(classes)[np.asarray(logits).argmax(axis=1)]
    return float((np.abs(heard - np.asarray(labels)) <= within).mean())


def pitch_entropy(logits: Array) -> float:
    """Mean entropy of the class probabilities of clips [nat], from logits [N, K]."""
    known = log_softmax(np.asarray(logits, np.float64), axis=1)
    return float(-(np.exp(known) * known).sum(axis=1).mean())
