"""The report's section about monitors: one panel for each number, lines and shades of alarms, and a table of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from gansemble.evaluation import onsets
from gansemble.evaluation.systems import System, told_apart
from gansemble.pages.pictures import COLOURS


def monitored(name: str, *values: float | None) -> list[dict[str, Any]]:
    """The rows of a curve at steps 10, 20 and so on."""
    return [{"step": 10 * place, f"monitors.{name}": value} for place, value in enumerate(values, 1)]


def system(exp: Path, name: str = "one", colour: str = "#112233") -> System:
    return System(name, exp, None, {"scores": {}}, {}, colour)


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that become pictures."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **options: figures.append(self))
    return figures


@pytest.fixture
def run(tmp_path):
    """``run(name, rows, alarms)`` is the folder of an experiment with these curves and alarms."""

    def made(name: str, rows: list[dict[str, Any]], alarms: list[dict[str, Any]] = ()) -> Path:
        logs = tmp_path / name / "logs"
        logs.mkdir(parents=True)
        (logs / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (logs / "onsets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in alarms))
        return tmp_path / name

    return made


def alarm(step: int, onset: int, **more: Any) -> dict[str, Any]:
    return {"step": step, "onset": onset, "monitor": "modes"} | more


# curves -----------------------------------------------------------------


def test_rows_are_those_with_a_number_of_a_monitor(run):
    rows = [{"step": 1, "monitors.a/b": 1.0}, {"step": 2, "speed": 3.0}, {"step": 3, "x": 1.0, "monitors.c": None}]
    assert onsets.rows(run("one", rows)) == [rows[0], rows[2]]


def shown(figure: Figure | None) -> list[Any]:
    assert figure is not None
    return [axes for axes in figure.axes if axes.get_visible()]


def test_each_number_has_a_panel_in_the_order_of_its_appearance():
    """One that never has a value has none."""
    rows = [
        {"step": 1, "monitors.modes/mean_distance": 2.0, "speed": 1.0},
        {"step": 2, "monitors.modes/mean_distance": None, "monitors.none": None, "monitors.b": 5.0},
        {"step": 3, "monitors.modes/mean_distance": 3.0},
    ]
    panels = shown(onsets.plot({"one": rows}))
    assert [axes.get_title() for axes in panels] == ["modes: mean distance", "b"]
    (line,) = panels[0].lines
    np.testing.assert_array_equal(line.get_xydata(), [[1, 2.0], [3, 3.0]])
    assert line.get_label() == "one" and line.get_color() == COLOURS[0]
    assert [axes.get_yscale() for axes in panels] == ["linear", "linear"]


def test_where_no_monitor_has_a_number_nothing_is_drawn():
    assert onsets.plot({"one": [], "two": monitored("a", None)}) is None


@pytest.mark.parametrize(("numbers", "lines", "runs"), [(1, 1, 1), (3, 1, 1), (4, 2, 1), (7, 3, 2)])
def test_panels_are_three_across_and_two_runs_leave_room_for_their_names(numbers, lines, runs):
    rows = [row for number in range(numbers) for row in monitored(f"m{number}", 1.0)]
    figure = onsets.plot({f"run{place}": rows for place in range(runs)})
    assert len(shown(figure)) == numbers and len(figure.axes) == 3 * lines
    assert list(figure.get_size_inches()) == [12, 2.5 * lines + (0.4 if runs > 1 else 0)]
    assert len(figure.legends) == (runs > 1)
    if runs > 1:
        assert [text.get_text() for text in figure.legends[0].texts] == ["run0", "run1"]
    geometry = figure.axes[0].get_subplotspec().get_gridspec()
    assert (geometry.nrows, geometry.ncols) == (lines, 3)


def test_runs_are_drawn_over_each_other_in_their_colours():
    runs = {"one": monitored("a", 1.0, 2.0), "two": monitored("a", 3.0), "three": monitored("b", 4.0)}
    first, second = shown(onsets.plot(runs, None, {"two": "#abcdef"}))
    assert [(line.get_label(), line.get_color()) for line in first.lines] == [
        ("one", COLOURS[0]),
        ("two", "#abcdef"),
    ]
    assert [line.get_color() for line in second.lines] == [COLOURS[2]], "and none of runs without the number"


def test_of_more_runs_than_colours_the_first_colour_comes_again():
    runs = {f"run{place}": monitored("a", 1.0) for place in range(len(COLOURS) + 1)}
    (panel,) = shown(onsets.plot(runs))
    assert [line.get_color() for line in panel.lines] == [*COLOURS, COLOURS[0]]


def test_an_alarm_is_a_dashed_line_at_its_onset_and_a_shade_up_to_itself():
    runs = {"one": monitored("a", 1.0, 2.0), "two": monitored("a", 1.0)}
    (panel,) = shown(onsets.plot(runs, {"two": [alarm(17, 12)]}))
    curve, _, onset = panel.lines
    assert curve.get_linestyle() == "-" and onset.get_linestyle() == "--"
    assert list(onset.get_xdata()) == [12, 12] and onset.get_color() == COLOURS[1]
    (shade,) = panel.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (12, 17)
    assert shade.get_facecolor() == to_rgba(COLOURS[1], 0.12)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ((1.0, 1.0, 300.0), "linear"),
        ((1.0, 1.0, 301.0), "symlog"),
        ((1.0, 1.0, -301.0), "symlog"),
        ((0.0, 0.0, 1.0, 1.0, 301.0), "symlog"),
        ((1.0, 100.0, 301.0), "log"),
        ((1.0, 100.0, 300.0), "linear"),
        ((0.0, 1.0, 100.0, 301.0), "linear"),
        ((-1.0, 100.0, 301.0), "linear"),
        ((0.5, 0.5), "linear"),
    ],
)
def test_an_axis_is_logarithmic_where_the_largest_value_dwarfs_others(values, scale):
    """By more than 300 times the median magnitude, or the smallest of positive values."""
    (panel,) = shown(onsets.plot({"one": monitored("a", *values), "two": monitored("b", None)}))
    assert panel.get_yscale() == scale


@pytest.mark.parametrize(("median", "linear"), [(1.0, 1.0), (2.0, 10.0), (10.0, 10.0), (11.0, 100.0), (0.05, 0.1)])
def test_a_symmetric_axis_is_linear_up_to_the_power_of_ten_above_the_median(median, linear):
    values = (0.01 * median, median, 400 * median)
    (panel,) = shown(onsets.plot({"one": monitored("a", *values)}))
    assert panel.get_yscale() == "symlog" and panel.yaxis.get_transform().linthresh == pytest.approx(linear)


def test_panels_are_dressed():
    figure = onsets.plot({"one": monitored("a", 1.0, 2.0), "two": []}, {"one": [alarm(17, 12)]})
    (panel,) = shown(figure)
    assert [line.get_linewidth() for line in panel.lines] == [1.3, 1] and panel.patches[0].get_linewidth() == 0
    assert figure.dpi == 100 and panel.xaxis.get_gridlines()[0].get_alpha() == 0.25
    (legend,) = figure.legends
    assert not legend.get_frame_on() and legend.texts[0].get_fontsize() == 8
    assert panel.margins()[0] == 0.02 and panel.title.get_fontsize() == 8
    assert panel.xaxis.get_gridlines()[0].get_visible() and panel.xaxis.get_ticklabels()[0].get_fontsize() == 7


# the section ------------------------------------------------------------


def cells(html: str) -> list[list[str]]:
    body = html.partition("<tbody>")[2]
    return [
        re.findall(r"<t[hd](?: class=text)?>(?:<i [^>]*></i>)?(.*?)</t[hd]>", row) for row in body.split("</tr>")[:-1]
    ]


def test_the_section_shows_curves_and_a_table_of_alarms(run, drawn):
    told = [alarm(2500, 1250, reason="<few> modes", action="go_on"), alarm(30, 20, monitor="a&b")]
    text = onsets.section([system(run("one", monitored("a", 1.0), told), "<one>", "#aabbcc")])
    assert text.startswith("<h2>Monitors</h2><img class=wide ") and "dashed" in text and "no alarm" not in text
    assert cells(text) == [
        ["&lt;one&gt;", "1,250", "2,500", "modes", "go on", "&lt;few&gt; modes"],
        ["&lt;one&gt;", "20", "30", "a&amp;b", "", ""],
    ]
    assert "#aabbcc" in text and "The first" not in text
    assert re.findall(r"<th( class=text)?>(?=[a-z])", text) == ["", "", " class=text", " class=text", " class=text"]
    (panel,) = shown(drawn[0])
    assert panel.lines[0].get_color() == "#aabbcc" and len(panel.patches) == 2


def test_without_an_alarm_there_is_no_table_and_without_a_monitor_no_section(run, drawn):
    text = onsets.section([system(run("one", monitored("a", 1.0)))])
    assert "no alarm" in text and "dashed" not in text and "<table" not in text
    assert onsets.section([system(run("two", [{"step": 1, "speed": 1.0}], [alarm(3, 2)]))]) == "" and len(drawn) == 1


@pytest.mark.parametrize(("count", "more"), [(12, False), (13, True)])
def test_twelve_alarms_are_listed(run, drawn, count, more):
    text = onsets.section([system(run("one", monitored("a", 1.0), [alarm(n + 1, n) for n in range(count)]))])
    assert [row[1] for row in cells(text)] == [str(n) for n in range(12)]
    assert (f"The first 12 of {count} alarms." in text) == more


def test_experiments_of_one_name_are_told_apart(run, drawn):
    made = [run(f"exp{n}", monitored("a", 1.0 + n), [alarm(3, 1 + n)] if n else []) for n in range(3)]
    text = onsets.section(told_apart([system(made[0]), system(made[1], "two"), system(made[2])]))
    assert [row[:2] for row in cells(text)] == [["two", "2"], ["one · exp2", "3"]]
    assert [label.get_text() for label in drawn[0].legends[0].texts] == ["one · exp0", "two", "one · exp2"]
