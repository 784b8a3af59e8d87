"""Curves of a run: files with one JSON object per line, each the values at one step."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from gansemble.stages import json_files

T = TypeVar("T")
log = logging.getLogger(__name__)

#: One row of a curves file: the number of steps under ``step``, and values by name; None where one was not finite.
CurveRow = dict[str, float | None]


class Curves:
    """Appends rows to a file of curves, ``logs/<name>.jsonl``.

    When a run is resumed, rows of later steps are dropped: the interrupted run wrote them after its last checkpoint.

    Args:
        path: of the file.
        step: number of steps done when the run started or was resumed.
        resumed: whether the run goes on from a checkpoint; else the file is emptied. None: from any but that of step 0.
    """

    def __init__(self, path: Path, step: int, resumed: bool | None = None) -> None:
        self.path = path
        self._told = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning("%s: cannot be made (%s); its curves are lost", path.parent, error.strerror)
        if path.is_file():
            goes_on = step > 0 if resumed is None else resumed
            rewrite(path, [row for row in read_curves(path) if goes_on and (row["step"] or 0) <= step])

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Appends a row; a value that is not finite becomes null, and a row that cannot be written is logged as lost.

        Args:
            step: number of steps done.
            values: by curve name.
        """
        row = {"step": step} | {name: value if math.isfinite(value) else None for name, value in values.items()}
        try:
            with self.path.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            if not self._told:
                self._told = True
                text = "%s: the row of step %d is lost (%s); the run goes on, and does not say so of further rows"
                log.warning(text, self.path, step, error.strerror)


def read_curves(path: Path) -> list[CurveRow]:
    """All complete rows of a file of curves; none if there is no file."""
    # Plain type checks: a long run has millions of values, of which typeguard checks some hundred thousand a second.
    return read_rows(path, dict, _is_row)


def _is_row(row: CurveRow) -> bool:
    return "step" in row and all(type(value) in (float, int, type(None)) for value in row.values())


def points(rows: Iterable[CurveRow], name: str) -> list[tuple[float, float]]:
    """(step, value) of the curve ``name``, at the steps where it has a value."""
    pairs = [(row["step"], row.get(name)) for row in rows]
    return [(step, value) for step, value in pairs if step is not None and value is not None]


def rewrite(path: Path, rows: Iterable[object]) -> None:
    """Writes the rows that are kept of a log; if they cannot be written, that is logged, and the file stays as it was."""
    try:
        json_files.write_rows(path, rows)
    except OSError as error:
        log.warning("%s: cannot be written (%s), so it keeps rows of steps that are done again", path, error.strerror)


def read_rows(path: Path, kind: type[T], fits: Callable[[T], bool] = lambda row: True) -> list[T]:
    """The values in a file with one JSON value of a type per line; none if there is no file.

    A damaged line, such as a last one cut short by a crash, is left out, which is said in the log.
    """
    found = json_files.sound_rows(path, kind, fits)
    if found.loss is not None:
        log.warning("%s", found.loss)
    return found.rows
