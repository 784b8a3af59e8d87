"""What a worker process does: it builds the metrics, and scores one file after the other, telling what it begins.

Whatever kills the process then costs what it had begun, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
import torch

from gansemble.abilities import SetMetric
from gansemble.data.workers import end_with_parent
from gansemble.errors import GansembleError, PartError, fault_of, of_all_files
from gansemble.interfaces import Metric, Score
from gansemble.scoring import naming
from gansemble.scoring.environment import environment
from gansemble.scoring.lazy import LazyClips
from gansemble.suite.columns import Column, Metrics
from gansemble.suite.rows import Row
from gansemble.suite.signals import aligned, read
from gansemble.suite.tasks import Message, Task

#: Longest reason that is kept of what a metric says [characters].
LONGEST = 600


class Scorer:
    """Scores tasks with metrics that it builds once.

    Args:
        metrics: of the run.
        tell: is given each message.
    """

    def __init__(self, metrics: Metrics, tell: Callable[[Message], None]) -> None:
        self.metrics, self.tell = metrics, tell
        self.built: dict[str, Metric | SetMetric] = {}
        self.columns: dict[str, Column] = {}
        for name in metrics.parts:
            tell(("begin", name))
            with _alike():
                self.built[name] = metrics.build(name)
                self.columns[name] = metrics.column(name, self.built[name])
            tell(("built", self.columns[name]))

    def score(self, task: Task) -> None:
        """Scores a task with each of its metrics, and tells the rows."""
        signals: tuple[np.ndarray, np.ndarray | None] | str | None = None
        for name in task.metrics:
            self.tell(("begin", name))
            began = time.perf_counter()
            metric, keys = self.built[name], self.columns[name].keys
            row = _row(task, name, self.columns[name].hash)
            try:
                with _alike():
                    if isinstance(metric, SetMetric):
                        found = self._set(name, metric, task, row)
                    else:
                        # Read once, within what the first metric has begun: a file can crash its decoder, too.
                        signals = self._signals(task) if signals is None else signals
                        found = self._pair(name, metric, signals if name == task.metrics[-1] else _copied(signals))
                if set(found) != set(keys):
                    raise PartError(
                        f"metric {name}: gave the scores {', '.join(map(repr, found))}, expected {', '.join(map(repr, keys))} as "
                        "of a second of silence at the start; it must give the same for every file, with NaN where it has no value"
                    )
            except Exception as error:
                if of_all_files(error) is not None:
                    raise
                row["ended"] = "failed"
                found = dict.fromkeys(keys, Score(math.nan, fault_of(task.id or task.system, error)))
            _enter(row, found)
            row["seconds"] = round(time.perf_counter() - began, 4)
            self.tell(("row", row))
        self.tell(("done", None))

    @property
    def _rate(self) -> int:
        return self.metrics.reading.sample_rate

    def _part(self, name: str):  # type: ignore[no-untyped-def]
        return self.metrics.parts[name]

    def _signals(self, task: Task) -> tuple[np.ndarray, np.ndarray | None] | str:
        """Estimate and reference; or why there are none, which is then the reason of every metric alike."""
        try:
            estimate = read(task.estimates[0], self.metrics.reading)
            if not task.references:
                return estimate, None
            return aligned(estimate, read(task.references[0], self.metrics.reading), self.metrics.reading.lengths)
        except GansembleError as error:
            return str(error)

    def _pair(
        self, name: str, metric: Metric, signals: tuple[np.ndarray, np.ndarray | None] | str
    ) -> Mapping[str, Score]:
        part = self._part(name)
        if isinstance(signals, str):
            return dict.fromkeys(self.columns[name].keys, Score(math.nan, signals))
        estimate, reference = signals
        if reference is None and getattr(metric, "needs_reference", True):
            return dict.fromkeys(self.columns[name].keys, Score(math.nan, "needs a reference"))
        return naming.scores(part, metric, estimate, reference, self._rate)  # type: ignore[arg-type]

    def _set(self, name: str, metric: SetMetric, task: Task, row: Row) -> Mapping[str, Score]:
        part, reading = self._part(name), self.metrics.reading
        estimates, references = (
            LazyClips([partial(read, path, reading) for path in paths]) for paths in (task.estimates, task.references)
        )
        found = naming.set_scores(part, metric, estimates, references, reading.sample_rate, [None] * len(estimates))
        row["clips"] = len(estimates)
        # A metric of sets may know its definition only now, with the number of clips in it.
        column = self.metrics.column(name, metric)
        row["details"] = {
            "definition": column.definition,
            "hash": column.hash,
            "told": _plain(naming.set_details(part, metric)),
            "intervals": _bounds(
                naming.set_intervals(part, metric, estimates, references, reading.sample_rate, [None] * len(estimates))
            ),
        }
        return found


def _row(task: Task, metric: str, hash_: str) -> Row:
    return {
        "system": task.system,
        "id": task.id,
        "metric": metric,
        "hash": hash_,
        "inputs": task.inputs,
        "scores": {},
        "reasons": {},
        "ended": "scored",
        "seconds": 0.0,
    }


def _enter(row: Row, found: Mapping[str, Score]) -> None:
    """Puts scores into a row: what is no finite number has no value, and a reason; reasons are one line each."""
    for key, score in found.items():
        value = float(score.value)
        row["scores"][key] = value if math.isfinite(value) else None
        reason = " ".join(str(score.reason or "").split())
        if math.isinf(value):
            reason = f"the metric gave {value:g}, which is no number" + (f" ({reason})" if reason else "")
        if reason:
            row["reasons"][key] = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]} […]"


def _plain(value: object) -> object:
    """What a metric tells of its sets, as JSON holds it: None for numbers that are not finite, other objects in words."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, torch.Tensor):
        value = value.detach().tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else repr(value)[:LONGEST]


def _bounds(found: Mapping[str, tuple[float, float]]) -> dict[str, list[float]]:
    """Intervals by key, of which those are left out that have a bound which is no finite number."""
    intervals = {key: [float(low), float(high)] for key, (low, high) in found.items()}
    return {key: each for key, each in intervals.items() if all(map(math.isfinite, each))}


def _copied(
    signals: tuple[np.ndarray, np.ndarray | None] | str,
) -> tuple[np.ndarray, np.ndarray | None] | str:
    """Signals of their own for one metric, as one that changes them in place would change the scores of the next."""
    if isinstance(signals, str):
        return signals
    estimate, reference = signals
    return estimate.copy(), None if reference is None else reference.copy()


@contextlib.contextmanager
def _alike() -> Iterator[None]:
    """Lets every computation begin alike, whichever came before it in this process.

    The global generators of random numbers have one state, so that scores depend neither on the order of files nor on the
    number of processes; and a metric that goes to another folder is brought back, as paths may be relative.
    """
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    here = os.open(".", os.O_RDONLY)
    try:
        yield
    finally:
        os.chdir(here)
        os.close(here)


class _Voice:
    """Says messages to the process that prints: one at a time, whichever thread has one, and from this process alone.

    Args:
        connection: to that process.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection, self.number = connection, os.getpid()
        self._turn = threading.Lock()
        os.set_inheritable(connection.fileno(), False)
        # A process that a metric forks would hold the connection open, and the death of this one would not be heard.
        os.register_at_fork(after_in_child=self._leave)

    def _leave(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()

    def __call__(self, message: Message) -> None:
        if os.getpid() != self.number:
            os._exit(0)  # a copy of this process that a metric made, and that went on as if it were this one
        with self._turn:
            self.connection.send(message)


class _Warnings(logging.Handler):
    """Tells what is logged, as of files that are odd, to the process that prints."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        super().__init__(logging.WARNING)
        self.tell, self.number = tell, os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # a message that does not fit its values is no fault of the score
            text = str(record.msg)
        if os.getpid() == self.number:
            self.tell(("warning", text if len(text) <= LONGEST else f"{text[:LONGEST]} […]"))


def serve(descriptor: int, parent: int) -> None:
    """Runs a worker.

    Args:
        descriptor: of the socket to the process that started it.
        parent: that process' number; the worker ends when it is gone.
    """
    connection: Connection = Connection(descriptor)
    tell = _Voice(connection)
    end_with_parent(parent)
    _leave_no_core()
    os.dup2(2, 1)  # what a metric prints is no answer of this command
    logging.getLogger().addHandler(_Warnings(tell))
    torch.set_num_threads(1)
    try:
        asked, reading = connection.recv()
        scorer = Scorer(Metrics(asked, reading), tell)
        tell(("ready", environment()))
        while True:
            scorer.score(connection.recv())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, or needs no more
    except Exception as error:
        if os.environ.get("GANSEMBLE_TRACEBACK") == "1":
            import traceback

            traceback.print_exc()
        text = str(error) if isinstance(error, GansembleError) else f"{type(error).__name__}: {error}"
        tell(("error", text))


def _leave_no_core() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected and leaves no core file
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
