"""What becomes of worker processes and what they tell: none is left behind, and no answer reaches another call."""

from __future__ import annotations

import inspect
import os
import pickle
import resource
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gansemble_plugins.metrics import workers


@pytest.fixture(autouse=True)
def no_workers() -> Iterator[None]:
    workers.close()
    yield
    workers.close()


def alive(pid: int) -> bool:
    """Whether there is such a process, a zombie included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def raising(error: str) -> Any:
    """An expression for ``eval`` that raises."""
    return f"(_ for _ in ()).throw({error})"


def test_a_worker_that_is_stopped_is_waited_for_and_its_pipes_are_closed():
    worker = workers.Worker()
    assert worker.ask(os.getpid, (), 60) == (True, worker.process.pid)
    worker.stop()
    assert worker.process.returncode == -signal.SIGKILL
    assert all(stream.closed for stream in (worker.process.stdin, worker.process.stdout, worker.errors))


def test_idle_workers_are_ended_when_closed():
    pid = workers.call(os.getpid)
    assert alive(pid)
    workers.close()
    assert not alive(pid)


def test_a_worker_whose_answer_nobody_awaits_is_gone(monkeypatch):
    pid = workers.call(os.getpid)

    def interrupted(stream: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pickle, "load", interrupted)
        workers.call(time.sleep, 30)
    assert not alive(pid)


def test_a_call_is_given_up_at_its_timeout_which_is_two_minutes_unless_told_otherwise():
    pid, begun = workers.call(os.getpid), time.monotonic()
    with pytest.raises(workers.CallFailed, match=r"took longer than 0\.2 s"):
        workers.call(time.sleep, 30, timeout=0.2)
    assert time.monotonic() - begun < 20 and not alive(pid)
    assert inspect.signature(workers.call).parameters["timeout"].default == 120


def test_an_answer_that_comes_too_late_is_none(monkeypatch):
    workers.call(os.getpid)

    def late(stream: Any) -> Any:
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join()
        return True, "late"

    with monkeypatch.context() as patch, pytest.raises(workers.CallFailed, match=r"took longer than 0\.1 s"):
        patch.setattr(pickle, "load", late)
        workers.call(os.getpid, timeout=0.1)


def test_a_call_leaves_no_thread_behind():
    workers.call(os.getpid)
    before = threading.active_count()
    for _ in range(5):
        workers.call(os.getpid)
        assert threading.active_count() <= before


@pytest.mark.parametrize(("does", "says"), [
    ("__import__('os')._exit(0)", "the worker process crashed (exit status 0)"),
    ("__import__('os')._exit(3)", "the worker process crashed (exit status 3)"),
    ("__import__('os').kill(__import__('os').getpid(), 1)", "the worker process crashed (SIGHUP)"),
    ("__import__('os').write(2, b'first\\nwhy\\n') and __import__('os')._exit(3)",
     "the worker process crashed (exit status 3: why)"),
    ("__import__('os').write(2, b'why') and __import__('os')._exit(1)",
     "the worker process crashed (exit status 1: why)"),
])  # fmt: skip
@pytest.mark.usefixtures("signals_heard")
def test_how_a_worker_died_is_told_with_its_last_line(does, says):
    with pytest.raises(workers.CallFailed) as caught:
        workers.call(eval, does)
    assert str(caught.value) == says


@pytest.mark.parametrize(("error", "says"), [
    ("ValueError()", "ValueError: "), ("ValueError('a', 'b')", "ValueError: ('a', 'b')"),
    ("OSError(b'caf\\xc3\\xa9', 'b')", "OSError: café"), ("KeyError(b'\\xff')", "KeyError: �"),
    ("ValueError('b', b'a')", "ValueError: ('b', b'a')"),
])  # fmt: skip
def test_what_was_raised_is_told_in_words_where_the_first_argument_is_bytes_too(error, says):
    with pytest.raises(workers.CallFailed) as caught:
        workers.call(eval, raising(error))
    assert str(caught.value) == says


def test_a_worker_leaves_no_core_file_and_does_not_hear_ctrl_c():
    limit = "tuple(__import__('resource').getrlimit(__import__('resource').RLIMIT_CORE))"
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))  # a worker begins with what its parent may write
    try:
        assert workers.call(eval, limit) == (0, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert workers.call(eval, "__import__('signal').getsignal(2) == __import__('signal').SIG_IGN")


def test_a_worker_that_died_idle_is_cleared_away():
    pid = workers.call(os.getpid)
    (dead,) = workers._idle
    os.kill(pid, signal.SIGKILL)
    dead.process.wait()
    assert workers.call(os.getpid) != pid
    assert dead.process.stdin is not None and dead.process.stdin.closed and dead.errors.closed


def test_a_forked_child_has_no_workers_of_its_parents():
    workers.call(os.getpid)
    assert len(workers._idle) == 1
    child = os.fork()
    if child == 0:
        os._exit(len(workers._idle))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
