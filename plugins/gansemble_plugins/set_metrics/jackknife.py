"""How far a set's score would move with other clips of the same source: jackknife variances and the intervals they make.

The bootstrap draws clips with repetition, which these scores take for a property of the set: repeated clips lower the
rank of FID's covariances and are neighbours at distance 0 to each other, and pairs of one clip with itself count as
pairs in KID. The jackknife leaves each clip out once instead, so that no clip comes twice and nothing is drawn. On
average that variance is not below the true one of sets with a clip less, whatever the score (Efron and Stein 1981).
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
    """Half the width of an interval in standard errors, by Student's t of one degree of freedom less than clips.

    Raises:
        ValueError: if confidence is not within 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    return float(stdtrit(max(1, clips - 1), (1 + confidence) / 2))


def bounds(
    value: float, variance: float, clips: int, confidence: float, least: float = -math.inf, most: float = math.inf
) -> Bounds | None:
    """``value`` and so many standard errors on both sides, within what the score can be; None where nothing varies."""
    if not (math.isfinite(value) and math.isfinite(variance) and variance > 0):
        return None
    half = quantile(clips, confidence) * math.sqrt(variance)
    return max(least, value - half), min(most, value + half)


def share_bounds(value: float, variance: float, judged: int, clips: int, confidence: float) -> Bounds | None:
    """Bounds of a share of ``judged`` clips (Wilson 1927), for as many independent ones as would have this variance.

    A share of 0 or 1 has no variance to be seen; there all ``judged`` count as independent.
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
    """The jackknife variance of a score from its values [N, ...] without each clip (Tukey 1958)."""
    count = len(without)
    return (count - 1) / count * np.square(without - without.mean(axis=0)).sum(axis=0)


def inception_variance(logits: Array, splits: int) -> float:
    """Of :func:`scores.inception_score`; NaN where a group has fewer than three clips."""
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


def fid_variance(first: Array, second: Array) -> float:
    """Of :func:`scores.fid`, by its derivatives with respect to each item's weight (the infinitesimal jackknife, Jaeckel
    1972), which need one decomposition where leaving each item out would need as many as there are items.

    With C = A^T A, C' = B^T B and A B^T = U S V^T, the trace of (C C')^(1/2) is that of S, and item i's part of it is
    (U S U^T)_ii. No matrix is inverted, so fewer items than features make no trouble.

    Raises:
        ValueError: if a set has fewer than two items.
    """
    for features in (first, second):
        if len(features) < 2:
            raise ValueError(f"a covariance needs two items or more, got {len(features)}")
    one, other = (np.asarray(features, np.float64) for features in (first, second))
    gap = one.mean(axis=0) - other.mean(axis=0)
    (basis, a), (other_basis, b) = _rotated(one), _rotated(other)
    u, s, vt = np.linalg.svd(a @ b.T, full_matrices=False)
    found = 0.0
    for points, direction, place, vectors in ((one, gap, basis, u), (other, -gap, other_basis, vt.T)):
        count, centred = len(points), points - points.mean(axis=0)
        vectors = vectors if place is None else place @ vectors
        spread = count / (count - 1) * np.square(centred).sum(axis=1)
        common = count * (np.square(vectors) @ s)
        influence = 2 * centred @ direction + spread - spread.mean() - (common - common.mean())
        found += float(np.square(influence).sum()) / (count * (count - 1))
    return found


def _rotated(points: Array) -> tuple[Array | None, Array]:
    """(Q or None, R) with A = Q R the centred, scaled points, of no more rows than they need."""
    a = (points - points.mean(axis=0)) / math.sqrt(len(points) - 1)
    if len(a) <= a.shape[1]:
        return None, a
    basis, triangle = np.linalg.qr(a)
    return basis, triangle


def kid_variance(first: Array, second: Array, chunk: int = 1024) -> float:
    """Of the unbiased discrepancy of all items, as in :func:`scores.kid`; NaN for fewer than three items in a set.

    That is also the variance of the mean over subsets, less what drawing them adds.
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
    """Sums [N] of each item's kernel with all others of its set."""
    sums = np.concatenate([_kernel(points[i : i + chunk], points).sum(axis=1) for i in range(0, len(points), chunk)])
    return sums - (np.square(points).sum(axis=1) / points.shape[1] + 1) ** 3


def _kid_without(within: Array, across: Array, others: int) -> Array:
    """What of the discrepancy depends on one set's items, without each of them."""
    count = len(within)
    inside = (within.sum() - 2 * within) / ((count - 1) * (count - 2))
    return inside - 2 * (across.sum() - across) / ((count - 1) * others)


def _kernel(a: Array, b: Array) -> Array:
    return (a @ b.T / a.shape[1] + 1) ** 3
