"""Results of listening tests as lines for a terminal and as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gansemble.listening.joined import Row
    from gansemble.listening.results import Results


def as_csv(found: Sequence[Results]) -> str:
    """All rows of all tables, with the columns of any; cells that a row does not have are empty."""
    rows: list[Row] = [
        {"test": each.test, "mode": each.mode, "table": name, **row}
        for each in found
        for name, table in each.tables.items()
        for row in table
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value != value else value for name, value in row.items()} for row in rows)
    return out.getvalue()


def lines(folder: Path, found: Results) -> list[str]:
    """The results of the test in a folder as lines."""
    head = [click.style(f"{folder}: {found.title}", bold=True) + f" ({found.mode}, {len(found.listeners)} listeners)"]
    head += [f"excluded: {name}: {why}" for name, why in found.excluded.items()]
    for name, rows in found.tables.items():
        if rows:
            head += ["", name, *_table(rows)]
    return [*head, "", *(f"note: {note}" for note in found.notes), ""]


def _table(rows: Sequence[Row]) -> list[str]:
    columns = list(rows[0])
    cells = [columns, *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    text = [isinstance(rows[0][name], str) for name in columns]
    return [
        "  "
        + "  ".join(
            f"{cell:<{width}}" if left else f"{cell:>{width}}"
            for cell, width, left in zip(line, widths, text, strict=True)
        ).rstrip()
        for line in cells
    ]


def _cell(value: str | int | float | None) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3g}" if abs(value) < 0.001 and value else f"{value:.3f}"
    return "–" if value is None else str(value)
