"""The kernel audio distance as a function of arrays (Chung et al. 2025, arXiv 2502.15602), in float64 and in blocks of rows.

It is 100 times the unbiased squared maximum mean discrepancy with the kernel exp(-|x - y|^2 / (2 s^2)). The bandwidth s is the
median of the distances between the references.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gansemble import random
from gansemble_plugins.set_metrics import jackknife

Array = np.ndarray
SCALE = 100.0
#: Rows of distances that are computed at once.
CHUNK = 512
#: Points among which the median of distances is searched, so that all of them fit into 140 MB; more are drawn from a seed.
MOST = 8192
#: Rows are the same when they are apart by less than this share of their length.
SAME = 1e-6


@dataclass(frozen=True)
class Kernels:
    """Sums of kernel values within a set of rows.

    Args:
        others: of each row's kernel values with the other rows of its set [N].
        within: of each clip, the sum over the pairs of its own rows [clips].
        rows: how many rows each clip has [clips].
        owners: the clip of each row [N].
    """

    others: Array
    within: Array
    rows: Array
    owners: Array

    @classmethod
    def of(cls, points: Array, owners: Array, bandwidth: float) -> Kernels:
        """The sums of ``points`` [N, D], whose clips are ``owners`` [N], counted from 0."""
        others, within = np.empty(len(points)), np.zeros(int(owners.max()) + 1)
        for start, squares in _squares(points, points):
            kernel, own = np.exp(squares / (-2 * bandwidth**2)), owners[start : start + len(squares)]
            kernel[np.arange(len(squares)), start + np.arange(len(squares))] = 0
            others[start : start + len(squares)] = kernel.sum(axis=1)
            within += np.bincount(own, (kernel * (own[:, None] == owners)).sum(axis=1), len(within))
        return cls(others, within, np.bincount(owners), owners)

    def mean(self) -> float:
        """The mean kernel value of two different rows."""
        count = len(self.others)
        return float(self.others.sum()) / (count * (count - 1))

    def without(self) -> Array:
        """The same with each clip left out [clips]; NaN where fewer than two rows are left."""
        left = len(self.others) - self.rows
        gone = 2 * np.bincount(self.owners, self.others, len(self.rows)) - self.within
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(left > 1, (self.others.sum() - gone) / (left * (left - 1)), np.nan)


def bandwidth(references: Array, seed: int = 0) -> float:
    """The median of the distances between different rows [N, D]; of :data:`MOST` rows drawn from a seed where there are more.

    It is 0 where half of the pairs or more are of equal rows.

    Raises:
        ValueError: if there are fewer than two rows.
    """
    if len(references) < 2:
        raise ValueError(f"a distance needs two references or more, got {len(references)}")
    points = np.asarray(references, np.float64)
    if len(points) > MOST:
        chosen = np.random.default_rng(random.key(seed, "kad bandwidth")).choice(len(points), MOST, replace=False)
        points = points[np.sort(chosen)]
    found = np.empty(len(points) * (len(points) - 1) // 2, np.float32)
    filled = 0
    for start, squares in _squares(points, points):
        for row, line in enumerate(squares, start + 1):
            found[filled : filled + len(points) - row] = line[row:]
            filled += len(points) - row
    width = float(np.median(np.sqrt(found, out=found), overwrite_input=True))
    # Equal rows may be apart by what subtracting nearly equal numbers leaves.
    return width if width > SAME * math.sqrt(float(np.square(points).sum(axis=1).mean())) else 0.0


def kad(
    first: Array, second: Array, width: float, owners: Array | None = None, other_owners: Array | None = None
) -> tuple[float, float]:
    """The kernel audio distance of two sets, and its jackknife variance over clips, at a fixed bandwidth.

    Args:
        first, second: rows [N, D] and [M, D].
        width: the bandwidth, above 0.
        owners, other_owners: the clip, counted from 0, that each row is of [N] and [M]; None where each is of its own.

    Returns:
        (distance, variance); the variance is NaN where a set has fewer than three clips.

    Raises:
        ValueError: if a set has fewer than two rows.
    """
    a, b = (np.asarray(each, np.float64) for each in (first, second))
    if min(len(a), len(b)) < 2:
        raise ValueError(f"needs two rows or more of both sets, got {len(a)} and {len(b)}")
    ours = np.arange(len(a)) if owners is None else owners
    theirs = np.arange(len(b)) if other_owners is None else other_owners
    one, other = Kernels.of(a, ours, width), Kernels.of(b, theirs, width)
    across, other_across = np.zeros(len(one.rows)), np.zeros(len(other.rows))
    for start, squares in _squares(a, b):
        kernel = np.exp(squares / (-2 * width**2))
        across += np.bincount(ours[start : start + len(kernel)], kernel.sum(axis=1), len(across))
        other_across += np.bincount(theirs, kernel.sum(axis=0), len(other_across))
    value = one.mean() + other.mean() - 2 * float(across.sum()) / (len(a) * len(b))
    variance = 0.0
    for own, gone, others in ((one, across, len(b)), (other, other_across, len(a))):
        left = (len(own.others) - own.rows) * others
        with np.errstate(divide="ignore", invalid="ignore"):
            without = own.without() - 2 * (gone.sum() - gone) / left
        variance += float(jackknife.variance(without)) if len(without) > 2 else math.nan
    return SCALE * value, SCALE**2 * variance


def _squares(a: Array, b: Array) -> Iterator[tuple[int, Array]]:
    """Yields (index of the first row, squared distances [n, M]) of the rows of ``a`` [N, D] to those of ``b`` [M, D]."""
    middle = b.mean(axis=0)  # about it, little is lost of small distances between points far from 0
    a, b = a - middle, b - middle
    norms = np.square(b).sum(axis=1)
    for start in range(0, len(a), CHUNK):
        some = a[start : start + CHUNK]
        yield start, (np.square(some).sum(axis=1)[:, None] + norms - 2 * some @ b.T).clip(0)
