"""What a worker process does: it builds the metrics, and scores one file after the other, telling what it begins.

Whatever kills the process then costs what it had begun, and nothing else.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from gansemble.abilities import SetMetric
from gansemble.data.workers import end_with_parent
from gansemble.errors import GansembleError, fault_of, of_all_files
from gansemble.interfaces import Metric, Score
from gansemble.scoring import naming
from gansemble.scoring.lazy import LazyClips
from gansemble.suite.columns import Metrics
from gansemble.suite.rows import Row
from gansemble.suite.signals import aligned, read


@dataclass(frozen=True)
class Task:
    """Files that are scored: one estimate, or a whole set of them.

    Args:
        system: whose estimates they are.
        id: of the clip; empty for a set.
        metrics: names of the metrics.
        estimates: paths; one but for a set.
        references: paths; none for metrics that need none.
        inputs: hash of their content.
    """

    system: str
    id: str
    metrics: tuple[str, ...]
    estimates: tuple[Path, ...]
    references: tuple[Path, ...]
    inputs: str


#: What a worker says, in this order: ``("built", column)`` for each metric, ``("ready", None)``; then for each task
#: ``("begin", metric)`` and ``("row", row)`` for each of its metrics, and ``("done", None)``. Between them ``("warning", text)``
#: and, at the end of everything, ``("error", text)``.
Message = tuple[str, object]


class Scorer:
    """Scores tasks with metrics that it builds once.

    Args:
        metrics: of the run.
        tell: is given each message.
    """

    def __init__(self, metrics: Metrics, tell: Callable[[Message], None]) -> None:
        self.metrics, self.tell = metrics, tell
        self.built: dict[str, Metric | SetMetric] = {}
        self.hashes: dict[str, str] = {}
        for name in metrics.parts:
            tell(("begin", name))
            self.built[name] = metrics.build(name)
            column = metrics.column(name, self.built[name])
            self.hashes[name] = column.hash
            tell(("built", column))

    def score(self, task: Task) -> None:
        """Scores a task with each of its metrics, and tells the rows."""
        signals: tuple[np.ndarray, np.ndarray | None] | str | None = None
        for name in task.metrics:
            self.tell(("begin", name))
            began = time.perf_counter()
            metric = self.built[name]
            row = _row(task, name, self.hashes[name])
            try:
                if isinstance(metric, SetMetric):
                    found = self._set(name, metric, task, row)
                else:
                    # Read once, within what the first metric has begun: a file can crash its decoder, too.
                    signals = self._signals(task) if signals is None else signals
                    found = self._pair(name, metric, signals)
            except Exception as error:
                if of_all_files(error) is not None:
                    raise
                row["ended"] = "failed"
                why = fault_of(task.id or task.system, error)
                found = {key: Score(math.nan, why) for key in naming.keys(self._part(name), metric, self._rate)}
            for key, score in found.items():
                row["scores"][key] = None if math.isnan(score.value) else float(score.value)
                if score.reason:
                    row["reasons"][key] = score.reason
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
            return {key: Score(math.nan, signals) for key in naming.keys(part, metric, self._rate)}
        estimate, reference = signals
        if reference is None and getattr(metric, "needs_reference", True):
            return {key: Score(math.nan, "needs a reference") for key in naming.keys(part, metric, self._rate)}
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
            "told": naming.set_details(part, metric),
            "intervals": naming.set_intervals(
                part, metric, estimates, references, reading.sample_rate, [None] * len(estimates)
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


class _Warnings(logging.Handler):
    """Tells what is logged, as of files that are odd, to the process that prints."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        super().__init__(logging.WARNING)
        self.tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(("warning", record.getMessage()))


def serve(descriptor: int, parent: int) -> None:
    """Runs a worker.

    Args:
        descriptor: of the socket to the process that started it.
        parent: that process' number; the worker ends when it is gone.
    """
    connection: Connection = Connection(descriptor)
    end_with_parent(parent)
    _leave_no_core()
    os.dup2(2, 1)  # what a metric prints is no answer of this command
    logging.getLogger().addHandler(_Warnings(connection.send))
    import torch

    torch.set_num_threads(1)
    try:
        asked, reading = connection.recv()
        scorer = Scorer(Metrics(asked, reading), connection.send)
        connection.send(("ready", None))
        while True:
            scorer.score(connection.recv())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, or needs no more
    except Exception as error:
        if os.environ.get("GANSEMBLE_TRACEBACK") == "1":
            import traceback

            traceback.print_exc()
        text = str(error) if isinstance(error, GansembleError) else f"{type(error).__name__}: {error}"
        connection.send(("error", text))


def _leave_no_core() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected and leaves no core file
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
