"""What the one that starts and watches training processes is asked by signals. Imports no torch."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

#: The signals that ask training to save its state and leave: SIGUSR1 is the one by which a scheduler warns a job of its end.
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
#: Signals that arrive this soon after the first one are the same request [s]: a scheduler sends one to every process of a job,
#: and a terminal to its whole group.
SAME_REQUEST = 0.5


class Requests:
    """Counts the requests to stop, which whoever watches the processes looks at.

    A signal that is ignored already stays ignored, as SIGHUP is after ``nohup``.

    Attributes:
        asked: how often was asked: once, the state is to be saved; twice, all is to end at once.
        orphaned: whether it was the death of the parent that asked. Nobody wants the run to stop then: whoever started it was
            killed, and may come back.
    """

    def __init__(self) -> None:
        self.asked, self.orphaned = 0, False
        self._first = 0.0
        self._parent = os.getppid()

    def listen(self) -> None:
        """Takes the signals from here on; in the main thread only."""
        for number in STOPS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._count)

    def _count(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked and now - self._first < SAME_REQUEST:
            return
        if not self.asked:
            self._first = now
            self.orphaned = number == signal.SIGTERM and os.getppid() != self._parent
        self.asked += 1
