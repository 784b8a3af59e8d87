"""Runs child processes one at a time, passes signals on to them, and leaves none behind when this process ends."""

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
    """Runs commands one after the other as child processes, and passes signals on to them.

    Each command runs in a session of its own, so that a Ctrl-C or the hang-up of a terminal reaches this process only.
    While :meth:`listening`, SIGTERM, SIGINT, SIGHUP and SIGUSR1 are passed on as SIGTERM to the whole process group of the
    running command, because a launcher of distributed training does not always pass signals on to the processes that it
    started. The command is then waited for, because training saves a checkpoint before it ends. SIGWINCH, by which a
    terminal tells its new size to the session that it belongs to only, is passed on as well.

    Args:
        told: called with the number of each signal that arrives, before the signal is passed on.
    """

    def __init__(self, told: Callable[[int], None] | None = None) -> None:
        self.received: int | None = None
        self._told = told
        self._also: tuple[signal.Signals, ...] = ()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def stopped(self) -> bool:
        """Whether a signal has asked this process to stop. Callers are to start no further command then."""
        return self.received is not None

    @contextmanager
    def listening(self, also: Sequence[signal.Signals] = ()) -> Iterator[None]:
        """Handles SIGTERM, SIGINT, SIGHUP and SIGUSR1 while in the ``with`` block, which only the main thread may enter.

        A signal that is ignored already stays ignored: ``nohup`` ignores SIGHUP for what it starts, and a shell ignores
        SIGINT for what it runs in the background.

        Args:
            also: further signals that are handled alike. What is run ignores them itself, whoever sends them to it.
        """
        self._also = tuple(also)
        numbers = tuple(dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, *also)))
        heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._pass_on) for number in heeded}
        before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._resized)
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

    def _in_child(self) -> None:
        """What a child does before it becomes the command."""
        for number in self._also:
            signal.signal(number, signal.SIG_IGN)
        die_with_parent()

    def _resized(self, number: int, _: Any) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        output: IO[bytes] | None = None,
        asks: bool = False,
    ) -> int:
        """Runs a command, waits until it has ended, and returns its exit status.

        Args:
            command: the program and its arguments.
            environment: variables that are added to this process's environment.
            folder: the working directory of the command; None is this process's.
            output: file that takes what the command writes to stdout and stderr; None leaves both where this process's
                go.
            asks: it may ask the user, and reads what this process would; else it reads nothing.

        Returns:
            The exit status, or the negative number of the signal that ended the command.

        Raises:
            OSError: if the command cannot be started.
        """
        self._process = subprocess.Popen(
            command,
            stdin=None if asks else subprocess.DEVNULL,
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
            cwd=folder,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
            preexec_fn=self._in_child,
        )
        if self.stopped:  # a signal came before the process was known
            os.killpg(self._process.pid, signal.SIGTERM)
        return self._process.wait()


def die_with_parent() -> None:
    """Asks the Linux kernel to send this process SIGTERM when its parent dies, even by ``kill -9``.

    Training then saves a checkpoint before it ends. On systems without ``prctl`` nothing is asked for.
    """
    try:
        ctypes.CDLL("libc.so.6").prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
    except OSError:
        pass
