"""Timing two ways of doing one thing in turn, A B A B …, so that a drifting machine touches both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch


@dataclass
class Taken:
    """What one way took in each round [s]: by the wall clock, and of this process's processor time on all threads.

    Processor time tells more where other work disturbs a machine; threads that wait for each other count as busy in it.
    """

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the wall clock's seconds."""
        return statistics.median(self.wall)

    def ratio(self, other: Taken, processor: bool = False) -> tuple[float, float, float]:
        """Of this way's time to another's in the same round: the median, the least and the greatest."""
        own, of = (self.processor, other.processor) if processor else (self.wall, other.wall)
        found = [mine / its for mine, its in zip(own, of, strict=True)]
        return statistics.median(found), min(found), max(found)


def times(ways: Mapping[str, Callable[[], object]], rounds: int = 5, warm_up: int = 1) -> dict[str, Taken]:
    """What each way took in each of ``rounds`` rounds, after ``warm_up`` that do not count."""
    taken = {name: Taken() for name in ways}
    for number in range(rounds + warm_up):
        for name, way in ways.items():
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            begun, busy = time.perf_counter(), time.process_time()
            way()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number >= warm_up:
                taken[name].wall.append(time.perf_counter() - begun)
                taken[name].processor.append(time.process_time() - busy)
    return taken


def alternate(ways: Mapping[str, Callable[[], object]], rounds: int = 5, warm_up: int = 1) -> dict[str, float]:
    """The median seconds of each way over ``rounds`` rounds."""
    return {name: each.median for name, each in times(ways, rounds, warm_up).items()}


def line(name: str, value: float, unit: str = "", note: str = "") -> str:
    """One aligned row."""
    return f"{name:58} {value:10.4g} {unit:6} {note}".rstrip()
