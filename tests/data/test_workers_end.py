"""Worker processes end when the process that started them is gone."""

from __future__ import annotations

import signal
from collections.abc import Callable

from gansemble.data import workers


def test_a_worker_looks_for_its_parent_once_a_second_and_ends_without_it(monkeypatch):
    """In a thread that does not hold it up; an interrupt is left to the parent."""
    seen: list[object] = []
    parents = iter([7, 7, 7, 1])

    class Thread:
        def __init__(self, *, target: Callable[[], None], daemon: bool) -> None:
            self.target = target
            seen.append(("daemon", daemon))

        def start(self) -> None:
            self.target()

    monkeypatch.setattr(workers.threading, "Thread", Thread)
    monkeypatch.setattr(workers.signal, "signal", lambda *each: seen.append(each))
    monkeypatch.setattr(workers.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(workers.time, "sleep", lambda seconds: seen.append(("slept", seconds)))
    monkeypatch.setattr(workers.os, "_exit", lambda status: seen.append(("ended", status)))
    workers.end_with_parent(7)
    assert seen == [(signal.SIGINT, signal.SIG_IGN), ("daemon", True), *[("slept", 1)] * 3, ("ended", 1)]
