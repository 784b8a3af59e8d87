"""Each row of a comparison against the first combination of its file, over the same seeds and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from gansemble.pages.document import scrolling
from gansemble.pages.names import named
from gansemble.scoring.seeds import Scores, difference
from gansemble.scoring.statistics import Difference


@dataclass(frozen=True)
class Compared:
    """One row's differences from the first combination.

    Args:
        name: of the row.
        scores: difference of each score that both have.
    """

    name: str
    scores: dict[str, Difference]


def against(
    first: Mapping[str, Scores], others: Mapping[str, Mapping[str, Scores]], confidence: float
) -> list[Compared]:
    """Differences of rows from a first one.

    Args:
        first: its scores: value of each file, by score and seed.
        others: the same of the other rows, by name.
        confidence: of the intervals.
    """
    made = []
    for name, scores in others.items():
        pairs = {key: difference(first[key], scores[key], confidence) for key in scores if key in first}
        made.append(Compared(name, {key: each for key, each in pairs.items() if each.files}))
    return made


def cell(found: Difference | None) -> tuple[str, str, bool]:
    """(difference, its interval, whether that excludes zero) as text for a table; a dash where there is none."""
    if found is None:
        return "–", "", False
    interval = f"{found.low:+.3g} … {found.high:+.3g}" if found.low == found.low else ""
    return f"{found.mean:+.3g}", interval, found.clear


def heading(first: str) -> str:
    """Of the table."""
    return f"Differences from {first}"


def note(confidence: float, several: bool) -> str:
    """What the table's numbers are."""
    over = "other seeds and other files" if several else "other files"
    return (
        f"Of means over the same {'seeds and ' if several else ''}files, with {100 * confidence:g} % intervals for {over}; bold "
        f"where that of a difference excludes zero, as chance alone lets {100 * (1 - confidence):.3g} in a hundred do."
    )


def markdown(first: str, titles: Mapping[str, str], compared: Sequence[Compared], about: str) -> list[str]:
    """The lines of a section of ``RESULTS.md``.

    Args:
        first: name of the combination that the others are compared with.
        titles: of the scores' columns, by key.
        compared: the others.
        about: see :func:`note`.
    """
    lines = ["", f"## {heading(first)}", "", "| | " + " | ".join(title for title in titles.values()) + " |"]
    lines.append("|" + "---|" * (len(titles) + 1))
    for row in compared:
        shown = []
        for key in titles:
            text, interval, clear = cell(row.scores.get(key))
            text = f"**{text}**" if clear else text
            shown.append(f"{text} ({interval})" if interval else text)
        lines.append("| " + " | ".join([row.name.replace("|", "\\|"), *shown]) + " |")
    return [*lines, "", about]


def page(first: str, titles: Mapping[str, str], compared: Sequence[Compared], about: str) -> str:
    """The section as HTML; see :func:`markdown`."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles.values())
    body = []
    for row in compared:
        shown = []
        for key in titles:
            text, interval, clear = cell(row.scores.get(key))
            text = f"<strong>{text}</strong>" if clear else text
            shown.append(f"<td>{text}{f'<small>{interval}</small>' if interval else ''}</td>")
        body.append(f"<tr><th>{named(row.name)}</th>{''.join(shown)}</tr>")
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f"<h2>{escape(heading(first))}</h2>{scrolling(table, heading(first))}<p class=note>{escape(about)}</p>"
