"""Weights of losses, regularisers, objectives and discriminators: numbers, or numbers that change with the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gansemble.numbers import Items, Step, Weight

#: What a recipe may write as a weight: a number, or numbers by step.
WeightOrSchedule = Weight | Annotated[dict[Step, Weight], Items(at_least=1)]


@dataclass(frozen=True)
class Schedule:
    """A weight that changes with the training step.

    It is linear between two points, and constant before the first and after the last.

    Args:
        points: (step, weight), sorted by step.
    """

    points: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, value: float | dict[int, float]) -> Schedule:
        """The schedule of a number, or of ``{step: weight}`` such as ``{0: 45, 200000: 5}``."""
        pairs = sorted(value.items()) if isinstance(value, dict) else [(0, value)]
        return cls(tuple((int(step), float(weight)) for step, weight in pairs))

    def at(self, step: int) -> float:
        """The weight at a step."""
        before = [point for point in self.points if point[0] <= step]
        after = [point for point in self.points if point[0] > step]
        if not before or not after:
            return (before[-1] if before else after[0])[1]
        (x0, y0), (x1, y1) = before[-1], after[0]  # the neighbouring points, on a straight line
        return y0 + (y1 - y0) * (step - x0) / (x1 - x0)

    def plain(self) -> float | dict[int, float]:
        """The number or the mapping from steps to weights, as it is written in YAML."""
        return self.points[0][1] if len(self.points) == 1 else dict(self.points)
