"""What is written of each file and metric, as soon as it is known, so that a run that was interrupted goes on. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, cast, get_args

from gansemble.files import sha256
from gansemble.stages import json_files

#: How the computation of a row ended. ``scored`` has values, or NaN with the metric's own reason, which would be the same
#: the next time; the others are accidents.
Ended = Literal["scored", "crashed", "hung", "killed", "failed"]
FILE = "rows.jsonl"


class Row(TypedDict):
    """What one metric gives for one file of a system, or for the whole system.

    Attributes:
        system: its name.
        id: of the clip; empty for a metric of whole sets.
        metric: its name.
        hash: of the metric's definition.
        inputs: hash of the content of the estimate and the reference, or of all of them for a metric of sets.
        scores: by key; None where there is no value.
        reasons: why there is none, or what is to be said of a value, by key.
        ended: how the computation ended.
        seconds: what it took.
        clips: number of estimates of a metric of sets.
        details: what a metric of sets has to say besides.
    """

    system: str
    id: str
    metric: str
    hash: str
    inputs: str
    scores: dict[str, float | None]
    reasons: dict[str, str]
    ended: Ended
    seconds: float
    clips: NotRequired[int]
    details: NotRequired[object]


Key = tuple[str, str, str, str, str]


def key(row: Row) -> Key:
    """What a row is of: the same key would give the same scores."""
    return row["system"], row["id"], row["metric"], row["hash"], row["inputs"]


def inputs_hash(paths: Iterable[Path], known: dict[Path, str] | None = None) -> str:
    """A hash of the content of some files, in their order; of one that cannot be read, of its name alone.

    Args:
        paths: of the files.
        known: hashes of files that were read already, to which those of others are added.

    Raises:
        nothing: whoever reads the file says what is wrong with it.
    """
    known = {} if known is None else known
    found = hashlib.sha256()
    for path in paths:
        if path not in known:
            try:
                known[path] = sha256(path)
            except OSError:
                known[path] = f"unreadable {path}"
        found.update(known[path].encode(errors="surrogateescape"))
    return found.hexdigest()[:16]


def _is_row(value: Mapping[str, object]) -> bool:
    """Whether a value that was read is a row."""
    texts = ("system", "id", "metric", "hash", "inputs")
    scores, reasons, seconds = value.get("scores"), value.get("reasons"), value.get("seconds")
    return (
        all(isinstance(value.get(name), str) for name in texts)
        and value.get("ended") in get_args(Ended)
        and isinstance(seconds, int | float)
        and isinstance(value.get("clips", 0), int)
        and isinstance(scores, dict)
        and all(each is None or (isinstance(each, int | float) and math.isfinite(each)) for each in scores.values())
        and isinstance(reasons, dict)
        and all(isinstance(each, str) for each in reasons.values())
        and isinstance(value.get("details", {}), dict)
    )


class Rows:
    """The rows of a folder: those that are there already, and those that are appended.

    Args:
        folder: that ``rows.jsonl`` lies in.
        keep_accidents: take rows that ended in a crash, a hang or a kill as done, too; else they are computed again.
    """

    def __init__(self, folder: Path, keep_accidents: bool = True) -> None:
        self.path = folder / FILE
        # Looked at by hand: checking each row by its type hints takes a second for 1,500 of them.
        there = json_files.sound_rows(self.path, dict, _is_row)
        self.loss = there.loss
        self.done: dict[Key, Row] = {}
        for row in cast("list[Row]", there.rows):
            if keep_accidents or row["ended"] == "scored":
                self.done[key(row)] = row
        self._stream = None if there.path.is_dir() else self.path.open("ab", buffering=0)
        if self._stream is not None and self.path.stat().st_size and not self._ends_line():
            self._stream.write(b"\n")  # of a run that was killed in the middle of a line

    def _ends_line(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(-1, 2)
            return stream.read(1) == b"\n"

    def append(self, row: Row) -> None:
        """Adds a row and writes it at once.

        Raises:
            OSError: if it cannot be written, as on a full disk; it names the file.
        """
        self.done[key(row)] = row
        if self._stream is not None:
            left = json.dumps(row, allow_nan=False).encode() + b"\n"
            try:
                while left:  # without a buffer, which would be written again, and fail again, when the file is closed
                    left = left[self._stream.write(left) or 0 :]
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(self.path)) from error

    def close(self) -> None:
        """Closes the file."""
        if self._stream is not None:
            self._stream.close()
