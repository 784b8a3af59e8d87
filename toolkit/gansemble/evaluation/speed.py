"""How fast a generator makes audio, measured after a warm-up and over a second of work at least."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: How much work is measured at the least [s], as long as clips are quicker than that.
MEASURED_S = 1.0
#: How much of it one clip gives [s], so that several clips of several lengths tell the speed.
OF_ONE_S = 0.25
#: A first clip that took longer is not made again for a warm-up's sake [s].
TOO_LONG_S = 30.0
#: How often one clip is made again at the most, where a clock sees no time pass.
MOST = 1000


@dataclass(frozen=True)
class Speed:
    """Computing times for one second of audio [s] of several runs; below 1 is faster than real time.

    Args:
        median: of all runs.
        low, high: their quartiles: half of the runs lie between them.
        runs: number of runs.
        measured: their computing time in all [s].
    """

    median: float
    low: float
    high: float
    runs: int
    measured: float

    def words(self) -> str:
        """The speed in words, such as ``310.2 x real time (half of 41 runs from 290.1 to 322.0)``."""
        times = f"{1 / self.median:.1f} x real time"
        if self.runs < 2:
            return f"{times} (one run of {self.measured:.2g} s)"
        return f"{times} (half of {self.runs} runs from {1 / self.high:.1f} to {1 / self.low:.1f})"


class Speedometer:
    """Measures the speed of a generator while it makes clips, which become no others by it.

    The first clip warms up: memory is taken, kernels are chosen and compiled. Clips are then made again until a second was
    measured; from then on each clip tells what it took.

    Args:
        clock: gives the time [s].
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._rates: list[float] = []
        self._measured = 0.0
        self._warm = False
        self._last: tuple[Callable[[], object], float] | None = None

    def clip(self, seconds: float, took: float, again: Callable[[], object] | None) -> None:
        """Notes a clip that was just made.

        Args:
            seconds: its length [s].
            took: how long that took [s].
            again: makes it once more; None where it cannot be made again.
        """
        if seconds <= 0:
            return
        if self._warm or again is None or took > TOO_LONG_S:
            self._note(took, seconds)
        self._warm = True
        if again is not None and took <= TOO_LONG_S and self._measured < MEASURED_S:
            self._last = again, seconds
            self._repeat(again, seconds, min(MEASURED_S, self._measured + OF_ONE_S))

    def speed(self) -> Speed | None:
        """The speed, after the last clip was made again where all together took too little; None without a clip."""
        if self._last is not None:
            self._repeat(*self._last, MEASURED_S)
        if not self._rates or self._measured <= 0:
            return None
        low, median, high = (float(x) for x in np.quantile(self._rates, [0.25, 0.5, 0.75]))
        return Speed(median, low, high, len(self._rates), self._measured) if low > 0 else None

    def _repeat(self, again: Callable[[], object], seconds: float, until: float) -> None:
        import torch  # here, as an index is read without it

        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        for _ in range(MOST):
            if self._measured >= until:
                return
            with torch.random.fork_rng(devices):  # the next clip draws the numbers that it would have drawn
                begun = self._clock()
                again()
                self._note(self._clock() - begun, seconds)

    def _note(self, took: float, seconds: float) -> None:
        self._rates.append(took / seconds)
        self._measured += took
