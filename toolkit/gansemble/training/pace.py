"""How fast a run is at present, and how long it will still take."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

#: Length of the time whose steps tell the present rate [s]: it follows within this time when steps become slower, as they
#: do where discriminators begin later.
RECENT_S = 30.0
#: How many steps tell the rate, at the least, where steps are slower than that.
FEWEST = 3
MINUTE, HOUR, DAY = 60, 3600, 86_400


class Pace:
    """The rate of the latest steps, and from it the time that is left.

    Validation is counted apart: its share of the time since the start is added to what the steps will take.

    Args:
        done: number of steps already done.
        total: number of steps of the whole run.
        clock: gives the time [s].
    """

    def __init__(self, done: int, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self._clock = total, clock
        self._begun = clock()
        self._paused = 0.0
        self._seen: deque[tuple[float, int]] = deque([(self._begun, done)])

    def advance(self, done: int) -> None:
        """Notes that so many steps are done now; fewer than before, where a run went back to a checkpoint, begin anew."""
        now = self._clock()
        if done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > FEWEST + 1 and now - self._seen[1][0] >= RECENT_S:
            self._seen.popleft()

    def resume(self) -> None:
        """Notes that the time since the last step went to something else, such as validation."""
        pause = self._clock() - self._seen[-1][0]
        self._paused += pause
        self._seen = deque((when + pause, done) for when, done in self._seen)

    @property
    def elapsed(self) -> float:
        """Time since the start of this run [s]."""
        return self._clock() - self._begun

    @property
    def rate(self) -> float | None:
        """Steps per second at present; None before there are two steps to tell it by.

        The first step of a run says nothing: it holds what is done only once.
        """
        (begun, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - begun) if last - first >= 2 and now > begun else None

    @property
    def left(self) -> float | None:
        """Time that the steps and validations which are left will take [s]; None if the rate is not known yet."""
        rate = self.rate
        if rate is None:
            return None
        working = max(1e-9, self.elapsed - self._paused)
        return (self.total - self._seen[-1][1]) / rate * (1 + self._paused / working)


def in_words(seconds: float) -> str:
    """A time in its two largest units: ``12 s``, ``5 min``, ``2 h 10 min``, ``3 d 4 h``."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)} min"
    if seconds < DAY:
        minutes = int(seconds // MINUTE)
        return f"{minutes // 60} h {minutes % 60} min"
    hours = int(seconds // HOUR)
    return f"{hours // 24} d {hours % 24} h" if hours < 100 * 24 else f"{hours // 24} d"


def in_few_letters(seconds: float) -> str:
    """The same in at most five letters: ``12s``, ``5m``, ``2h10``, ``3d4h``, ``120d``."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 90:
        return f"{seconds:.0f}s"
    if seconds < HOUR:
        return f"{int(seconds // MINUTE)}m"
    if seconds < DAY:
        minutes = int(seconds // MINUTE)
        return f"{minutes // 60}h{minutes % 60:02}"
    hours = int(seconds // HOUR)
    return f"{hours // 24}d{hours % 24}h" if hours < 10 * 24 else f"{hours // 24}d"
