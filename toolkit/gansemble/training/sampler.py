"""The micro-batches of one process, for a ``DataLoader``."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.training.schedule import TrainingSchedule, check_share


class StepSampler:
    """For a ``DataLoader``'s ``batch_sampler``: the micro-batches of one process, from a step on, without end.

    Args:
        schedule: which clips each step uses.
        start: first step.
        stop: step to stop before.
        rank, world: this process of how many.
    """

    def __init__(self, schedule: TrainingSchedule, start: int, stop: int, rank: int = 0, world: int = 1) -> None:
        self.schedule = schedule
        self.start, self.stop = start, stop
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        return max(0, self.stop - self.start) * self.schedule.plan.accumulate

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.start, self.stop):
            size = self.schedule.batch_size(step)
            share = check_share(size, self.schedule.plan.accumulate, self.world)
            first = self.schedule.position(step) + self.rank * share
            for micro in range(self.schedule.plan.accumulate):
                yield self.schedule.items(first + micro * share * self.world, share)
