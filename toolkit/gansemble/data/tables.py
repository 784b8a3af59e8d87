"""Tables of clips as corpora publish them: rows by column name, each with its file and line for messages.

For corpora of plugins too: ``from gansemble.data import tables``. Whatever a file holds, it is read as it was meant, or
refused with a DataError that names file, line and value: no row is lost without a word. Imports no torch.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gansemble.audio import listing
from gansemble.audio.names import is_text, shown
from gansemble.data.text_files import Line, brief, lines, tidy
from gansemble.errors import DataError, near


@dataclass(frozen=True)
class TableRow:
    """A row of a table.

    Args:
        place: file and line, for messages.
        values: by the name of the column.
    """

    place: str
    values: Mapping[str, str]

    def text(self, column: str) -> str:
        """What the column holds, without spaces and invisible characters around it.

        Raises:
            DataError: if it is empty, or holds control characters, which labels and ids must not.
        """
        found = tidy(self.values[column])
        if not found:
            raise DataError(f"{self.place}: its {column} is empty; mend the line, or get the table again")
        if not is_text(found):
            raise DataError(
                f"{self.place}: expected text as {column}, got {brief(found)} with control characters; mend the line, or get the "
                "table again"
            )
        return found

    def whole(self, column: str, low: int, high: int) -> int:
        """The whole number that the column holds.

        Raises:
            DataError: if it is none, or not from ``low`` to ``high``.
        """
        found = tidy(self.values[column])
        if not (found.isascii() and found.isdigit() and len(found) <= 18 and low <= int(found) <= high):
            raise DataError(
                f"{self.place}: expected a {column} from {low} to {high}, got {brief(found)}; mend it, or get the table again"
            )
        return int(found)

    def file_name(self, column: str) -> str:
        """The name of a file, without folders.

        Raises:
            DataError: if it is no plain name.
        """
        found = self.text(column)
        if found in (".", "..") or PurePosixPath(found).name != found or "\\" in found:
            raise DataError(
                f"{self.place}: expected the name of a file as {column}, without folders, got {brief(found)}; mend the line, or "
                "get the table again"
            )
        return found


def read(path: Path, columns: Sequence[str], *, tabs: bool = False, encoding: str | None = None) -> list[TableRow]:
    """The rows of a table whose first line names its columns. Blank lines are no rows.

    Args:
        path: of the table.
        columns: those it must have; it may have others.
        tabs: columns are parted by tabs, and quotation marks are text; else by commas, and quotation marks enclose text
            that ends on its line.
        encoding: of the text; None: UTF-8, or as the file's byte-order mark says.

    Raises:
        DataError: if it cannot be read or decoded, lacks a column or has one twice, or a row has too few or too many.
    """
    content = lines(path, encoding)
    if not content:
        raise DataError(
            f"{shown(path)}:1: expected the columns {', '.join(columns)}, but the file is empty; get the table again"
        )
    cells = [each.text.split("\t") for each in content] if tabs else _by_commas(content)
    named = [tidy(name) for name in cells[0]]
    _demand_columns(content[0], named, columns, "\t" if tabs else ",")
    rows = []
    for line, values in zip(content[1:], cells[1:], strict=True):
        if len(values) != len(named):
            raise DataError(
                f"{line.place}: expected {len(named)} columns, as the first line names, got {len(values)} "
                f"({brief(line.text)}); mend the line, or get the table again"
            )
        rows.append(TableRow(line.place, {name: value for name, value in zip(named, values, strict=True) if name}))
    return rows


_UNCLOSED = "a quotation mark is opened and not closed on the line"


def _by_commas(content: Sequence[Line]) -> list[list[str]]:
    """The cells of each line."""
    reader = csv.reader((line.text for line in content), strict=True)
    cells: list[list[str]] = []
    try:
        for values in reader:
            # Text that goes on in the next line would hide the rows up to the next quotation mark, wherever that is.
            if reader.line_num > len(cells) + 1:
                raise csv.Error(_UNCLOSED)
            cells.append(values)
    except csv.Error as error:
        line = content[len(cells)]
        goes_on = reader.line_num > len(cells) + 1 or str(error) == "unexpected end of data"
        why = _UNCLOSED if goes_on else str(error)
        column = line.text.find('"') + 1
        raise DataError(
            f"{line.place}{f':{column}' if column else ''}: not a row of columns parted by commas ({why}), got "
            f"{brief(line.text)}; mend the line, or get the table again"
        ) from error
    return cells


def _demand_columns(first: Line, named: Sequence[str], columns: Sequence[str], separator: str) -> None:
    lacking = [name for name in columns if name not in named]
    if lacking:
        other = next(
            (mark for mark in (",", ";", "\t", "|") if mark != separator and set(columns) <= set(_parted(first, mark))),
            None,
        )
        advice = near(lacking[0], named) + "; get the table again"
        if other:
            advice = f"; its columns are parted by {other!r}, so save it with {separator!r} between them"
        raise DataError(
            f"{first.place}: expected the columns {', '.join(columns)}, but {', '.join(lacking)} is not among "
            f"{brief(', '.join(named))}{advice}"
        )
    twice = [name for place, name in enumerate(named) if name and name in named[:place]]
    if twice:
        raise DataError(
            f"{first.place}: the column {brief(twice[0])} is there twice; take one out, or get the table again"
        )


def _parted(line: Line, mark: str) -> list[str]:
    return [tidy(name).strip('"') for name in line.text.split(mark)]


def demand_once(rows: Mapping[str, TableRow], name: str, row: TableRow) -> None:
    """Refuses a clip that a table lists a second time.

    Raises:
        DataError: naming both lines.
    """
    if name in rows:
        raise DataError(
            f"{row.place}: {shown(name)} is listed already, at {rows[name].place}; take one of the lines out"
        )


def files_there(folder: Path, suffixes: Collection[str] = listing.SUFFIXES) -> frozenset[str]:
    """The files below a folder with one of the suffixes, relative to it; links that repeat a file count as well.

    Raises:
        DataError: if a folder cannot be listed.
    """
    return frozenset(path.as_posix() for path in listing.below(folder, suffixes).with_links)


def demand_same_files(folder: Path, audio: str, listed: Mapping[str, str], table: Path) -> None:
    """Holds the files there are against those that a table lists.

    Args:
        folder: the corpus folder.
        audio: the folder below it where the table's files lie.
        listed: file and line of the table, by the path relative to ``folder``.
        table: for messages.

    Raises:
        DataError: if a listed file is not there, or one that is there is not listed; the first of them and how many.
    """
    # Hidden files, as some systems leave them, are passed over.
    there = {f"{audio}/{path}" for path in (files_there(folder / audio) if (folder / audio).is_dir() else ())}
    lost = [path for path in listed if path not in there]
    if lost:
        raise DataError(
            f"{shown(folder)}: {shown(lost[0])} is not there (with {len(lost) - 1} others), though {listed[lost[0]]} lists "
            "it; unpack the archive again, or take the lines of a partial copy out of the table"
        )
    unlisted = sorted(there - listed.keys())
    if unlisted:
        raise DataError(
            f"{shown(folder)}: {shown(unlisted[0])} (with {len(unlisted) - 1} others) is not listed in {shown(table)}, so its "
            "split and its class are unknown; move it away"
        )
