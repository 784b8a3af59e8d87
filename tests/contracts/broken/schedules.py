"""Schedules of learning rates with one mistake each."""

import math
import random

import numpy as np
import torch

from gansemble.contract import Contract, ScheduleContract

LENGTH = 500


class Sound:
    """Falls from 1 towards 0 over the plan.

    Args:
        power: of the fall.
    """

    def __init__(self, *, power: float = 1.0) -> None:
        self.power = power

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        return self.fall(step / max(1, steps))

    def fall(self, share: float) -> float:
        """The factor at a share of the plan."""
        return float((1 - share) ** self.power)


class GivesTensor(Sound):
    """Computes with torch, and leaves it at that.

    Args:
        power: of the fall.
    """

    def fall(self, share: float) -> float:
        return torch.tensor(super().fall(share))  # type: ignore[return-value]


class GivesNumpy(Sound):
    """Gives a float of NumPy's, which a checkpoint's settings cannot be read back with.

    Args:
        power: of the fall.
    """

    def fall(self, share: float) -> float:
        return np.float64(super().fall(share))


class RunsPastItsEnd(Sound):
    """A line that goes on below zero when a plan is longer than it.

    Args:
        power: of the fall.
    """

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        return 1 - step / LENGTH


class DividesByTheLastStep(Sound):
    """Divides by the number of the last step, which is 0 in a plan of one.

    Args:
        power: of the fall.
    """

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        return self.fall(step / (steps - 1))


class LogOfTheStep(Sound):
    """Infinite in the first step.

    Args:
        power: of the fall.
    """

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        return -math.log(step / steps) if step else math.inf


class NeverLearns(Sound):
    """Rounds down what is below 1, and begins below.

    Args:
        power: of the fall.
    """

    def fall(self, share: float) -> float:
        return float(math.floor(super().fall(share) * 0.99))


class CountsItsCalls(Sound):
    """Decays with each call instead of each step, as torch's schedulers do.

    Args:
        power: of the fall.
    """

    def __init__(self, *, power: float = 1.0) -> None:
        super().__init__(power=power)
        self.calls = 0

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        self.calls += 1
        return 0.99**self.calls


class Jitters(Sound):
    """Draws from Python's generator.

    Args:
        power: of the fall.
    """

    def fall(self, share: float) -> float:
        return super().fall(share) * (1 + 0.1 * random.random())


class DrawsAndThrowsAway(Sound):
    """Draws a number that it does not use.

    Args:
        power: of the fall.
    """

    def fall(self, share: float) -> float:
        torch.rand(())
        return super().fall(share)


class SaysItGoesOn(Sound):
    """Follows the plan, and says that it does not.

    Args:
        power: of the fall.
    """

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract:
        return ScheduleContract(ends_with_the_plan=False)
