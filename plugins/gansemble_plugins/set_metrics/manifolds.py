"""Precision, recall, density and coverage of two sets of points, from balls that reach to the k-th nearest neighbour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gansemble_plugins.set_metrics import jackknife

Array = np.ndarray
CHUNK = 512
#: Squared distances are equal when they differ by less than this share of the points' squared norms: rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Balls:
    """Balls around centres, and which points lie in them.

    Args:
        inside: [N, M], whether point j lies in or on ball i.
        wider: the same of balls to the neighbour after the k-th, which is what is left when a nearer one goes.
        neighbours: [N, k], the k nearest other centres of each.
    """

    inside: Array
    wider: Array
    neighbours: Array

    @classmethod
    def of(cls, centres: Array, points: Array, nearest: int) -> Balls:
        """Of centres [N, D] and points [M, D], both float64.

        Raises:
            ValueError: unless there are more centres than ``nearest``, which is at least 1.
        """
        if not 1 <= nearest < len(centres):
            raise ValueError(
                f"nearest must be within 1 and {len(centres) - 1}, one less than the centres; got {nearest}"
            )
        middle = centres.mean(axis=0)
        centres, points = centres - middle, points - middle
        inside = np.empty((len(centres), len(points)), bool)
        wider, neighbours = np.empty_like(inside), np.empty((len(centres), nearest), np.int64)
        own = _squares(centres, centres)
        for (start, distances, _), (_, across, slack) in zip(own, _squares(centres, points), strict=True):
            rows = np.arange(len(distances))
            distances[rows, start + rows] = np.inf
            wanted = min(nearest + 1, len(centres) - 1)
            near = np.argpartition(distances, wanted - 1, axis=1)[:, :wanted]
            near = np.take_along_axis(near, np.take_along_axis(distances, near, 1).argsort(axis=1, kind="stable"), 1)
            reach = np.take_along_axis(distances, near, 1)
            place = slice(start, start + len(rows))
            neighbours[place] = near[:, :nearest]
            inside[place] = across <= reach[:, nearest - 1, None] + slack
            wider[place] = across <= reach[:, -1, None] + slack
        return cls(inside, wider, neighbours)

    @property
    def hits(self) -> Array:
        """In how many balls each point lies [M]."""
        return self.inside.sum(axis=0)

    def without_centres(self) -> tuple[Array, Array, Array]:
        """(share of points in a ball, balls by point, share of balls with a point) [N] each, without each centre.

        The centres that had it among their nearest get the wider ball.
        """
        count, hits = len(self.inside), self.hits
        held, more = (np.asarray(each.any(axis=1)) for each in (self.inside, self.wider))
        sharing: list[list[int]] = [[] for _ in range(count)]
        for centre, near in enumerate(self.neighbours):
            for other in near:
                sharing[other].append(centre)
        caught, mean, full = (np.empty(count) for _ in range(3))
        for gone, grown in enumerate(sharing):
            left = hits - self.inside[gone] + (self.wider[grown] & ~self.inside[grown]).sum(axis=0)
            caught[gone], mean[gone] = (left > 0).mean(), left.mean()
            full[gone] = (held.sum() - held[gone] + more[grown].sum() - held[grown].sum()) / (count - 1)
        return caught, mean, full

    def without_points(self) -> tuple[Array, Array, Array]:
        """The same [M] each, without each point."""
        hits, kept = self.hits, self.inside.shape[1] - 1
        filled = self.inside.sum(axis=1)
        alone = self.inside[filled == 1].sum(axis=0)  # balls that hold this point and no other
        caught, mean = ((x.sum() - x) / kept for x in ((hits > 0).astype(np.float64), hits.astype(np.float64)))
        return caught, mean, ((filled > 0).sum() - alone) / len(self.inside)


def _squares(a: Array, b: Array) -> Iterator[tuple[int, Array, Array]]:
    """(first row, squared distances, their rounding errors at most) of some rows of ``a`` to all of ``b`` at a time."""
    norms, others = np.square(a).sum(axis=1), np.square(b).sum(axis=1)
    for start in range(0, len(a), CHUNK):
        both = norms[start : start + CHUNK, None] + others
        yield start, (both - 2 * a[start : start + CHUNK] @ b.T).clip(0), ROUNDING * both


@dataclass(frozen=True)
class Overlap:
    """Balls around real points with fake points in them, or None of too few real ones; and the other way round."""

    real: Balls | None
    fake: Balls | None
    nearest: int

    @classmethod
    def of(cls, real: Array, fake: Array, nearest: int) -> Overlap:
        """Of real [N, D] and fake [M, D] points.

        Raises:
            ValueError: if ``nearest`` is below 1.
        """
        if nearest < 1:
            raise ValueError(f"nearest must be at least 1, got {nearest}")
        real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
        around = [
            Balls.of(centres, points, nearest) if len(centres) > nearest else None
            for centres, points in ((real, fake), (fake, real))
        ]
        return cls(around[0], around[1], nearest)

    def values(self) -> dict[str, float]:
        """Those that can be computed of precision, density, coverage and recall.

        Precision is the share of fake points within a ball around a real one, recall the share of real points within a
        ball around a fake one (Kynkäänniemi et al. 2019, eq. 1 and 2). Density is the mean number of real balls that a
        fake point lies in, by ``nearest``, and coverage the share of real balls with a fake point in them (Naeem et al.
        2020, eq. 4 and 5).
        """
        found: dict[str, float] = {}
        if self.real is not None:
            found["precision"] = float((self.real.hits > 0).mean())
            found["density"] = float(self.real.hits.mean() / self.nearest)
            found["coverage"] = float(self.real.inside.any(axis=1).mean())
        if self.fake is not None:
            found["recall"] = float((self.fake.hits > 0).mean())
        return found

    def variances(self) -> dict[str, float]:
        """Jackknife variances of the values, over the points of both sets, where each set has more than nearest + 1."""
        found: dict[str, float] = {}
        if self.real is not None and len(self.real.inside) > self.nearest + 1 and self.real.inside.shape[1] > 1:
            sides = [self.real.without_centres(), self.real.without_points()]
            caught, mean, full = (sum(float(jackknife.variance(side[i])) for side in sides) for i in range(3))
            found |= {"precision": caught, "density": mean / self.nearest**2, "coverage": full}
        if self.fake is not None and len(self.fake.inside) > self.nearest + 1 and self.fake.inside.shape[1] > 1:
            both = (self.fake.without_centres()[0], self.fake.without_points()[0])
            found["recall"] = sum(float(jackknife.variance(side)) for side in both)
        return found
