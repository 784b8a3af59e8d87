"""A schedule: what an optimiser's learning rate is multiplied by at a step; a function of its arguments alone."""

from collections.abc import Mapping

from gansemble.contract import ScheduleContract


class AcmeSchedule:
    """A triangle between a floor and 1 (Smith 2017): up in half a period, down in the other, over and over.

    Args:
        period: of the triangle [steps], at least 2.
        floor: share of the base rate at the lowest point.

    Raises:
        ValueError: if ``period`` is less than 2, or ``floor`` not between 0 and 1.
    """

    def __init__(self, *, period: int = 2000, floor: float = 0.1) -> None:
        if period < 2:
            raise ValueError(f"period must be at least 2, got {period}")
        if not 0 < floor <= 1:
            raise ValueError(f"floor must be above 0 and at most 1, got {floor:g}")
        self.period, self.floor = period, floor

    def __call__(self, step: int, epoch: int, steps: int) -> float:
        """The factor after ``step`` steps and ``epoch`` epochs of a plan of ``steps`` steps."""
        place = (step % self.period) / self.period
        return self.floor + (1 - self.floor) * (1 - abs(2 * place - 1))

    @staticmethod
    def contract(parameters: Mapping[str, object]) -> ScheduleContract:
        """Does not ask how many steps are planned: a run may be made longer."""
        return ScheduleContract(ends_with_the_plan=False)
