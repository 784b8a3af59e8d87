"""Lines for the user, of whom a program may have lost sight: a pipe that is read no further, a terminal that was closed."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from typing import TextIO

import click

from gansemble.stages import StageState

_gone: list[str] = []


def say(text: str) -> None:
    """Prints a line for the user.

    If nobody reads it, the work that has begun goes on without a word, so that nothing of it is lost; the command then
    ends as one whose output is unread (see :func:`unread`).
    """
    try:
        click.echo(printable(text))
    except OSError:
        silence()


def tell(text: str) -> None:
    """Prints a line to stderr, if anybody reads it."""
    try:
        click.echo(printable(text), err=True)
    except OSError:
        silence()


def unread() -> bool:
    """Whether somebody has stopped to read the output."""
    return bool(_gone)


def silence() -> None:
    """Sends what is printed from here on to nowhere, of each stream that cannot be written to.

    Python would else end with an error of its own when it flushes them.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream of a test or a notebook has no descriptor
            poll = select.poll()
            poll.register(stream.fileno(), select.POLLOUT)
            if any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0)):
                _gone.append(stream.name)
                _to_nowhere(stream)
        try:
            stream.flush()
        except OSError:  # a full disk or a closed terminal is no wish that the command ends
            _to_nowhere(stream)
        except ValueError:  # it was closed
            continue


def _to_nowhere(stream: TextIO) -> None:
    with suppress(OSError, ValueError):  # a stream of a test or a notebook has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    with suppress(OSError, ValueError):
        stream.flush()  # what it still held


def told(error: OSError) -> str:
    """An error of the operating system as a message: the file, and what is the matter with it."""
    why = error.strerror or str(error)
    files = " and ".join(str(name) for name in (error.filename, error.filename2) if name)
    return f"{files}: {why}" if files else why


def printable(text: str) -> str:
    """A text in which bytes of file names that are no valid text are replaced, so that it can be printed."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def say_up_to_date(state: StageState) -> None:
    """Tells the user that a stage is up to date, and since when."""
    when = f" ({state.record['finished']})" if state.record else ""
    say(f"stage {state.stage.number} {state.stage.name}: up to date{when}")
