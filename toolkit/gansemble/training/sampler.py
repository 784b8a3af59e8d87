"""The clips of one process's micro-batches, as a batch sampler for torch's ``DataLoader``."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.training.schedule import TrainingSchedule, check_share


class StepSampler:
    """Gives a ``DataLoader`` the clips of each micro-batch of one process, as lists of (epoch, clip index).

    Passed as ``batch_sampler``; its length is the number of micro-batches.

    Args:
        schedule: which clips each step uses.
        start: first step.
        stop: step to stop before.
        rank: of this process.
        world: number of processes.
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
            # A step's clips lie one after the other: micro-batch by micro-batch, and within each process by process.
            first = self.schedule.position(step) + self.rank * share
            for micro in range(self.schedule.plan.accumulate):
                yield self.schedule.items(first + micro * share * self.world, share)
