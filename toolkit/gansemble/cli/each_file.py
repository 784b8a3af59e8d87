"""Commands over many files: a fault of one file is told in one line, and the others are made all the same."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

import click

from gansemble.cli.terminal import printable, say
from gansemble.errors import GansembleError, Interrupted, fault_of, of_all_files


class _Stopped(BaseException):
    """The command was asked to end by SIGTERM or SIGHUP."""


class EachFile:
    """Goes on with the next file after a fault of one, and counts.

    Use::

        with EachFile(len(sources), "restored", output) as each:
            for source in sources:
                with each.file(source):
                    …

    Any exception is that file's fault, told in one line on stderr; but for errors that every other file would meet as
    well (a full disk, an output folder that is gone), which end the command at once. Ctrl-C, SIGTERM and SIGHUP end it,
    too, and what was made is kept. At the end a line counts.

    Args:
        total: number of files, those that are there already included.
        word: what is done with a file, such as ``restored``, for the lines.
        output: the folder that files are made in.
        there: number of files that an earlier command has made already.
        unit: what is counted, for the lines.

    Raises:
        GansembleError: at the end if a file failed; at once for an error of all files.
        Interrupted: after a signal.
    """

    def __init__(self, total: int, word: str, output: Path, there: int = 0, unit: str = "files") -> None:
        self.total, self.word, self.output, self.there, self.unit = total, word, output, there, unit
        self.made = self.failed = 0
        self._signals = contextlib.ExitStack()

    def __enter__(self) -> EachFile:
        self._signals.enter_context(_raising())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._signals.close()
        if isinstance(error, _Stopped | KeyboardInterrupt):
            raise Interrupted(f"stopped: {self.count()}; the same command again goes on with the rest") from None
        if error is not None:
            return
        if self.failed:
            raise GansembleError(
                f"{self.failed} of {self.total} {self.unit} could not be {self.word}, as said above; {self.count()}"
            )
        say(self.count())

    @contextlib.contextmanager
    def file(self, source: Path | str) -> Iterator[None]:
        """One file; ``source`` names it in the line about its fault."""
        try:
            yield
        except BrokenPipeError:
            raise  # nobody reads what this command says
        except Exception as error:
            cause = _of_all(error, self.output)
            if cause is not None:
                raise GansembleError(
                    f"{cause}; {self.count()}. The same command again goes on with the rest"
                ) from error
            if os.environ.get("GANSEMBLE_TRACEBACK") == "1":
                traceback.print_exc()
            self.failed += 1
            click.echo(f"error: {printable(fault_of(source, error))}", err=True)
        else:
            self.made += 1

    def count(self) -> str:
        """How many files are there now, in words."""
        there = f", {self.there} were there already" if self.there else ""
        return f"{self.made} of {self.total} {self.unit} {self.word} in {printable(str(self.output))}{there}"


def _of_all(error: Exception, output: Path) -> str | None:
    """What is wrong for all files alike, in words; None if it is one file's fault."""
    cause = of_all_files(error)
    if cause is not None:
        return f"{printable(str(cause.filename or output))}: {cause.strerror or os.strerror(cause.errno or 0)}"
    if not output.is_dir():
        return f"--output {printable(str(output))}: is no longer a folder"
    if not os.access(output, os.W_OK | os.X_OK):
        return f"--output {printable(str(output))}: can no longer be written"
    return None


@contextlib.contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """A context manager in which Ctrl-C, SIGTERM and SIGHUP end the command with the exit code of an interrupted one.

    Args:
        kept: what was kept, and how to go on, for the message.

    Raises:
        Interrupted: after a signal.
    """
    try:
        with _raising():
            yield
    except (_Stopped, KeyboardInterrupt):
        raise Interrupted(f"stopped: {kept}") from None


@contextlib.contextmanager
def _raising() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP raise an exception, as Ctrl-C does, so that an unfinished file is removed.

    A thread other than the main one cannot handle signals; nothing is changed there. An ignored SIGHUP, as of nohup,
    stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
