"""How far a score would move with other clips of the same sources: jackknife variances and intervals.

The bootstrap would draw clips with repetition, and these scores would take that for a property of the set: repeated
clips lower the rank of FID's covariances, are nearest neighbours of each other at distance 0, and count in KID as pairs
of different clips. The jackknife instead leaves out one clip at a time, so no clip comes twice and nothing is drawn. On
average its variance is not below the true one of sets with one clip less, whatever the score (Efron and Stein 1981).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import log_softmax, stdtrit, xlogy

Array = np.ndarray
Bounds = tuple[float, float]
#: For the results: what low and high are of these metrics.
METHOD = (
    "jackknife over clips with Student's t; of the mean score of other sets of these sizes, so the bias of few clips "
    "remains in it"
)


def quantile(clips: int, confidence: float) -> float:
    """Half the width of a confidence interval [standard errors], by Student's t with ``clips`` - 1 degrees of freedom.

    Args:
        clips: number of clips.
        confidence: probability of the interval, such as 0.95.

    Raises:
        ValueError: if ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    return float(stdtrit(max(1, clips - 1), (1 + confidence) / 2))


def bounds(
    value: float, variance: float, clips: int, confidence: float, least: float = -math.inf, most: float = math.inf
) -> Bounds | None:
    """The confidence interval around a score, cut to the range of the score; None if the variance is 0 or not finite.

    Args:
        value: the score.
        variance: of the score.
        clips: number of clips, one more than the degrees of freedom of Student's t.
        confidence: probability of the interval, such as 0.95.
        least, most: the least and the largest value that the score can have.
    """
    if not (math.isfinite(value) and math.isfinite(variance) and variance > 0):
        return None
    half = quantile(clips, confidence) * math.sqrt(variance)
    return max(least, value - half), min(most, value + half)


def share_bounds(value: float, variance: float, judged: int, clips: int, confidence: float) -> Bounds | None:
    """The confidence interval of a share of clips (Wilson 1927), which stays within 0 and 1.

    Wilson's formula is for independent clips, so it is given the number of independent clips whose share would have
    this variance. A share of 0 or 1 has a variance of 0, which tells nothing; there all ``judged`` clips count as
    independent.

    Args:
        value: the share, 0 to 1.
        variance: of the share.
        judged: number of clips that it is a share of.
        clips: number of clips, one more than the degrees of freedom of Student's t.
        confidence: probability of the interval, such as 0.95.
    """
    if not (math.isfinite(value) and math.isfinite(variance)):
        return None
    plain = value * (1 - value)
    count = max(1.0, plain / variance) if plain > 0 and variance > 0 else float(judged)
    z = quantile(clips, confidence)
    middle = (value + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(plain / count + z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def variance(without: Array) -> Array:
    """The jackknife variance of a score (Tukey 1958), from its values [N, ...] with each of the N clips left out."""
    count = len(without)
    return (count - 1) / count * np.square(without - without.mean(axis=0)).sum(axis=0)


def inception_variance(logits: Array, splits: int) -> float:
    """The jackknife variance of :func:`scores.inception_score`; NaN if a group has fewer than three clips.

    Args:
        logits: [N, K] of N clips and K classes.
        splits: number of groups.
    """
    count = len(logits)
    known = log_softmax(np.asarray(logits, np.float64), axis=1)
    groups = [known[count * i // splits : count * (i + 1) // splits] for i in range(splits)]
    if min(map(len, groups)) < 3:
        return math.nan
    return float(sum(variance(_inception_without(group)) for group in groups)) / splits**2


def _inception_without(known: Array) -> Array:
    chances = np.exp(known)
    own = (chances * known).sum(axis=1)  # a clip's negative entropy
    rest = len(known) - 1
    marginals = (chances.sum(axis=0) - chances).clip(0) / rest
    return np.exp((own.sum() - own) / rest - xlogy(marginals, marginals).sum(axis=1))


def fid_variance(first: Array, second: Array, owners: Array | None = None, other_owners: Array | None = None) -> float:
    """The variance of :func:`scores.fid`, by the infinitesimal jackknife (Jaeckel 1972).

    That is from the score's derivatives with respect to the weight of each clip. It needs one decomposition, where
    leaving out each clip would need one for each of them. With covariances C = A^T A and C' = B^T B and the singular
    value decomposition A B^T = U S V^T, the trace of (C C')^(1/2) is that of S, and clip i's part of it is (U S
    U^T)_ii. No matrix is inverted, so sets with fewer clips than features are no problem.

    Args:
        first, second: features [N, D] and [M, D].
        owners, other_owners: the clip, counted from 0, that each row is of [N] and [M]; None where each is of its own. Rows of
            one clip are alike, so it is clips that are taken as independent.

    Raises:
        ValueError: if a set has fewer than two rows.
    """
    for features in (first, second):
        if len(features) < 2:
            raise ValueError(f"a covariance needs two items or more, got {len(features)}")
    one, other = (np.asarray(features, np.float64) for features in (first, second))
    gap = one.mean(axis=0) - other.mean(axis=0)
    (basis, a), (other_basis, b) = _rotated(one), _rotated(other)
    u, s, vt = np.linalg.svd(a @ b.T, full_matrices=False)
    found = 0.0
    for points, direction, place, vectors, owner in (
        (one, gap, basis, u, owners),
        (other, -gap, other_basis, vt.T, other_owners),
    ):
        count, centred = len(points), points - points.mean(axis=0)
        vectors = vectors if place is None else place @ vectors
        spread = count / (count - 1) * np.square(centred).sum(axis=1)
        common = count * (np.square(vectors) @ s)
        # The derivatives of the squared distance of the means, of the trace of the own covariance, and of the trace of
        # twice the root, the last two about their means.
        influence = 2 * centred @ direction + spread - spread.mean() - (common - common.mean())
        whole = influence if owner is None else np.bincount(owner, influence)
        clips = len(whole)
        found += clips / (clips - 1) * float(np.square(whole).sum()) / count**2 if clips > 1 else math.nan
    return found


def _rotated(points: Array) -> tuple[Array | None, Array]:
    """(Q or None, R) with A = Q R, A being the centred points [N, D] by the root of N - 1; R has at most D rows.

    None stands for the identity, where N is at most D.
    """
    a = (points - points.mean(axis=0)) / math.sqrt(len(points) - 1)
    if len(a) <= a.shape[1]:
        return None, a
    basis, triangle = np.linalg.qr(a)
    return basis, triangle


def kid_variance(first: Array, second: Array, chunk: int = 1024) -> float:
    """The jackknife variance of :func:`scores.kid` of all clips; NaN for fewer than three clips in a set.

    It is also the variance of the mean over random subsets, apart from what drawing the subsets adds.

    Args:
        first, second: features [N, D] and [M, D].
        chunk: rows of the kernel matrix that are computed at once, to save memory.
    """
    a, b = (np.asarray(features, np.float64) for features in (first, second))
    if min(len(a), len(b)) < 3:
        return math.nan
    between, other_between = np.zeros(len(a)), np.zeros(len(b))
    for start in range(0, len(a), chunk):
        kernel = _kernel(a[start : start + chunk], b)
        between[start : start + chunk] = kernel.sum(axis=1)
        other_between += kernel.sum(axis=0)
    return sum(
        float(variance(_kid_without(_within(points, chunk), across, count)))
        for points, across, count in ((a, between, len(b)), (b, other_between, len(a)))
    )


def _within(points: Array, chunk: int) -> Array:
    """For each clip [N], the sum of its kernel values with all other clips of its set."""
    # The kernel of a clip with itself, (x.x / D + 1)^3, is taken off again.
    sums = np.concatenate([_kernel(points[i : i + chunk], points).sum(axis=1) for i in range(0, len(points), chunk)])
    return sums - (np.square(points).sum(axis=1) / points.shape[1] + 1) ** 3


def _kid_without(within: Array, across: Array, others: int) -> Array:
    """Those terms of the discrepancy that depend on one set's clips, with each of them left out [N].

    Args:
        within: sums of each clip's kernel with the other clips of its set [N].
        across: sums of each clip's kernel with the clips of the other set [N].
        others: number of clips in the other set.
    """
    count = len(within)
    # Leaving out a clip takes its row and its column from the kernel matrix, which are alike.
    inside = (within.sum() - 2 * within) / ((count - 1) * (count - 2))
    return inside - 2 * (across.sum() - across) / ((count - 1) * others)


def _kernel(a: Array, b: Array) -> Array:
    return (a @ b.T / a.shape[1] + 1) ** 3
