"""What the process that prints and its workers say to each other. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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


#: What a worker says, in this order: ``("begin", metric)`` and ``("built", column)`` for each metric, ``("ready", versions and
#: machine)``; then for each task ``("begin", metric)`` and ``("row", row)`` for each of its metrics, and ``("done", None)``.
#: Between them ``("warning", text)`` and, at the end of everything, ``("error", text)``.
Message = tuple[str, object]
