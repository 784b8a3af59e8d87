"""Pools of worker processes: why one of them died, and how they end when the process that started them is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, process
from multiprocessing.process import BaseProcess
from pathlib import Path

from gansemble.errors import DataError

#: What a script must have around what it does, as processes import it before they begin.
GUARD = 'if __name__ == "__main__":'


@contextmanager
def workers(
    jobs: int, doing: str, advice: str, begin: Callable[..., None], *given: object
) -> Iterator[ProcessPoolExecutor]:
    """Context manager for a pool of processes that are started anew: a forked child inherits locks of other threads.

    Args:
        jobs: number of processes.
        doing: what a process does, for messages, such as ``reading the corpus``.
        advice: what to do about one that was killed, as the end of a sentence.
        begin: called in each process first, with ``given``.
        *given: what ``begin`` is called with.

    Raises:
        DataError: if a process dies; the message tells one that was killed from one that could not begin, which is what
            comes of a script that lacks its guard.
    """
    if getattr(process.current_process(), "_inheriting", False):
        raise DataError(
            f"{_script()} starts processes when it is imported, which each of these does first; {_advice()}"
        )
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=begin, initargs=given) as pool:
        # Kept, as a broken pool forgets its processes.
        started: dict[int, BaseProcess] = getattr(pool, "_processes", {})
        try:
            yield pool
        except BrokenProcessPool as error:
            raise DataError(_why(list(started.values()), doing, advice)) from error


def _why(started: list[BaseProcess], doing: str, advice: str) -> str:
    """Why a process of a pool died, by how those of the pool ended: by a signal, or with an error of their own."""
    # Not join(): the pool's own thread may wait for the same process, and to the second of the two it seems never to end.
    until = time.monotonic() + 5
    while any(each.exitcode is None for each in started) and time.monotonic() < until:
        time.sleep(0.01)
    # The others are ended by SIGTERM then. Signals have negative codes; a process that cannot begin exits by itself, unless
    # the pool was quicker to end it with the others.
    codes = {each.exitcode for each in started} - {None, -signal.SIGTERM}
    if any(code is not None and code < 0 for code in codes):
        return f"a process {doing} was killed ({advice}"
    why = "what it wrote above says why"
    if _unguarded():
        why = f"each imports {_script()} first, which starts processes itself then; {_advice()}"
    elif codes:
        why = f"{why}. In a script, {_advice()}"
    else:
        return f"a process {doing} ended too early: {why}, or it was killed ({advice}"
    return f"a process {doing} ended before it began: {why}"


def _script() -> str:
    return str(getattr(sys.modules.get("__main__"), "__file__", None) or "the script")


def _advice() -> str:
    return f"put what it does below a line {GUARD}"


def _unguarded() -> bool:
    """Whether the program is a script that never asks whether it is the program."""
    path = Path(_script())
    try:
        return path.suffix == ".py" and "__main__" not in path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def end_with_parent(parent: int) -> None:
    """Makes this process end when its parent has ended; for the ``initializer`` of a process pool.

    A parent that is killed with SIGKILL cannot stop its workers, which would then wait for work for ever. A thread
    checks once a second whether the parent is still there. SIGINT is ignored, as the parent ends its workers on Ctrl-C.

    Args:
        parent: process number of the parent.
    """

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers

    def watch() -> None:
        # An orphan gets another parent, so the number changes.
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
