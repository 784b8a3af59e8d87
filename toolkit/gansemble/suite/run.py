"""Scores folders of audio against a reference: what is there already is kept, and the rest is computed by worker processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gansemble.errors import DataError, FolderInUse
from gansemble.stages.locks import FolderLock
from gansemble.suite.columns import Asked, Column
from gansemble.suite.matching import Matched, match
from gansemble.suite.pool import Pool
from gansemble.suite.rows import Key, Row, Rows, inputs_hash
from gansemble.suite.signals import Channels, Lengths, Reading, rate_of, survey
from gansemble.suite.tasks import Task

#: A metric of a task may take so long: at least the first [s], and the second for each second of audio.
LEAST_SECONDS, SECONDS_PER_SECOND = 300.0, 60.0
#: The same of a metric of sets: what hears a whole set hears each clip quickly.
LEAST_OF_SET, PER_SECOND_OF_SET = 600.0, 5.0
Say = Callable[[str], None]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What is to be scored.

    Args:
        reference: a folder, or one file; None for metrics that need none.
        systems: a folder by name, or one file each.
        asked: the metrics.
        rate: to score at [Hz]; None demands that all files have one.
        lengths, channels: see :class:`gansemble.suite.signals.Reading`.
        strip: end of the estimates' names that is not part of the clip's.
        jobs: largest number of worker processes.
        timeout: longest time of a metric for a file [s]; None is 300 s, and more for long clips and for sets.
        retry: compute again what crashed, hung or was killed the last time.
        output: folder for rows and tables; None keeps nothing.
    """

    reference: Path | None
    systems: Mapping[str, Path]
    asked: Asked = field(default_factory=Asked)
    rate: int | None = None
    lengths: Lengths = "as they are"
    channels: Channels = "mono"
    strip: str = ""
    jobs: int = 1
    timeout: float | None = None
    retry: bool = False
    output: Path | None = None


@dataclass(frozen=True)
class Scored:
    """All rows of a request.

    Args:
        request: what was asked.
        reading: how files became signals.
        columns: the metrics by name.
        ids: the clips, in order.
        rows: by system, metric and clip; the clip of a metric of sets is empty.
        notes: what the user should know, in sentences.
        environment: versions and machine of the process that scores.
    """

    request: Request
    reading: Reading
    columns: Mapping[str, Column]
    ids: Sequence[str]
    rows: Mapping[tuple[str, str, str], Row]
    notes: Sequence[str]
    environment: Mapping[str, str]

    @property
    def accidents(self) -> list[Row]:
        """The rows whose computation ended in a crash, a hang, a kill or an error."""
        return [row for row in self.rows.values() if row["ended"] != "scored"]


def score_folders(request: Request, say: Say, progress: Progress | None = None) -> Scored:
    """Scores every system of a request. Rows are written as they come; what is there already is not computed again.

    Args:
        request: what to score.
        say: called with each line for the user.
        progress: called with the number of rows that there are, and of all.

    Raises:
        DataError: if the folders do not fit together, or no metric can be built.
        OSError: if the rows cannot be written, as on a full disk.
    """
    matched = match(request.reference, request.systems, request.strip)
    surveyed = survey(
        {*matched.references.values(), *(path for files in matched.systems.values() for path in files.values())}
    )
    rate = request.rate or rate_of(surveyed)
    reading = Reading(rate, request.lengths, request.channels)

    def timeout(task: Task) -> float:
        if request.timeout is not None:
            return request.timeout
        seconds = sum(surveyed[path][1] for path in task.estimates if path in surveyed)
        if not task.id and len(task.estimates) > 1:
            return max(LEAST_OF_SET, PER_SECOND_OF_SET * seconds)
        return max(LEAST_SECONDS, SECONDS_PER_SECOND * seconds)

    for note in matched.notes:
        say(f"warning: {note}")
    warned: set[str] = set()

    def warn(text: str) -> None:
        if text not in warned:
            warned.add(text)
            say(f"warning: {text}")

    files = sum(map(len, matched.systems.values()))
    with (
        _kept(request, say) as rows,
        Pool(request.asked, reading, request.jobs, timeout, warn, 1 if rows.any else files) as pool,
    ):
        found, todo = _divide(matched, pool.columns, rows)
        total = sum(len(task.metrics) for task in todo) + len(found)
        if found and todo:
            say(f"{len(found)} of {total} scores are there already")
        for row in pool.run(todo):
            rows.append(row)
            found[row["system"], row["metric"], row["id"]] = row
            if progress is not None:
                progress(len(found), total)
        ordered = {place: found[place] for place in sorted(found)}  # whichever process was the quickest
        return Scored(
            request, reading, dict(pool.columns), matched.ids, ordered, [*matched.notes, *warned], pool.environment
        )


@contextlib.contextmanager
def _kept(request: Request, say: Say) -> Iterator[_Store]:
    """The rows of the output folder, which is locked meanwhile; without one, a store that forgets."""
    if request.output is None:
        yield _Store(None)
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(FolderLock(request.output, work="scoring"))
        except FolderInUse as error:
            raise FolderInUse(str(error).replace("another --exp", "another --output")) from None
        rows = Rows(request.output, keep_accidents=not request.retry)
        if rows.loss:
            say(f"warning: {rows.loss}; they are computed again")
        try:
            yield _Store(rows)
        finally:
            rows.close()


class _Store:
    def __init__(self, rows: Rows | None) -> None:
        self.rows = rows

    def get(self, place: Key) -> Row | None:
        return self.rows.done.get(place) if self.rows is not None else None

    @property
    def any(self) -> bool:
        return self.rows is not None and bool(self.rows.done)

    def append(self, row: Row) -> None:
        if self.rows is not None:
            self.rows.append(row)


def _divide(
    matched: Matched, columns: Mapping[str, Column], store: _Store
) -> tuple[dict[tuple[str, str, str], Row], list[Task]]:
    """(rows that are there already by system, metric and clip; tasks for the others)."""
    found: dict[tuple[str, str, str], Row] = {}
    todo: list[Task] = []
    hashed: dict[Path, str] = {}  # a reference belongs to a task of each system

    def add(
        system: str, identity: str, names: Sequence[str], estimates: tuple[Path, ...], references: tuple[Path, ...]
    ) -> None:
        inputs = inputs_hash([*estimates, *references], hashed)
        open_ = []
        for name in names:
            row = store.get((system, identity, name, columns[name].hash, inputs))
            if row is None:
                open_.append(name)
            else:
                found[system, name, identity] = row
        if open_:
            todo.append(Task(system, identity, tuple(open_), estimates, references, inputs))

    alone = [name for name, column in columns.items() if column.kind != "set"]
    for system, files in matched.systems.items():
        for identity, path in files.items():
            reference = matched.references.get(identity)
            if alone:
                add(system, identity, alone, (path,), () if reference is None else (reference,))
        for name, column in columns.items():
            if column.kind == "set":
                add(system, "", [name], tuple(files.values()), tuple(matched.references.values()))
    if not any(files for files in matched.systems.values()):
        raise DataError("there are no files to score")
    # Sets take longest, so that they begin first and the others fill the time.
    return found, sorted(todo, key=lambda task: len(task.estimates), reverse=True)
