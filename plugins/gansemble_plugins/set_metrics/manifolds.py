"""Precision, recall, density and coverage of two sets of points, by balls to the k-th nearest neighbour."""

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

    The radius of a ball is the distance of its centre to the k-th nearest other centre.

    Args:
        inside: [N, M], whether point j lies in ball i or on its surface.
        wider: the same with balls that reach to the (k+1)-th nearest centre: what a ball becomes if one of its k
            nearest centres is left out.
        neighbours: [N, k], indices of the k nearest other centres of each centre.
    """

    inside: Array
    wider: Array
    neighbours: Array

    @classmethod
    def of(cls, centres: Array, points: Array, nearest: int) -> Balls:
        """The balls around ``centres`` [N, D] and which of ``points`` [M, D] lie in them, both float64.

        Args:
            centres: N points of D numbers.
            points: M points of D numbers.
            nearest: k, the neighbour that a ball reaches to.

        Raises:
            ValueError: unless ``nearest`` is at least 1 and less than the number of centres.
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
        """The number of balls that each point lies in [M]."""
        return self.inside.sum(axis=0)

    def without_centres(self) -> tuple[Array, Array, Array]:
        """Three numbers with each of the N centres left out, for the jackknife; [N] each.

        Balls whose centre had the left-out one among its k nearest become wider.

        Returns:
            (share of the points that lie in a ball, mean number of balls that a point lies in, share of the balls that
                hold a point).
        """
        count, hits = len(self.inside), self.hits
        held, more = (np.asarray(each.any(axis=1)) for each in (self.inside, self.wider))
        sharing: list[list[int]] = [[] for _ in range(count)]
        for centre, near in enumerate(self.neighbours):
            for other in near:
                sharing[other].append(centre)
        caught, mean, full = (np.empty(count) for _ in range(3))
        for gone, grown in enumerate(sharing):
            # Without the ball of its own, and with the points that balls gain which grow in its absence.
            left = hits - self.inside[gone] + (self.wider[grown] & ~self.inside[grown]).sum(axis=0)
            caught[gone], mean[gone] = (left > 0).mean(), left.mean()
            full[gone] = (held.sum() - held[gone] + more[grown].sum() - held[grown].sum()) / (count - 1)
        return caught, mean, full

    def without_points(self) -> tuple[Array, Array, Array]:
        """The same three numbers with each of the M points left out; [M] each."""
        hits, kept = self.hits, self.inside.shape[1] - 1
        filled = self.inside.sum(axis=1)
        alone = self.inside[filled == 1].sum(axis=0)  # balls that hold this point and no other
        caught, mean = ((x.sum() - x) / kept for x in ((hits > 0).astype(np.float64), hits.astype(np.float64)))
        return caught, mean, ((filled > 0).sum() - alone) / len(self.inside)


def _squares(a: Array, b: Array) -> Iterator[tuple[int, Array, Array]]:
    """Squared distances of the rows of ``a`` [N, D] to those of ``b`` [M, D], a chunk of rows at a time.

    Yields:
        (index of the chunk's first row, squared distances [n, M], bound of their rounding errors [n, M]).
    """
    norms, others = np.square(a).sum(axis=1), np.square(b).sum(axis=1)
    for start in range(0, len(a), CHUNK):
        both = norms[start : start + CHUNK, None] + others
        yield start, (both - 2 * a[start : start + CHUNK] @ b.T).clip(0), ROUNDING * both


@dataclass(frozen=True)
class Overlap:
    """Balls around real points with the fake points in them, and balls around fake points with the real points in them.

    Args:
        real: balls around real points; None if there are too few of them.
        fake: balls around fake points; None if there are too few of them.
        nearest: k, the neighbour that a ball reaches to.
    """

    real: Balls | None
    fake: Balls | None
    nearest: int

    @classmethod
    def of(cls, real: Array, fake: Array, nearest: int) -> Overlap:
        """The balls of ``real`` [N, D] and ``fake`` [M, D] points.

        Args:
            real: N points of D numbers.
            fake: M points of D numbers.
            nearest: k, the neighbour that a ball reaches to.

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
        """Precision, density, coverage and recall, as far as there are points enough.

        Precision is the share of fake points within a ball around a real one, recall the share of real points within a
        ball around a fake one (Kynkäänniemi et al. 2019, eq. 1 and 2). Density is the mean number of real balls that a
        fake point lies in, divided by ``nearest``, and coverage the share of real balls that hold a fake point (Naeem
        et al. 2020, eq. 4 and 5).
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
        """Jackknife variances of these values over the points of both sets, as far as there are points enough.

        The set of the centres must have more than ``nearest`` + 1 points, the other one more than one.
        """
        found: dict[str, float] = {}
        if self.real is not None and len(self.real.inside) > self.nearest + 1 and self.real.inside.shape[1] > 1:
            sides = [self.real.without_centres(), self.real.without_points()]
            caught, mean, full = (sum(float(jackknife.variance(side[i])) for side in sides) for i in range(3))
            found |= {"precision": caught, "density": mean / self.nearest**2, "coverage": full}
        if self.fake is not None and len(self.fake.inside) > self.nearest + 1 and self.fake.inside.shape[1] > 1:
            both = (self.fake.without_centres()[0], self.fake.without_points()[0])
            found["recall"] = sum(float(jackknife.variance(side)) for side in both)
        return found
