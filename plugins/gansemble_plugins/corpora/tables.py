"""Tables of clips as corpora publish them: rows by column name, each with its file and line for messages."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gansemble.audio import files
from gansemble.errors import DataError


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
        """What the column holds.

        Raises:
            DataError: if it is empty.
        """
        found = self.values[column].strip()
        if not found:
            raise DataError(f"{self.place}: its {column} is empty; get the table again")
        return found

    def whole(self, column: str, low: int, high: int) -> int:
        """The whole number that the column holds.

        Raises:
            DataError: if it is none, or not from ``low`` to ``high``.
        """
        found = self.values[column].strip()
        if not (found.isascii() and found.isdigit() and low <= int(found) <= high):
            raise DataError(
                f"{self.place}: expected a {column} from {low} to {high}, got {found!r}; mend it, or get the table again"
            )
        return int(found)

    def file_name(self, column: str) -> str:
        """The name of a file, without folders.

        Raises:
            DataError: if it is no plain name.
        """
        found = self.text(column)
        if found in (".", "..") or PurePosixPath(found).name != found or "\\" in found:
            raise DataError(f"{self.place}: expected the name of a file as {column}, without folders, got {found!r}")
        return found


def read(path: Path, columns: Sequence[str], *, tabs: bool = False) -> list[TableRow]:
    """The rows of a table in UTF-8 whose first line names its columns; a byte-order mark and CRLF are taken as well.

    Args:
        path: of the table.
        columns: those it must have; it may have others.
        tabs: columns are parted by tabs, and quotation marks are text; else by commas, and quotation marks enclose text.

    Raises:
        DataError: if it cannot be read, lacks a column, or a row has too few or too many.
    """
    dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {"delimiter": ","}
    rows: list[TableRow] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True, **dialect)  # type: ignore[arg-type]
            named = reader.fieldnames or []
            lacking = [name for name in columns if name not in named]
            if lacking:
                raise DataError(
                    f"{path}:1: expected the columns {', '.join(columns)}, but {', '.join(lacking)} is not among "
                    f"{', '.join(named) or 'them: the file is empty'}; get the table again"
                )
            for values in reader:
                place = f"{path}:{reader.line_num}"
                if None in values or None in values.values():
                    raise DataError(f"{place}: expected {len(named)} columns, got fewer or more; get the table again")
                rows.append(TableRow(place, values))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table in UTF-8 ({error}); get it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); get it again") from error
    return rows


def demand_once(rows: Mapping[str, TableRow], name: str, row: TableRow) -> None:
    """Refuses a clip that a table lists a second time.

    Raises:
        DataError: naming both lines.
    """
    if name in rows:
        raise DataError(f"{row.place}: {name} is listed already, at {rows[name].place}; take one of the lines out")


def demand_same_files(folder: Path, audio: Path, listed: Mapping[str, str], suffixes: Collection[str]) -> None:
    """Holds the files there are against those that a table lists.

    Args:
        folder: the corpus folder.
        audio: the folder below it where the table's files lie.
        listed: file and line of the table, by the path relative to ``folder``.
        suffixes: of the files that a table must list, in small letters.

    Raises:
        DataError: if a listed file is not there, or one that is there is not listed; the first of them and how many.
    """
    there = {
        path.relative_to(folder).as_posix() for path in files.find(audio) if path.suffix.lower() in suffixes
    }  # hidden files, as some systems leave them, are passed over
    lost = [path for path in listed if path not in there]
    if lost:
        raise DataError(
            f"{folder}: {lost[0]} is not there (with {len(lost) - 1} others), though {listed[lost[0]]} lists it; "
            "unpack the archive again, or take the lines of a partial copy out of the table"
        )
    unlisted = sorted(there - listed.keys())
    if unlisted:
        table = next(iter(listed.values())).rpartition(":")[0]
        raise DataError(
            f"{folder}: {unlisted[0]} (with {len(unlisted) - 1} others) is not listed in {table}, so its split and its "
            "class are unknown; move it away"
        )
