"""A schedule: what an optimiser's learning rate is multiplied by at a step; a function of its arguments alone."""

from collections.abc import Mapping
from typing import Annotated

from gansemble.contract import ScheduleContract
from gansemble.numbers import Range


class AcmeSchedule:
    """A triangle between a floor and 1 (Smith 2017): up in half a period, down in the other, over and over.

    Args:
        period: of the triangle [steps], at least 2.
        floor: share of the base rate at the lowest point.

    """

    # A recipe with a number outside of these ranges is refused by its check.
    def __init__(
        self,
        *,
        period: Annotated[int, Range(at_least=2, at_most=10**9)] = 2000,
        floor: Annotated[float, Range(above=0, at_most=1)] = 0.1,
    ) -> None:
        self.period, self.floor = period, floor

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        """The factor after ``step`` steps and ``epoch`` epochs of a plan of ``steps`` steps."""
        place = (step % self.period) / self.period
        return self.floor + (1 - self.floor) * (1 - abs(2 * place - 1))

    @staticmethod
    def contract(parameters: Mapping[str, object]) -> ScheduleContract:
        """Does not ask how many steps are planned: a run may be made longer."""
        return ScheduleContract(ends_with_the_plan=False)
