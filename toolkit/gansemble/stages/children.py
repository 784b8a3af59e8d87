"""Child processes that do the work: one at a time, told of every signal, and never left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


class Children:
    """Runs commands one after the other, each in a session of its own, so that what a terminal sends does not reach it.

    SIGTERM, SIGINT and SIGHUP, while :meth:`listening`, are passed on as SIGTERM to all of the running command's
    processes, since a launcher does not always tell those it started; the command is then waited for, because training
    saves its state before it ends.

    Args:
        told: called with each signal's number when it arrives, before it is passed on.
    """

    def __init__(self, told: Callable[[int], None] | None = None) -> None:
        self.received: int | None = None
        self._told = told
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def stopped(self) -> bool:
        """Whether this process was asked to stop; no command is started from then on."""
        return self.received is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the three signals until left, but none that is ignored already: ``nohup`` has the hang-up ignored, and a
        shell the Ctrl-C of what it runs in the background."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._pass_on) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, _: Any) -> None:
        if self._told is not None:
            self._told(number)
        self.received = number
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        output: IO[bytes] | None = None,
    ) -> int:
        """The command's exit status, negative where a signal ended it.

        Args:
            command: program and words.
            environment: added to this process's.
            folder: the one it runs in; None is this process's.
            output: takes what it prints; None is where this process prints.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            cwd=folder,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        if self.stopped:  # a signal came before the process was known
            os.killpg(self._process.pid, signal.SIGTERM)
        return self._process.wait()


def _die_with_parent() -> None:
    """Asks Linux for a SIGTERM when the parent is gone, even by kill -9: training then saves its state."""
    try:
        ctypes.CDLL("libc.so.6").prctl(1, signal.SIGTERM)
    except OSError:
        pass
