"""Worker processes for code that may crash: a crash costs one call, and the next call gets a new worker.

A worker is started by the first call that finds none idle, as a new interpreter rather than a fork. It does not import
the program's ``__main__``, so that needs no guard and torch is not loaded. Calls from several threads run in as many
workers.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any

_START = "from gansemble_plugins.metrics.workers import serve; serve()"
_idle: list[Worker] = []
_lock = threading.Lock()


class CallFailed(Exception):
    """The function raised, took too long, or its worker died; the message says which."""


def call(function: Callable[..., Any], *arguments: Any, timeout: float = 120) -> Any:
    """The result of ``function(*arguments)``, computed in a worker process.

    Args:
        function: can be pickled, as can its arguments and its result.
        *arguments: of the function.
        timeout: longest time to wait [s].

    Raises:
        CallFailed: if the function raised or took longer, or its worker crashed.
    """
    worker = _take()
    try:
        succeeded, answer = worker.ask(function, arguments, timeout)
    except BaseException:  # Ctrl-C too: the answer of an abandoned call must not reach the next one
        worker.stop()
        raise
    with _lock:
        _idle.append(worker)
    if not succeeded:
        raise CallFailed(answer)
    return answer


def close() -> None:
    """Ends the idle workers; the next call starts a new one."""
    with _lock:
        workers, _idle[:] = list(_idle), []
    for worker in workers:
        worker.stop()


def pesq_of(sample_rate: int, reference: Any, estimate: Any, mode: str) -> float:
    """PESQ of two float signals [T], by the pesq package.

    Its C code writes past the end of its tables on more than about 50 utterances, so call it in a worker.

    Args:
        sample_rate: 8000 or 16000 [Hz].
        reference, estimate: float [T].
        mode: ``wb`` or ``nb``.
    """
    from pesq import PesqError, pesq

    return float(pesq(sample_rate, reference, estimate, mode, on_error=PesqError.RAISE_EXCEPTION))


class Worker:
    """One worker process, and the pipes to and from it."""

    def __init__(self) -> None:
        paths = os.pathsep.join(entry for entry in sys.path if entry)
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process, see stop
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def ask(self, function: Callable[..., Any], arguments: Sequence[Any], timeout: float) -> tuple[bool, Any]:
        """Runs a function in the process: (True, its result), or (False, the error that it raised, in words).

        Args:
            function: can be pickled.
            arguments: of the function.
            timeout: longest time to wait [s].

        Raises:
            CallFailed: if the process died, or the time is over.
        """
        assert self.process.stdin and self.process.stdout
        request = pickle.dumps((function, arguments), protocol=pickle.HIGHEST_PROTOCOL)
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.process.kill()

        timer = threading.Timer(timeout, expire)
        timer.start()
        try:
            self.process.stdin.write(request)
            self.process.stdin.flush()
            answer = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            reason = f"took longer than {timeout:g} s" if expired.is_set() else self._death()
            raise CallFailed(reason) from error
        finally:
            timer.cancel()
            timer.join()
        if expired.is_set():
            raise CallFailed(f"took longer than {timeout:g} s")
        return answer

    def stop(self) -> None:
        """Kills the process, whatever it is doing, and closes the pipes."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            try:
                stream.close()  # type: ignore[union-attr]
            except OSError:  # bytes for a dead process were still buffered
                pass
        self.process.wait()

    def _death(self) -> str:
        code = self.process.wait()
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        self.errors.seek(0)
        last = self.errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        return f"the worker process crashed ({name}{': ' + last if last else ''})"


def serve() -> None:
    """What a worker runs: it answers requests until the parent closes the pipe."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected and leaves no core file
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the called code prints must not mix with the answers
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = (True, function(*arguments))
        except Exception as error:
            answer = (False, f"{type(error).__name__}: {_message(error)}")
        pickle.dump(answer, answers)
        answers.flush()


def _message(error: Exception) -> str:
    """The error's text; the arguments of pesq's errors are bytes."""
    text = error.args[0] if error.args else ""
    return text.decode(errors="replace") if isinstance(text, bytes) else str(error)


def _take() -> Worker:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.process.poll() is None:
                return worker
            worker.stop()
    return Worker()


def _forget() -> None:
    """Run in a forked child, which must use neither the parent's workers nor a lock that a thread may have held."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(close)
