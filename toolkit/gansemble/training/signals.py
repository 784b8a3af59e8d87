"""Stopping on SIGTERM, SIGINT and SIGHUP: the handler sets a flag, and the state is saved at the end of the step."""

from __future__ import annotations

import signal
import threading
import time
import weakref
from types import FrameType, TracebackType
from typing import Any

#: The signals that ask a run to stop.
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: Signals that arrive this soon after the first one are taken for the same request [s]: a terminal sends one to every
#: process, and what started the process may pass its own on.
SAME_REQUEST = 0.5


class StopRequest:
    """Context manager in which the first SIGTERM, SIGINT or SIGHUP only sets :attr:`asked`, and a second one ends the
    run at once.

    Nothing is saved in the handler, because it may interrupt any operation, even one that is writing a file. Handlers
    are set in the main thread only; elsewhere signals do what they did before. A signal that is ignored already stays
    ignored, as SIGHUP is after ``nohup``.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._first: float | None = None
        self._before: dict[int, Any] = {}
        self.why = "stopped"

    @property
    def asked(self) -> bool:
        """Whether this process has been asked to stop."""
        return self._event.is_set()

    def ask(self, why: str) -> None:
        """Asks the run to stop, for another reason than a signal.

        Args:
            why: the beginning of the message to the user.
        """
        if not self.asked:
            self.why = why
        self._event.set()

    def __enter__(self) -> StopRequest:
        _open.add(self)
        if threading.current_thread() is threading.main_thread():
            heeded = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._ask) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._first is None:
            self._first = time.monotonic()
            self._event.set()
            return
        if time.monotonic() - self._first < SAME_REQUEST:
            return
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


#: The requests of the runs of this process.
_open: weakref.WeakSet[StopRequest] = weakref.WeakSet()


def ask_all(why: str) -> None:
    """Asks the runs of this process to stop, from any thread, where no signal reaches them.

    Args:
        why: the beginning of the message to the user.
    """
    for request in list(_open):
        request.ask(why)


def patient_worker(worker: int) -> None:
    """Makes a data-loading process ignore the first SIGTERM, SIGINT and SIGHUP each, so that the step can end.

    A terminal sends the signal to the whole process group, workers included.

    Args:
        worker: its index, given by the ``DataLoader``, of which this is the ``worker_init_fn``.
    """

    def once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, once)
