"""Plots of what monitors measured during training, with the steps at which they saw the training collapse, and a table of
the interventions that healed it.

An alarm has two steps: the one at which a monitor raised it, and the onset, the last step at which all was still well.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gansemble.evaluation.curves import add_legend
from gansemble.evaluation.systems import System, dot
from gansemble.pages.document import scrolling
from gansemble.pages.names import named
from gansemble.pages.pictures import COLOURS, png
from gansemble.scoring.curves import CurveRow, points, read_curves
from gansemble.training import healing
from gansemble.training.watching import Onset
from gansemble.training.watching import onsets as alarms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Curves of monitors are called ``monitors.<name>/<number>`` in ``logs/train.jsonl``.
PREFIX = "monitors."
COLUMNS = 3
#: Ratio of magnitudes above which a curve gets a logarithmic axis; see :func:`_dress`.
DECADES = 300.0
#: Largest number of alarms listed below the curves.
SHOWN = 12

Rows = Sequence[CurveRow]


def rows(exp: Path) -> Rows:
    """The rows of an experiment's ``logs/train.jsonl`` that hold a number of a monitor, in the order of the file."""
    found = read_curves(exp / "logs" / "train.jsonl")
    return [row for row in found if any(name.startswith(PREFIX) for name in row)]


def plot(
    runs: Mapping[str, Rows],
    onsets: Mapping[str, Sequence[Onset]] | None = None,
    colours: Mapping[str, str] | None = None,
) -> Figure | None:
    """Plots every number of every monitor over training steps, each in a panel of its own.

    Args:
        runs: the rows of one or more runs by the run's name, drawn over each other; see :func:`rows`.
        onsets: the alarms of each run, by the run's name. A dashed line marks the onset, and the steps from there to
            the alarm are shaded.
        colours: colour of each run; None takes those of the report.

    Returns:
        The figure; None where no run has a number of a monitor.
    """
    from matplotlib.figure import Figure

    names = [name for name in _names(runs.values()) if _points(runs, name)]
    if not names:
        return None
    colours = colours or {}
    colour = {run: colours.get(run, COLOURS[place % len(COLOURS)]) for place, run in enumerate(runs)}
    lines = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(12, 2.5 * lines + (0.4 if len(runs) > 1 else 0)), dpi=100, layout="constrained")
    grid = figure.subplots(lines, COLUMNS, squeeze=False).flat
    for place, axes in enumerate(grid):
        axes.set_visible(place < len(names))
    for axes, name in zip(figure.axes, names, strict=False):
        for run, found in runs.items():
            shown = points(found, name)
            if shown:
                axes.plot(*zip(*shown, strict=True), color=colour[run], linewidth=1.3, label=run)
            for alarm in (onsets or {}).get(run, ()):
                axes.axvline(alarm["onset"], color=colour[run], linewidth=1, linestyle="--")
                axes.axvspan(alarm["onset"], alarm["step"], color=colour[run], alpha=0.12, linewidth=0)
        _dress(axes, name, [value for _, value in _points(runs, name)])
    if len(runs) > 1:
        add_legend(figure)
    return figure


def _names(runs: Iterable[Rows]) -> list[str]:
    """Names of the monitors' numbers, in the order in which they first appear."""
    return list(dict.fromkeys(name for found in runs for row in found for name in row if name.startswith(PREFIX)))


def _points(runs: Mapping[str, Rows], name: str) -> list[tuple[float, float]]:
    return [point for found in runs.values() for point in points(found, name)]


def _dress(axes: Axes, name: str, values: Sequence[float]) -> None:
    """Sets title, scale and grid of a panel.

    The axis is symmetric-logarithmic where the largest magnitude is more than ``DECADES`` times the median one, and
    logarithmic where all values are positive and the largest is more than ``DECADES`` times the smallest.
    """
    sizes = sorted(abs(value) for value in values if value)
    if sizes and sizes[-1] > DECADES * sizes[len(sizes) // 2]:
        # Linear from 0 up to the power of ten above the median, so that no two tick labels overlap there.
        axes.set_yscale("symlog", linthresh=10.0 ** math.ceil(math.log10(sizes[len(sizes) // 2])))
    elif sizes and min(values) > 0 and sizes[-1] > DECADES * sizes[0]:
        axes.set_yscale("log")
    axes.set_title(name.removeprefix(PREFIX).replace("/", ": ").replace("_", " "), fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
    axes.margins(x=0.02)


def section(systems: Sequence[System]) -> str:
    """The report's sections about monitors, with curves and a table of alarms, and about interventions, as HTML; empty where
    there are none.
    """
    return _monitors(systems) + _interventions(systems)


def _interventions(systems: Sequence[System]) -> str:
    """A table of how often and with what each run went back to an earlier checkpoint, as HTML; empty where none did."""
    cells = []
    for system in systems:
        for number, done in enumerate(healing.interventions(system.exp), 1):
            words, why = html.escape(healing.in_words(done)), html.escape(done["why"])
            cells.append(
                f"<tr><th>{dot(system)}{named(system.name)}</th><td>{number}</td><td>{done['step']:,}</td>"
                f"<td>{done['back']:,}</td><td class=text>{words}</td><td class=text>{why}</td></tr>"
            )
    if not cells:
        return ""
    heads = ("", "number", "noticed at step", "back to step", "went on with", "why")
    head = "".join(f"<th{' class=text' if place > 3 else ''}>{name}</th>" for place, name in enumerate(heads))
    more = f"<p class=note>The first {SHOWN} of {len(cells)} interventions.</p>" if len(cells) > SHOWN else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(cells[:SHOWN])}</tbody></table>"
    note = "<p class=note>The run went back to a healthy checkpoint by itself, as its recipe allows.</p>"
    return f"<h2>Interventions</h2>{note}{scrolling(table, 'interventions')}{more}"


def _monitors(systems: Sequence[System]) -> str:
    labels = [system.name for system in systems]
    runs = {label: rows(system.exp) for label, system in zip(labels, systems, strict=True)}
    found = {label: alarms(system.exp) for label, system in zip(labels, systems, strict=True)}
    figure = plot(runs, found, {label: system.colour for label, system in zip(labels, systems, strict=True)})
    if figure is None:
        return ""
    note = "What the monitors measured, over training steps"
    note += "; dashed: the onset of a collapse, shaded up to the alarm." if any(found.values()) else "; no alarm."
    picture = f'<img class=wide alt="what the monitors measured, over steps" src="{png(figure)}">'
    return f"<h2>Monitors</h2>{picture}<p class=note>{note}</p>{_table(systems, [found[label] for label in labels])}"


def _table(systems: Sequence[System], found: Sequence[Sequence[Onset]]) -> str:
    """A table of the alarms as HTML, each with what was done about it."""
    cells = []
    for system, raised in zip(systems, found, strict=True):
        for alarm in raised:
            told = (alarm["monitor"], alarm.get("reason", ""), str(alarm.get("action", "")).replace("_", " "))
            monitor, reason, action = (html.escape(str(each)) for each in told)
            cells.append(
                f"<tr><th>{dot(system)}{named(system.name)}</th><td>{int(alarm['onset']):,}</td>"
                f"<td>{int(alarm['step']):,}</td><td class=text>{monitor}</td><td class=text>{action}</td>"
                f"<td class=text>{reason}</td></tr>"
            )
    if not cells:
        return ""
    heads = ("", "well until step", "alarm at step", "monitor", "what was done", "why")
    head = "".join(f"<th{' class=text' if place > 2 else ''}>{name}</th>" for place, name in enumerate(heads))
    more = f"<p class=note>The first {SHOWN} of {len(cells)} alarms.</p>" if len(cells) > SHOWN else ""
    body = "".join(cells[:SHOWN])
    return scrolling(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", "alarms") + more
