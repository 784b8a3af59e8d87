"""Schedules of learning rates: what the base rate is multiplied by at a step. All are pure functions of step and epoch.

Steps and epochs count from 0. A rate that warms up is at 1 / n of its base in the first of n steps, as a first step at a
rate of 0 would be lost.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from gansemble.contract import ScheduleContract
from gansemble.numbers import InnerShare, NonNegative, Range, Several, Step, Steps

Unit = Literal["step", "epoch"]


def _cosine(first: float, last: float, share: float) -> float:
    """From ``first`` to ``last`` along half a period of a cosine, at a share between 0 and 1 of the way."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))


def _demand_at_least(least: float, **given: float) -> None:
    for name, value in given.items():
        if not (math.isfinite(value) and value >= least):
            raise ValueError(f"{name} must be at least {least:g}, got {value:g}")


class WarmupCosine:
    """Grows linearly, then falls along half a period of a cosine to a floor (Loshchilov and Hutter 2017, without restarts).

    With w steps of warm-up and an end at step e: (step + 1) / w before step w, then floor + (1 - floor) (1 + cos(pi (step -
    w) / (e - w))) / 2, and the floor from step e on.

    Args:
        warmup: [steps].
        floor: share of the base rate at the end.
        end: the step at which the floor is reached; null is the end of the plan.

    Raises:
        ValueError: if a number is negative, or the end is not after the warm-up.
    """

    def __init__(self, *, warmup: Step = 0, floor: NonNegative = 0.0, end: Steps | None = None) -> None:
        _demand_at_least(0, warmup=warmup, floor=floor)
        if end is not None and end <= warmup:
            raise ValueError(f"end must come after the warm-up of {warmup} steps, got {end}")
        self.warmup, self.floor, self.end = warmup, floor, end

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        """The factor at a step."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        end = steps if self.end is None else self.end
        share = (step - self.warmup) / max(1, end - self.warmup)
        return _cosine(1.0, self.floor, min(1.0, share))

    @staticmethod
    def contract(parameters: Mapping[str, object]) -> ScheduleContract:
        """Ends with the plan, unless an end is given."""
        return ScheduleContract(ends_with_the_plan=parameters["end"] is None, because={"ends_with_the_plan": "end"})


class OneCycle:
    """One rise and one fall over the whole plan (Smith and Topin 2018), as torch's ``OneCycleLR`` without its momentum.

    The optimiser's rate is the highest one. It is reached after a share of the plan, and the last step of the plan has the
    lowest.

    Args:
        rising: share of the plan in which the rate rises.
        start: share of the base rate in the first step.
        finish: share of the base rate in the last step.
        shape: of both flanks.

    Raises:
        ValueError: if ``rising`` is not between 0 and 1, or a share is negative.
    """

    def __init__(
        self,
        *,
        rising: InnerShare = 0.3,
        start: NonNegative = 0.04,
        finish: NonNegative = 4e-6,
        shape: Literal["cosine", "linear"] = "cosine",
    ) -> None:
        if not 0 < rising < 1:
            raise ValueError(f"rising must be between 0 and 1, got {rising:g}")
        _demand_at_least(0, start=start, finish=finish)
        self.rising, self.start, self.finish, self.shape = rising, start, finish, shape

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        """The factor at a step."""
        last = max(1, steps - 1)
        peak = min(max(self.rising * steps - 1, 0.0), last)
        if step <= peak and peak > 0:
            return self._between(self.start, 1.0, step / peak)
        return self._between(1.0, self.finish, min(1.0, (step - peak) / max(1e-12, last - peak)))

    def _between(self, first: float, last: float, share: float) -> float:
        if self.shape == "linear":
            return first + (last - first) * share
        return _cosine(first, last, share)

    @staticmethod
    def contract(parameters: Mapping[str, object]) -> ScheduleContract:
        """Ends with the plan."""
        return ScheduleContract(ends_with_the_plan=True)


class Milestones:
    """Multiplied by a factor at each of a few steps or epochs, and constant in between.

    Args:
        milestones: steps or epochs from which the rate is lower, in rising order.
        factor: of each of them.
        by: what milestones count.

    Raises:
        ValueError: if milestones are missing, negative or not in order, or the factor is negative.
    """

    def __init__(
        self, *, milestones: Annotated[tuple[Step, ...], Several], factor: NonNegative = 0.1, by: Unit = "step"
    ) -> None:
        rising = all(one < other for one, other in pairwise(milestones))
        if not milestones or milestones[0] < 0 or not rising:
            raise ValueError(f"milestones must be numbers of at least 0 in rising order, got {list(milestones)}")
        _demand_at_least(0, factor=factor)
        self.milestones, self.factor, self.by = milestones, factor, by

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        """The factor at a step."""
        return float(self.factor ** bisect_right(self.milestones, step if self.by == "step" else epoch))

    @staticmethod
    def contract(parameters: Mapping[str, object]) -> ScheduleContract:
        """Does not ask how many steps are planned."""
        return ScheduleContract(ends_with_the_plan=False)


class Exponential:
    """Multiplied by a factor every so many epochs or steps, such as 0.999 after each epoch (HiFi-GAN).

    Args:
        decay: the factor.
        every: how many of them, at least 1.
        by: what is counted.

    Raises:
        ValueError: if ``decay`` is not above 0 and at most 1, or ``every`` less than 1.
    """

    def __init__(
        self, *, decay: Annotated[float, Range(at_least=1e-6, at_most=1)] = 0.999, every: Steps = 1, by: Unit = "epoch"
    ) -> None:
        if not 0 < decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {decay:g}")
        _demand_at_least(1, every=every)
        self.decay, self.every, self.by = decay, every, by

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        """The factor at a step."""
        return float(self.decay ** ((step if self.by == "step" else epoch) // self.every))

    @staticmethod
    def contract(parameters: Mapping[str, object]) -> ScheduleContract:
        """Does not ask how many steps are planned."""
        return ScheduleContract(ends_with_the_plan=False)


class InverseSquareRoot:
    """Grows linearly over w steps, then falls as one over the square root of the step (Vaswani et al. 2017, section 5.3).

    min(n / w, sqrt(w / n)) for the n-th step, n = step + 1: the paper's rate divided by its highest value.

    Args:
        warmup: w [steps], at least 1.

    Raises:
        ValueError: if ``warmup`` is less than 1.
    """

    def __init__(self, *, warmup: Step = 4000) -> None:
        _demand_at_least(1, warmup=warmup)
        self.warmup = warmup

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        """The factor at a step."""
        return min((step + 1) / self.warmup, math.sqrt(self.warmup / (step + 1)))

    @staticmethod
    def contract(parameters: Mapping[str, object]) -> ScheduleContract:
        """Does not ask how many steps are planned."""
        return ScheduleContract(ends_with_the_plan=False)
