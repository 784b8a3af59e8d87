"""Numbers as lines of text that fit a terminal: aligned columns, and how wide they may be."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

#: How wide a text is made where it goes to no terminal [columns].
WIDTH = 100
#: What stands between two columns.
GAP = "   "


def width_of(stream: TextIO | None = None) -> int:
    """How many columns a terminal has now, which changes when its window does; ``WIDTH`` of a pipe or a file.

    Args:
        stream: what is written to; None is the standard output.
    """
    stream = sys.stdout if stream is None else stream
    try:
        columns = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError, AttributeError):  # a stream of a test or a notebook has no descriptor
        columns = 0
    return columns or WIDTH


def in_columns(pairs: Mapping[str, str], width: int) -> list[str]:
    """Names with their values, as many beside each other as fit, read along the lines and aligned below each other.

    Args:
        pairs: values by name.
        width: of the terminal [columns]; a pair that is wider has a line of its own.
    """
    if not pairs:
        return []
    cells = aligned(pairs)
    across = max(1, (width + len(GAP)) // (len(cells[0]) + len(GAP)))
    return [GAP.join(cells[at : at + across]).rstrip() for at in range(0, len(cells), across)]


def aligned(pairs: Mapping[str, str]) -> list[str]:
    """Each name with its value, padded so that names and values begin and end alike."""
    name, value = max(map(len, pairs)), max(map(len, pairs.values()))
    return [f"{key:{name}} {text:>{value}}" for key, text in pairs.items()]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """A table whose first column is text and whose others are numbers, aligned to the right.

    Where the terminal is too narrow for it, columns are left out from the last one on, as long as two are left.

    Args:
        head: what stands above each column.
        rows: the cells, as many in each row as in ``head``.
        width: of the terminal [columns].
    """
    wide = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    shown = len(wide)
    while shown > 2 and sum(wide[:shown]) + len(GAP) * (shown - 1) > width:
        shown -= 1

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(wide[0]), *(cell.rjust(w) for cell, w in zip(cells[1:], wide[1:], strict=True))]
        return GAP.join(padded[:shown]).rstrip()

    return [line(head), *map(line, rows)]
