"""What discriminators and noise injection did over training, of each row of a comparison: in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from gansemble.pages.document import scrolling
from gansemble.pages.names import named
from gansemble.scoring.curves import CurveRow, points, read_curves

#: The curve that is there while the discriminators learn.
WON = "discriminator/win_rate"
#: Curves of the noise injection's own numbers begin so.
INJECTED = "noise_injector/"
NOTE = (
    "Over the logged steps in which the discriminators learned: the mean, the lowest and highest, and the last value, each "
    "averaged over seeds. discriminator/win_rate is the share of real clips with a higher score than the fake beside them."
)


@dataclass(frozen=True)
class Course:
    """One curve over training, averaged over seeds.

    Args:
        mean, low, high, last: over the logged steps.
    """

    mean: float
    low: float
    high: float
    last: float

    def __str__(self) -> str:
        return f"{self.mean:.3g}; {self.low:.3g} … {self.high:.3g}; {self.last:.3g}"


def course(folders: Sequence[Path]) -> dict[str, Course]:
    """The courses of win rate and noise injection in the logs of experiments that differ in their seed alone."""
    found: dict[str, list[Course]] = {}
    for folder in folders:
        rows = read_curves(folder / "logs" / "train.jsonl")
        learning = [row for row in rows if row.get(WON) is not None] or rows
        for name in _names(learning):
            values = [value for _, value in points(learning, name)]
            if values:
                found.setdefault(name, []).append(
                    Course(sum(values) / len(values), min(values), max(values), values[-1])
                )
    return {name: _mean(courses) for name, courses in found.items()}


def _names(rows: Sequence[CurveRow]) -> list[str]:
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if name == WON or name.startswith(INJECTED)]


def _mean(courses: Sequence[Course]) -> Course:
    fields = zip(*((each.mean, each.low, each.high, each.last) for each in courses), strict=True)
    return Course(*(sum(values) / len(courses) for values in fields))


def markdown(courses: Mapping[str, Mapping[str, Course]]) -> list[str]:
    """The lines of a section of ``RESULTS.md``, of the courses by row; none where nothing was logged."""
    names = columns(courses)
    if not names:
        return []
    lines = ["", "## Over training", "", "| | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for row, own in courses.items():
        shown = [str(own[name]) if name in own else "–" for name in names]
        lines.append("| " + " | ".join([row.replace("|", "\\|"), *shown]) + " |")
    return [*lines, "", NOTE]


def page(courses: Mapping[str, Mapping[str, Course]]) -> str:
    """The section as HTML; empty where nothing was logged."""
    names = columns(courses)
    if not names:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr><th>{named(row)}</th>{''.join(f'<td>{own.get(name, chr(8211))}</td>' for name in names)}</tr>"
        for row, own in courses.items()
    )
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<h2>Over training, in numbers</h2>{scrolling(table, 'over training')}<p class=note>{escape(NOTE)}</p>"


def columns(courses: Mapping[str, Mapping[str, Course]]) -> list[str]:
    """Names of all curves, in the order in which rows first have them."""
    return list(dict.fromkeys(name for own in courses.values() for name in own))
