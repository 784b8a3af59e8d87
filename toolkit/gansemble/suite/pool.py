"""Worker processes of which any may crash, hang or be killed: that costs one metric of one file, told with its reason.

Imports no torch, so that the first worker starts at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from socket import socketpair
from typing import cast

from gansemble.errors import DataError
from gansemble.suite.columns import Asked, Column, demand_distinct
from gansemble.suite.rows import Ended, Row
from gansemble.suite.signals import Reading
from gansemble.suite.tasks import Message, Task

_START = "import sys; from gansemble.suite.worker import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
#: Signals by which a process is ended from outside, as by the system where memory is short.
FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
#: How often what was killed from outside is tried.
TRIES = 2
#: How long building a metric may take [s]: it may load a network.
BUILD_SECONDS = 600.0
#: Warnings of workers that are shown; a metric may have one for each frame.
MOST_WARNINGS = 30
#: What is kept of what metrics print [bytes], and shown of its last line [characters].
KEPT_BYTES, SHOWN = 1 << 20, 300
#: Ends the groups of processes whose numbers it is told, once nobody holds its input any more: a process that was killed
#: cannot end its workers, and a worker within a function in C does not see that it is gone.
_GUARD = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


class Pool:
    """Scores tasks in worker processes.

    Args:
        asked: the metrics.
        reading: how files become signals.
        jobs: largest number of processes.
        timeout: longest time of one metric for a task [s], as a function of the task.
        warn: is given what workers say of odd files.
        at_once: processes to start before it is known what there is to do, at most ``jobs``.

    Raises:
        DataError: if the metrics cannot be built.
        GansembleError: if two metrics call a score by one name.

    Attributes:
        columns: the metrics, by name, from the first worker that is ready.
        environment: versions and machine, from the same.
    """

    def __init__(
        self,
        asked: Asked,
        reading: Reading,
        jobs: int,
        timeout: Callable[[Task], float],
        warn: Callable[[str], None],
        at_once: int = 1,
    ) -> None:
        self.asked, self.reading, self.jobs, self.timeout, self.warn = asked, reading, jobs, timeout, warn
        self.at_once = at_once
        self.columns: dict[str, Column] = {}
        self.environment: Mapping[str, str] = {}
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._warned: set[str] = set()
        self._guard: subprocess.Popen[str] | None = None
        self._tries: dict[tuple[str, str, str], int] = {}
        self._rows: list[Row] = []
        self._queue: deque[Task] = deque()

    def __enter__(self) -> Pool:
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARD], stdin=subprocess.PIPE, text=True, start_new_session=True
            )
            for _ in range(max(1, min(self.jobs, self.at_once))):
                self._start()
            while not any(worker.ready for worker in self._workers):
                if not self._workers:
                    self._start()
                self._listen()
            demand_distinct(self.columns.values())
        except BaseException:  # __exit__ is not called then
            self._end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def _end(self) -> None:
        for worker in self._workers:
            worker.end()
            self._tell_guard(f"-{worker.process.pid}")
        self._workers.clear()
        if self._guard is not None:
            with contextlib.suppress(OSError):
                self._guard.communicate()  # closes its input; the workers it knows of are gone

    def run(self, tasks: Sequence[Task]) -> Iterator[Row]:
        """Yields a row for each metric of each task, as they come.

        Raises:
            DataError: if a worker cannot go on at all, as with a full disk.
        """
        self._queue = deque(tasks)
        while self._queue or any(worker.task for worker in self._workers):
            while self._queue and len(self._workers) < min(self.jobs, self._open()):
                self._start()
            for worker in self._workers:
                if worker.ready and worker.task is None and self._queue:
                    worker.give(self._queue.popleft())
            self._listen()
            yield from self._rows
            self._rows.clear()

    def _open(self) -> int:
        return len(self._queue) + sum(worker.task is not None for worker in self._workers)

    def _start(self) -> _Worker:
        worker = _Worker(self.asked, self.reading)
        self._workers.append(worker)
        self._tell_guard(f"+{worker.process.pid}")
        return worker

    def _tell_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(OSError):  # killed itself; the workers look for this process once a second, too
                self._guard.stdin.write(line + "\n")
                self._guard.stdin.flush()

    def _listen(self) -> None:
        """Waits until some worker says something, dies, or has taken too long."""
        limits = {id(worker): self._limit(worker) for worker in self._workers}
        soonest = min((limit for limit in limits.values()), default=0.0)
        heard = wait([worker.connection for worker in self._workers], max(0.0, min(1.0, soonest - time.monotonic())))
        for worker in list(self._workers):
            worker.forget_prints()
            if worker.connection in heard or (worker.gone and worker.connection.poll()):
                try:
                    self._take(worker, cast("Message", worker.connection.recv()))
                except (EOFError, OSError):
                    self._died(worker, None)
            elif worker.gone:  # though something that a metric started holds the connection
                self._died(worker, None)
            elif time.monotonic() > limits[id(worker)]:
                self._died(worker, self.timeout(worker.task) if worker.task is not None else BUILD_SECONDS)

    def _limit(self, worker: _Worker) -> float:
        if worker.task is not None:
            return worker.since + self.timeout(worker.task)
        return worker.since + BUILD_SECONDS if not worker.ready else float("inf")

    def _take(self, worker: _Worker, message: Message) -> None:
        what, value = message
        worker.since = time.monotonic()
        if what == "begin":
            worker.metric = str(value)
        elif what == "built":
            self.columns.setdefault(cast("Column", value).metric, cast("Column", value))
        elif what == "ready":
            worker.ready, worker.metric = True, ""
            self.environment = self.environment or cast("Mapping[str, str]", value)
        elif what == "row":
            worker.left = [name for name in worker.left if name != cast("Row", value)["metric"]]
            worker.metric = ""
            self._rows.append(cast("Row", value))
        elif what == "done":
            worker.task = None
        elif what == "warning":
            self._warn(str(value))
        else:
            raise DataError(str(value))

    def _warn(self, text: str) -> None:
        if text in self._warned or len(self._warned) > MOST_WARNINGS:
            return
        self._warned.add(text)
        self.warn(text if len(self._warned) <= MOST_WARNINGS else "further warnings are not shown")

    def _died(self, worker: _Worker, over: float | None) -> None:
        """Notes what a worker had begun, and puts the rest of its task back. ``over`` is the time that it took, if too long [s]."""
        why, ended = worker.death(over)
        self._workers.remove(worker)
        self._tell_guard(f"-{worker.process.pid}")
        if worker.task is None:
            if worker.ready:
                return
            self._failed_starts += 1
            if ended == "killed" and self._failed_starts < TRIES:
                return  # another is started where it is needed
            if any(other.ready for other in self._workers):
                self.jobs = len(self._workers)
                self._warn(
                    f"a process could not be started, {why}; the run goes on with {self.jobs}, as memory may be short"
                )
                return
            if not worker.metric:
                raise DataError(
                    f"no process that scores could be started: {why}; run again with fewer --jobs if memory is short"
                )
            raise DataError(
                f"metric {worker.metric}: could not be built, {why}; leave it out, or run again with fewer --jobs if memory is short"
            )
        task, metric = worker.task, worker.metric or (worker.left or [""])[0]
        rest = [name for name in worker.left if name != metric]
        place = (task.system, task.id, metric)
        self._tries[place] = self._tries.get(place, 0) + 1
        if ended == "killed" and self._tries[place] < TRIES:
            rest = [metric, *rest]
        elif metric:
            self._rows.append(self._accident(task, metric, why, ended))
        if rest:
            self._queue.appendleft(replace(task, metrics=tuple(rest)))

    def _accident(self, task: Task, metric: str, why: str, ended: Ended) -> Row:
        column = self.columns[metric]
        return {
            "system": task.system,
            "id": task.id,
            "metric": metric,
            "hash": column.hash,
            "inputs": task.inputs,
            "scores": dict.fromkeys(column.keys),
            "reasons": dict.fromkeys(column.keys, why),
            "ended": ended,
            "seconds": 0.0,
        }


class _Worker:
    """One worker process, and what it is at."""

    def __init__(self, asked: Asked, reading: Reading) -> None:
        ours, theirs = socketpair()
        paths = os.pathsep.join(entry for entry in sys.path if entry)
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in end
        # Appended to, so that it can be cut: each writes at what is the end by then.
        fcntl.fcntl(self.errors, fcntl.F_SETFL, fcntl.fcntl(self.errors, fcntl.F_GETFL) | os.O_APPEND)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=self.errors,
                start_new_session=True,  # what a metric starts itself ends with it
                env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        self.connection: Connection = Connection(ours.detach())
        self.connection.send((asked, reading))
        self.task: Task | None = None
        self.metric, self.left = "", list[str]()
        self._printed = b""  # of what was dropped, the end
        self.ready, self.since = False, time.monotonic()

    def give(self, task: Task) -> None:
        """Gives it a task."""
        self.task, self.metric, self.left, self.since = task, "", list(task.metrics), time.monotonic()
        with contextlib.suppress(OSError):  # dead already, which is seen next
            self.connection.send(task)

    def death(self, over: float | None) -> tuple[str, Ended]:
        """Why the process is dead, in words, after it was made sure that it is."""
        if over is not None:
            self.end()
            return f"took longer than {over:g} s and was ended", "hung"
        code = self.process.wait()
        said = self._last_words()
        self.end()
        if code >= 0:
            return f"the process that scores ended by itself (exit status {code}{said})", "crashed"
        name = signal.Signals(-code).name
        if -code in FROM_OUTSIDE:
            return f"the process that scores was killed from outside ({name}; memory?)", "killed"
        return f"the process that scores crashed ({name}{said})", "crashed"

    @property
    def gone(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def forget_prints(self) -> None:
        """Drops what metrics have printed if it is much, as it would fill the disk."""
        if os.fstat(self.errors.fileno()).st_size > KEPT_BYTES and not self.gone:
            self._printed = self._end_of_prints()
            self.errors.truncate(0)

    def _end_of_prints(self) -> bytes:
        self.errors.seek(max(0, os.fstat(self.errors.fileno()).st_size - 4 * SHOWN))
        return self.errors.read()

    def _last_words(self) -> str:
        said = (self._printed + self._end_of_prints()).decode(errors="replace")
        last = said.strip().rpartition("\n")[2].strip()
        return f": {last if len(last) <= SHOWN else '… ' + last[-SHOWN:]}" if last else ""

    def end(self) -> None:
        """Ends the process, whatever it is at."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()
        self.errors.close()
