"""Answers joined with the key of their test, and the rows that results are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gansemble.listening.answers import Answer, Answers, Test

#: A row of a table, by column.
Row = dict[str, str | int | float | None]


def each_answer(sessions: Iterable[Answers]) -> Iterator[tuple[str, Answer]]:
    """(listener, answer) of all sessions."""
    for row in sessions:
        yield from ((row["listener"], answer) for answer in row["answers"])


def made_by(test: Test, sound: str) -> str:
    """The system that made a sound."""
    return test.key["sounds"][sound]["system"]
