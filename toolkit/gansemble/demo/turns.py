"""Who is served next: one job runs at a time, a few wait in the order in which they came, and more are sent away."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: How often one who waits is told the place, and may leave [s].
ROUND = 0.25


class Busy(Exception):
    """As many wait as may."""


class Turns:
    """Gives out places, and lets the jobs that have one run one after the other.

    Args:
        waiting: how many may wait beside the job that runs.
    """

    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self._taken = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one job, from before it is read until it is done.

        Raises:
            Busy: if all are taken.
        """
        with self._changed:
            if self._taken > self.waiting:
                raise Busy
            self._taken += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def all_done(self, patience: float) -> bool:
        """Whether no job has a place any more, within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._taken, patience)

    @contextmanager
    def turn(self, told: Callable[[int], None]) -> Iterator[None]:
        """Waits for this job's turn; within it no other one runs.

        Args:
            told: called with the number of jobs before this one, again and again while it waits; what it raises ends the wait.
        """
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
        try:
            while ahead := self._ahead(ticket):
                told(ahead)
                with self._changed:
                    self._changed.wait_for(lambda: self._queue[0] is ticket, ROUND)
            yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def _ahead(self, ticket: object) -> int:
        with self._changed:
            return self._queue.index(ticket)
