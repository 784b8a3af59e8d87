"""Stopping on a signal: the handler sets a flag, and the state is saved at the end of the step, within a deadline if there is one.

The signals are SIGTERM, SIGINT, SIGHUP, and SIGUSR1, by which SLURM warns a job (``--signal=USR1@120``).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from gansemble.stages.requests import SAME_REQUEST, STOPS
from gansemble.stages.restarts import SAVE_WITHIN, seconds

#: The part of the time for saving and leaving after which a process gives up: the rest is for leaving.
PART = 0.9


class StopRequest:
    """Context manager in which the first SIGTERM, SIGINT, SIGHUP or SIGUSR1 only sets :attr:`asked`, and a second one ends
    the run at once.

    Nothing is saved in the handler, because it may interrupt any operation, even one that is writing a file. Handlers
    are set in the main thread only; elsewhere signals do what they did before. A signal that is ignored already stays
    ignored, as SIGHUP is after ``nohup``.

    Args:
        late: called in another thread, which then ends this process, when the state is not saved in time after a signal.

    Attributes:
        within: how long saving and leaving may take after a signal [s], from ``GANSEMBLE_SAVE_WITHIN``; None for any time.

    Raises:
        GansembleError: if that environment variable holds no number of seconds.
    """

    def __init__(self, late: Callable[[], None] = lambda: None) -> None:
        self._event = threading.Event()
        self._first: float | None = None
        self._before: dict[int, Any] = {}
        self.why = "stopped"
        self.within = seconds(os.environ, SAVE_WITHIN) or None
        self._late = late
        self._deadline: _Deadline | None = None

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
            if self.within is not None:
                self._deadline = _Deadline(heeded, PART * self.within, self._late)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._deadline is not None:
            self._deadline.end()
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


class _Deadline:
    """Ends this process when too much time has passed since a signal.

    Python runs a handler between two operations of the main thread, and that thread may be in an operation of minutes, or wait
    for another process for ever. The signal's number, however, is written to a socket at once, which a thread reads.

    Args:
        numbers: of the signals.
        seconds: how much time.
        late: called before this process ends.
    """

    def __init__(self, numbers: list[signal.Signals], seconds: float, late: Callable[[], None]) -> None:
        self._numbers, self._seconds, self._late = {int(number) for number in numbers}, seconds, late
        self._ended = threading.Event()
        self._told, self._writes = socket.socketpair()
        self._writes.setblocking(False)
        self._before = signal.set_wakeup_fd(self._writes.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._run, name="deadline for saving", daemon=True).start()

    def end(self) -> None:
        """Ends the waiting: the state is saved, or the run ends in another way."""
        self._ended.set()
        signal.set_wakeup_fd(self._before)
        self._writes.close()  # by which the thread reads an end

    def _run(self) -> None:
        with self._told, contextlib.suppress(OSError):
            while (found := self._told.recv(64)) and not self._numbers & set(found):
                pass
            if found and not self._ended.wait(self._seconds):
                self._late()


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
    """Makes a data-loading process ignore the first of each signal that asks to stop, so that the step can end.

    A terminal sends the signal to the whole process group, workers included.

    Args:
        worker: its index, given by the ``DataLoader``, of which this is the ``worker_init_fn``.
    """

    def once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, once)
