"""What listeners said: answers joined with the key, as tables with intervals."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

from gansemble.listening.answers import Test
from gansemble.listening.counting import counts
from gansemble.listening.grading import grades, screened
from gansemble.listening.joined import Row


@dataclass
class Results:
    """The results of one test.

    Args:
        test: its name.
        title: its title.
        mode: of the test.
        listeners: that count.
        excluded: by listener, why not.
        tables: rows by the name of the table.
        notes: on files of answers, and how to read the tables.
    """

    test: str
    title: str
    mode: str
    listeners: list[str]
    excluded: dict[str, str]
    tables: dict[str, list[Row]]
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """As JSON can hold it; NaN becomes None."""
        return asdict(self) | {"tables": {name: [_plain(row) for row in rows] for name, rows in self.tables.items()}}


def _plain(row: Row) -> Row:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def evaluate(test: Test, confidence: float = 0.95, screen: bool = True) -> Results:
    """The results of a test.

    Args:
        test: with its answers.
        confidence: of all intervals.
        screen: leave out listeners by the rule of BS.1534-3; MUSHRA only.
    """
    excluded = screened(test) if screen and test.key["mode"] == "mushra" else {}
    sessions = [row for row in test.sessions if row["listener"] not in excluded]
    notes = list(test.notes)
    if test.key["mode"] == "mushra":
        tables, more = grades(test, sessions, confidence)
    else:
        tables, more = counts(test, sessions, confidence)
    listeners = sorted({row["listener"] for row in sessions})
    return Results(test.key["test"], test.key["title"], test.key["mode"], listeners, excluded, tables, notes + more)
