"""Text for Markdown files that say what it says, whatever characters it has. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: What begins markup in Markdown as GitHub and Hugging Face read it: formulas between dollars, too.
MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$&])")
#: What begins a list or a rule at the beginning of a line.
BEGINNING = re.compile(r"^(\d*)([-+=.)])")


def plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line: its markup is escaped, and what cannot be printed is a code."""
    shown = "".join(each if each.isprintable() else " " if each.isspace() else _code(each) for each in text)
    return BEGINNING.sub(r"\1\\\2", MARKUP.sub(r"\\\1", " ".join(shown.split())))


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; the first column stands to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def block(text: str, language: str = "") -> str:
    """A block of code, fenced by more backticks than the code has in a row."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
