"""Plots of a run's curves for the report: validation scores and selected numbers of training over steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gansemble.evaluation.systems import System
from gansemble.pages.pictures import png
from gansemble.scoring.curves import CurveRow, points, read_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(systems: Sequence[System]) -> str:
    """Small plots of all validation scores and of selected training curves over steps, as HTML."""
    from matplotlib.figure import Figure

    logs = [
        (
            system,
            read_curves(system.exp / "logs" / "validation.jsonl"),
            read_curves(system.exp / "logs" / "train.jsonl"),
        )
        for system in systems
    ]
    valid = list(dict.fromkeys(key for _, rows, _ in logs for row in rows for key in row if key != "step"))
    train = [name for name in _telling(row for _, _, rows in logs for row in rows)]
    panels = [(name, 1) for name in valid] + [(name, 2) for name in train]
    if not panels:
        return "<p class=note>No training curves: this experiment was imported.</p>"
    columns = 3
    lines = -(-len(panels) // columns)  # rounded up
    legend = 0.3 * -(-len(systems) // 3) if len(systems) > 1 else 0
    figure = Figure(figsize=(12, 2.5 * lines + legend), dpi=100, layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).flat
    for axes in grid:
        axes.set_visible(False)
    for axes, (name, source) in zip(figure.axes, panels, strict=False):
        axes.set_visible(True)
        for entry in logs:
            rows = entry[1] if source == 1 else entry[2]
            shown = points(rows, name)
            if shown:
                axes.plot(
                    *zip(*shown, strict=True),
                    color=entry[0].colour,
                    label=entry[0].name,
                    linewidth=1.3,
                    marker="o" if source == 1 else None,
                    markersize=2.5,
                )
        axes.set_title(
            ("validation: " if source == 1 else "") + name.replace("generator/losses.", "loss: "), fontsize=8
        )
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
        axes.margins(x=0.02)
    if len(systems) > 1:
        add_legend(figure)
    return f'<img class=wide alt="training curves over steps" src="{png(figure)}"><p class=note>Horizontal axis: training steps.</p>'


def _telling(rows: Iterable[CurveRow]) -> list[str]:
    names = dict.fromkeys(key for row in rows for key in row)
    wanted = [
        n
        for n in names
        if n.startswith(("generator/losses.", "noise_injector/"))
        or n in ("generator/total", "discriminator/total", "discriminator/win_rate", "speed/steps_per_second")
    ]
    return wanted


def add_legend(figure: Figure) -> None:
    """One legend above all panels, of the lines with a label."""
    pairs = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {label: handle for pair in pairs for handle, label in zip(*pair, strict=True)}
    legend = figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=3, fontsize=8, frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a $ in a name begins no formula
