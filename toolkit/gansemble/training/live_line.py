"""One line of a terminal that is written again and again, below all other lines.

The cursor waits at its beginning. So whatever a terminal makes of it when its window gets narrower, wrapped or cut, it is
erased as a whole from there on; the progress bars of libraries, which wait at its end, leave a torn line behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import TextIO

#: Goes to the beginning of the line, and erases all from there to the end of the screen.
ERASE = "\r\x1b[J"
#: Shortest time between two drawings [s].
OFTEN_S = 0.2


def can_redraw(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream is a terminal on which a line can be written again.

    Args:
        stream: what is written to.
        environment: whose ``TERM`` is empty or ``dumb`` for a terminal that can only print.
    """
    try:
        return stream.isatty() and environment.get("TERM", "") not in ("", "dumb")
    except ValueError:  # it was closed
        return False


def knows_unicode(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether block characters can be shown.

    Python takes UTF-8 where the locale is C or POSIX, and then says so of its streams and in ``LC_CTYPE``; the terminal
    itself need not know it.
    """
    locale = environment.get("LC_ALL") or environment.get("LC_CTYPE", "").replace("C.UTF-8", "")
    locale = locale or environment.get("LANG", "")
    return "utf" in locale.lower() and "utf" in (stream.encoding or "").lower()


class LiveLine:
    """The line, of which :attr:`text` gives the present text for a width.

    While :meth:`shown`, what else is printed in this process appears above it.

    Args:
        stream: a terminal.
        text: called for the text in so many columns, each time when the line is drawn.
        width: called for the number of columns that there are now.
        clock: gives the time [s].
    """

    def __init__(
        self,
        stream: TextIO,
        text: Callable[[int], str],
        width: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream, self.text, self._width, self._clock = stream, text, width, clock
        self._lock = threading.RLock()
        self._drawing = self._there = False
        self._whole = True  # what was printed above ends with the end of a line
        self._drawn = -OFTEN_S

    def draw(self, now: bool = False) -> None:
        """Writes the line again, unless that was done a moment ago.

        Args:
            now: in any case.
        """
        if not now and self._clock() - self._drawn < OFTEN_S:
            return
        with self._lock:
            if self._drawing or not self._whole:
                return
            self._drawing = True
            try:
                # One column stays free: at the last one, some terminals have gone to the next line already.
                self.stream.write(ERASE + self.text(self._width() - 1) + "\r")
                self.stream.flush()
                self._there, self._drawn = True, self._clock()
            finally:
                self._drawing = False

    def above(self, text: str, stream: TextIO | None = None) -> None:
        """Prints a text above the line.

        Args:
            text: with the ends of its lines.
            stream: that it is written to; None is the line's.
        """
        stream = self.stream if stream is None else stream
        with self._lock:
            self._drawing = True
            try:
                if self._there and text:
                    self.stream.write(ERASE)
                    self.stream.flush()
                    self._there = False
                stream.write(text)
                stream.flush()
                self._whole = text.endswith("\n") if text else self._whole
            finally:
                self._drawing = False
        self.draw(now=True)

    def close(self) -> None:
        """Leaves the line as it is at the end, once, and goes to the next."""
        with self._lock:
            if self._there:
                self.stream.write(ERASE + self.text(self._width() - 1) + "\n")
                self.stream.flush()
                self._there = False

    @contextlib.contextmanager
    def shown(self) -> Iterator[LiveLine]:
        """While in the ``with`` block, keeps what this process prints above the line, and follows the terminal's width."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if stream is not None and stream.isatty():
                    through = _Above(self, stream)
                    setattr(sys, name, through)
                    stack.callback(_restore, name, through, stream)
                    for handler in logging.getLogger().handlers:
                        if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                            handler.setStream(through)
                            stack.callback(handler.setStream, stream)
            if threading.current_thread() is threading.main_thread():
                before = signal.signal(signal.SIGWINCH, self._resized)
                stack.callback(signal.signal, signal.SIGWINCH, before)
            self.draw(now=True)
            yield self

    def _resized(self, number: int, frame: FrameType | None) -> None:
        if not self._drawing:  # what is being written now is not broken into: the next step draws it
            with contextlib.suppress(OSError):
                self.draw(now=True)


def _restore(name: str, through: _Above, stream: TextIO) -> None:
    if getattr(sys, name) is through:  # unless somebody has put another there meanwhile
        setattr(sys, name, stream)


class _Above:
    """Stands for a stream of this process; what is written to it appears above the line."""

    def __init__(self, line: LiveLine, stream: TextIO) -> None:
        self._line, self._stream = line, stream

    def write(self, text: str) -> int:
        """Writes above the line."""
        self._line.above(text, self._stream)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes each above the line."""
        self.write("".join(lines))

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
