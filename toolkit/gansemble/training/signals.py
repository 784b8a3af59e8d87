"""Stopping on SIGTERM and SIGINT: the handler sets a flag, and the state is saved at the end of the step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """Context manager in which the first SIGTERM or SIGINT only sets :attr:`asked`, and a second one ends the run at
    once.

    Nothing is saved in the handler, because it may interrupt any operation, even one that is writing a file. Handlers
    are set in the main thread only; elsewhere signals do what they did before.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether this process has received a signal to stop."""
        return self._event.is_set()

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {n: signal.signal(n, self._ask) for n in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self._event.set()


def patient_worker(worker: int) -> None:
    """Makes a data-loading process ignore the first SIGTERM and SIGINT each, so that the training step can end.

    A terminal sends the signal to the whole process group, workers included.

    Args:
        worker: its index, given by the ``DataLoader``, of which this is the ``worker_init_fn``.
    """

    def once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, once)
