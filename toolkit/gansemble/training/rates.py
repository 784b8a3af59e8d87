"""Learning rates: what each optimiser's base rate is multiplied by at a step."""

from __future__ import annotations

import math

from gansemble.errors import TrainingError
from gansemble.interfaces.at_work import AtWork
from gansemble.parts.optimisers import schedules
from gansemble.recipe.schema import Recipe


class Rates:
    """Factors of the optimisers' learning rates: of the keys beside an optimiser, times that of its schedule.

    They depend on the step and the epoch alone, so that a resumed run needs no state of them.

    Args:
        recipe: of the optimisers and schedules.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.schedules = recipe, schedules(recipe)

    def factor(self, name: str, step: int, epoch: int) -> float:
        """What the base rates of an optimiser are multiplied by.

        Args:
            name: of the optimiser.
            step: number of steps done.
            epoch: number of epochs done.

        Raises:
            TrainingError: if its schedule gives anything but a finite number of at least 0.
        """
        steps = self.recipe.plan.steps
        factor = self.recipe.many["optimisers"][name].learning_rate.factor(step, epoch, steps)
        schedule = self.schedules.get(name)
        if schedule is None:
            return factor
        with AtWork(f"schedules.{name} ({self.recipe.many['schedules'][name].use})", f"at step {step}"):
            given = schedule(step, epoch, steps)
        if not isinstance(given, int | float) or not math.isfinite(given) or given < 0:
            use = self.recipe.many["schedules"][name].use
            raise TrainingError(
                f"schedules.{name} ({use}): expected a finite factor of at least 0, got {given!r} at step {step} of {steps}, "
                f"epoch {epoch}"
            )
        return factor * float(given)
