"""The training schedule: which clips, batch size, epoch and progress of growth each step has.

Data order is a pure function of (seed, epoch): any step's items can be named without having run the ones before.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from gansemble import random
from gansemble.recipe.sections import Phase, Plan


@lru_cache(maxsize=4)
def order(seed: int, epoch: int, count: int) -> list[int]:
    """The permutation of ``count`` clips in an epoch."""
    return torch.randperm(count, generator=random.generator(seed, epoch, "order")).tolist()


class TrainingSchedule:
    """Which clips each step uses. Clips are a stream of epochs; steps take consecutive stretches of it.

    Without ``plan.drop_last`` no clip is dropped, and a batch may cross from one epoch into the next. With it, a batch that
    an epoch cannot fill is left out, and the next one begins with the next epoch.

    Args:
        plan: steps, batch sizes, phases.
        count: clips in the training split.
        origin: a step, and the place in the stream where it begins. After a rollback it is the step that was gone back
            to, and a place behind the clips of the steps that were undone; nothing is asked of the steps before it.
    """

    def __init__(self, plan: Plan, count: int, origin: tuple[int, int] = (0, 0)) -> None:
        self.plan = plan
        self.count = count
        self.origin = origin

    def batch_size(self, step: int) -> int:
        """Clips in a step, over all processes and micro-batches."""
        phase = self._phase(step)[0]
        return self.plan.batch_size if phase is None or phase.batch_size is None else phase.batch_size

    def _phase(self, step: int) -> tuple[Phase | None, float]:
        """(the phase of a step, the fraction of it that has passed)."""
        start = 0
        for phase in self.plan.phases:
            if step < start + phase.steps:
                return phase, (step - start) / phase.steps
            start += phase.steps
        return (self.plan.phases[-1], 1.0) if self.plan.phases else (None, step / max(1, self.plan.steps))

    def progress(self, step: int) -> float | None:
        """Growth at a step, for growable parts; None when no phase states one."""
        phase, fraction = self._phase(step)
        if phase is None or phase.progress is None:
            return None
        first, last = phase.progress
        return first + (last - first) * fraction

    def grown(self, step: int) -> bool:
        """Whether networks were at the size they end with, or do not grow, when a step was made."""
        ends = [phase.progress[1] for phase in self.plan.phases if phase.progress is not None]
        progress = self.progress(step)
        return not ends or progress is None or progress >= ends[-1] or step + 1 >= self.plan.steps

    def freshens(self, step: int) -> bool:
        """Whether a phase begins here that begins with fresh optimisers."""
        phase, fraction = self._phase(step)
        return phase is not None and phase.fresh_optimisers and fraction == 0

    def position(self, step: int) -> int:
        """Where in the stream of clips a step begins."""
        (first, position), end = self.origin, 0
        for phase in self.plan.phases:
            end += phase.steps
            if first >= end:
                continue
            size = phase.batch_size or self.plan.batch_size
            if step < end:
                return self._after(position, step - first, size)
            position = self._after(position, end - first - 1, size) + size
            first = end
        return self._after(position, step - first, self.batch_size(first))

    def _after(self, position: int, steps: int, batch_size: int) -> int:
        """Where a step begins, so many steps behind the one that begins at a place of the stream or after it."""
        if not self.plan.drop_last:
            return position + steps * batch_size
        epoch, place = divmod(position, self.count)
        left = (self.count - place) // batch_size  # whole batches in the epoch under way
        if steps < left:
            return position + steps * batch_size
        epochs, rest = divmod(steps - left, self.count // batch_size)
        return (epoch + 1 + epochs) * self.count + rest * batch_size

    def epoch(self, step: int) -> int:
        """The epoch a step starts in."""
        return self.position(step) // self.count

    def items(self, first: int, number: int) -> list[tuple[int, int]]:
        """(epoch, clip) for stream positions first … first + number - 1."""
        pairs = [divmod(position, self.count) for position in range(first, first + number)]
        return [(epoch, order(self.plan.seed, epoch, self.count)[place]) for epoch, place in pairs]


def check_batches(plan: Plan, count: int) -> None:
    """Refuses a corpus whose epochs have not one whole batch, where the last, partial batch is dropped.

    Raises:
        ValueError: naming both numbers.
    """
    sizes = [(phase.batch_size, "plan.phases") for phase in plan.phases if phase.batch_size is not None]
    if not plan.phases or len(sizes) < len(plan.phases):  # a phase without a size of its own has the plan's
        sizes.append((plan.batch_size, "plan.batch_size"))
    largest, where = max(sizes)
    if plan.drop_last and largest > count:
        raise ValueError(
            f"plan.drop_last leaves out a batch that an epoch cannot fill, and {count} training clips cannot fill one of "
            f"{largest} in {where}; lower it, or set plan.drop_last to false"
        )


def check_share(batch_size: int, accumulate: int, world: int) -> int:
    """Clips of one process in one micro-batch.

    Raises:
        ValueError: if the batch cannot be shared evenly.
    """
    if batch_size % (accumulate * world):
        raise ValueError(
            f"plan.batch_size must be a multiple of processes × plan.accumulate = {world} × {accumulate}, got {batch_size}"
        )
    return batch_size // (accumulate * world)
