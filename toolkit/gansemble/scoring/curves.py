"""Curves of a run: one JSON object a line, by step."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

#: One row of a curves file: the number of steps under ``step``, and values by name; None where one was not finite.
CurveRow = dict[str, float | None]


class Curves:
    """Appends rows to ``logs/<name>.jsonl``; a resumed run first drops the rows the interrupted one wrote too many.

    Args:
        path: the file.
        step: steps done when the run (re)started.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            kept = [row for row in read_curves(path) if step > 0 and (row["step"] or 0) <= step]
            path.write_text("".join(json.dumps(row) + "\n" for row in kept))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a row; a value that is not finite is written as null."""
        row = {"step": step} | {name: value if math.isfinite(value) else None for name, value in values.items()}
        try:
            with self.path.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            log.warning("%s: the row of step %d is lost (%s)", self.path, step, error)


def read_curves(path: Path) -> list[CurveRow]:
    """The rows of a curves file, those of :func:`read_rows`."""
    return list(read_rows(path))


def points(rows: Iterable[CurveRow], name: str) -> list[tuple[float, float]]:
    """(step, value) of a curve where it has a value."""
    pairs = [(row["step"], row.get(name)) for row in rows]
    return [(step, value) for step, value in pairs if step is not None and value is not None]


def read_rows(path: Path) -> list[Any]:
    """What a file of one JSON value a line holds; a last line cut short by a crash is passed over."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
