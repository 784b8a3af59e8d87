"""The training schedule: the clips, batch size, epoch and progress of growing networks at each step.

The order of clips is a pure function of seed and epoch, so the clips of any step are known without running the ones
before it.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from gansemble import random
from gansemble.recipe.sections import Phase, Plan


def order(seed: int, epoch: int, count: int) -> list[int]:
    """The order of ``count`` clips in an epoch: a random permutation of their indices, decided by seed and epoch."""
    return _order(seed, epoch, count).tolist()


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> torch.Tensor:
    """The same as int64 [count]: a million Python integers would take five times the room."""
    return torch.randperm(count, generator=random.generator(seed, epoch, "order"))


class TrainingSchedule:
    """Which clips each training step uses.

    The clips of all epochs, each epoch in its own random order, form one endless stream; a position in it is epoch *
    count + place in the epoch. Steps take consecutive stretches of the stream, and a batch may cross from one epoch
    into the next. With ``plan.drop_last`` it may not: clips at an epoch's end that do not fill a batch are left out.

    Args:
        plan: steps, batch sizes, phases.
        count: number of clips in the training split.
        origin: (a step, the position in the stream at which it begins). After a rollback these are the step that the
            run went back to, and the position behind the clips of the steps that were undone. Steps before it have no
            clips then, and must not be asked for.
    """

    def __init__(self, plan: Plan, count: int, origin: tuple[int, int] = (0, 0)) -> None:
        self.plan = plan
        self.count = count
        self.origin = origin

    def batch_size(self, step: int) -> int:
        """Number of clips in a step, over all processes and micro-batches."""
        phase = self._phase(step)[0]
        return self.plan.batch_size if phase is None or phase.batch_size is None else phase.batch_size

    def _phase(self, step: int) -> tuple[Phase | None, float]:
        """The phase that a step belongs to, and the fraction of it that has passed before the step.

        After the last phase it is that one, with fraction 1; without phases None, with the fraction of the whole plan.
        """
        start = 0
        for phase in self.plan.phases:
            if step < start + phase.steps:
                return phase, (step - start) / phase.steps
            start += phase.steps
        return (self.plan.phases[-1], 1.0) if self.plan.phases else (None, step / max(1, self.plan.steps))

    def progress(self, step: int) -> float | None:
        """How far growing networks have grown at a step, linear within a phase; None if its phase does not say."""
        phase, fraction = self._phase(step)
        if phase is None or phase.progress is None:
            return None
        first, last = phase.progress
        return first + (last - first) * fraction

    def grown(self, step: int) -> bool:
        """Whether networks have their final size in a step, or do not grow at all.

        Also true for the last step of the plan, whatever the size there.
        """
        ends = [phase.progress[1] for phase in self.plan.phases if phase.progress is not None]
        progress = self.progress(step)
        return not ends or progress is None or progress >= ends[-1] or step + 1 >= self.plan.steps

    def freshens(self, step: int) -> bool:
        """Whether a phase with fresh optimiser states begins at this step."""
        phase, fraction = self._phase(step)
        return phase is not None and phase.fresh_optimisers and fraction == 0

    def position(self, step: int) -> int:
        """The position in the stream of clips at which a step begins."""
        # Walks from the origin through the phases: step `first` begins at `position`; `end` is where the phase ends.
        (first, position), end = self.origin, 0
        for phase in self.plan.phases:
            end += phase.steps
            if first >= end:
                continue
            size = phase.batch_size or self.plan.batch_size
            if step < end:
                return self._after(position, step - first, size)
            # The next phase begins behind the clips of this one's last step.
            position = self._after(position, end - first - 1, size) + size
            first = end
        return self._after(position, step - first, self.batch_size(first))

    def _after(self, position: int, steps: int, batch_size: int) -> int:
        """The position at which a step begins, ``steps`` steps after the one that begins at ``position``.

        All of them have the same batch size. With ``plan.drop_last``, a step for which the epoch has too few clips left
        begins with the next epoch.
        """
        if not self.plan.drop_last:
            return position + steps * batch_size
        epoch, place = divmod(position, self.count)
        left = (self.count - place) // batch_size  # whole batches in the epoch under way
        if steps < left:
            return position + steps * batch_size
        # Each epoch after the one under way has count // batch_size whole batches.
        epochs, rest = divmod(steps - left, self.count // batch_size)
        return (epoch + 1 + epochs) * self.count + rest * batch_size

    def epoch(self, step: int) -> int:
        """The epoch in which a step begins, from 0."""
        return self.position(step) // self.count

    def items(self, first: int, number: int) -> list[tuple[int, int]]:
        """(epoch, clip index) at ``number`` consecutive positions of the stream, from position ``first`` on."""
        pairs = [divmod(position, self.count) for position in range(first, first + number)]
        return [(epoch, int(_order(self.plan.seed, epoch, self.count)[place])) for epoch, place in pairs]


def check_batches(plan: Plan, count: int) -> None:
    """Checks, where partial batches are dropped, that an epoch has clips enough for one whole batch.

    Args:
        plan: batch sizes and phases.
        count: number of clips in the training split.

    Raises:
        ValueError: if the largest batch has more clips than an epoch.
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
    """The number of clips that one process has in one micro-batch.

    Args:
        batch_size: clips in a step, over all processes and micro-batches.
        accumulate: micro-batches in a step.
        world: number of processes.

    Raises:
        ValueError: if the batch cannot be divided evenly.
    """
    if batch_size % (accumulate * world):
        raise ValueError(
            f"plan.batch_size must be a multiple of processes × plan.accumulate = {world} × {accumulate}, got {batch_size}"
        )
    return batch_size // (accumulate * world)
