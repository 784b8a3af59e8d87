"""Calls an observer in a thread of its own, so that one that hangs, as without a network, does not stop the run."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from gansemble.interfaces import Observer

#: An observer that has not returned after so long is given up [s].
PATIENCE = 120.0


class PatientCaller:
    """Calls an observer and waits for it, but not for ever.

    All calls are made by one thread, as trackers keep what belongs to a run by thread. It is a daemon: one that hangs does
    not keep the process from ending.

    Args:
        observer: that is called.
        seconds: how long a call may take [s].
    """

    def __init__(self, observer: Observer, seconds: float = PATIENCE) -> None:
        self.observer, self.seconds = observer, seconds
        self._calls: queue.SimpleQueue[tuple[Callable[[Observer], None], _Outcome]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, call: Callable[[Observer], None]) -> None:
        """Calls the observer.

        Args:
            call: what is done with it.

        Raises:
            TimeoutError: if it takes longer; it may still be at it then.
            BaseException: what the observer raises.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="observer", daemon=True)
            self._thread.start()
        outcome = _Outcome()
        self._calls.put((call, outcome))
        if not outcome.done.wait(self.seconds):
            raise TimeoutError(f"it did not return within {self.seconds:g} s")
        if outcome.error is not None:
            raise outcome.error

    def _work(self) -> None:
        while True:
            call, outcome = self._calls.get()
            try:
                call(self.observer)
            except BaseException as error:
                outcome.error = error
            outcome.done.set()


class _Outcome:
    """How a call ended."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: BaseException | None = None
