"""In which direction a score is better: higher, lower, at a value, or in none, as it only helps to read another one.

Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NotRequired, TypedDict


class ReadingFields(TypedDict):
    """What a row of ``scores/summary.json`` holds of how a score is read.

    Attributes:
        better: ``higher``, ``lower``, ``target``, or ``none`` for what only helps to read another score.
        target: the value that is best.
        meaning: what the numbers mean, for somebody who has not used the metric before.
    """

    better: str
    target: NotRequired[float]
    meaning: NotRequired[str]


@dataclass(frozen=True)
class Direction:
    """In which direction a score is better.

    Args:
        better: ``higher``, ``lower``, ``target`` for a value that is best, ``none`` for a score without a direction.
        target: that value.
    """

    better: str = "none"
    target: float | None = None

    @property
    def arrow(self) -> str:
        """A sign beside the score's name; empty without a direction."""
        if self.better == "target":
            return f"→ {self.target:g}"
        return {"higher": "↑", "lower": "↓"}.get(self.better, "")

    @property
    def words(self) -> str:
        """The direction in words."""
        if self.better == "target":
            return f"best at {self.target:g}"
        return {"higher": "higher is better", "lower": "lower is better"}.get(
            self.better, "says nothing of quality alone"
        )

    def cost(self, value: float) -> float:
        """A number that is smaller the better the value is; NaN without a direction, or of NaN."""
        if self.better == "target" and self.target is not None:
            return abs(value - self.target)
        return {"higher": -value, "lower": value}.get(self.better, math.nan)

    def improves(self, first: float, second: float) -> bool | None:
        """Whether a second value is better than a first one; None without a direction, or if one is NaN or both are as good."""
        before, after = self.cost(first), self.cost(second)
        return None if math.isnan(before + after) or before == after else after < before

    def costs(self, values: Mapping[str, float]) -> dict[str, float]:
        """The same of each file's value."""
        return {name: self.cost(value) for name, value in values.items()}

    def best(self, values: Iterable[float]) -> float | None:
        """The best of some values; None where there is none, or no direction."""
        known = [value for value in values if not math.isnan(self.cost(value))]
        return min(known, key=self.cost, default=None)


def direction_of(row: ReadingFields) -> Direction:
    """The direction of a score by its row in ``scores/summary.json``."""
    return Direction(row["better"], row.get("target"))


def fields(direction: Direction, meaning: str) -> ReadingFields:
    """What rows of ``scores/summary.json`` hold of a score's direction and meaning."""
    found: ReadingFields = {"better": direction.better}
    if direction.target is not None:
        found["target"] = direction.target
    if meaning:
        found["meaning"] = meaning
    return found
