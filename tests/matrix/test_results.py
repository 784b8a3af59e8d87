"""What RESULTS.md and the page say of scores made by hand: order, verdict, means over common files, reasons."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gansemble.audio import files, levels
from gansemble.data import manifest
from gansemble.data.manifest import ManifestEntry
from gansemble.evaluation.index import GeneratedClip, Index
from gansemble.matrix import plan, results
from gansemble.matrix.expand import Matrix, expand
from gansemble.matrix.plan import Cost, Costs
from gansemble.matrix.run import CellRun, Places
from gansemble.recipe.task import Task
from gansemble.scoring.seeds import crossed
from gansemble.scoring.statistics import paired, summarise
from page_reading import heard

RATE = 16000
BETTER = {"mel_distance": "lower", "snr": "higher"}
RECIPE = """\
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
generator: {use: vocos, dim: 8, hidden: 16, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}, snr: {use: snr}}
plan: {steps: 2, batch_size: 2, segment: 1024}
validation: {metrics: [mel_distance, snr], best: mel_distance}
optimisers: {generator: {use: adamw}}
"""


class Comparison:
    """A matrix in a folder, and what its cells did there."""

    def __init__(self, folder: Path, matrix: Matrix, mark_done) -> None:
        self.folder, self.matrix, self.mark_done = folder, matrix, mark_done
        places = Places(folder / "exp", folder / "data", folder / "dump")
        self.runs = [CellRun(cell, places) for cell in matrix.cells if cell.possible]
        self.costs = Costs(folder / "exp" / "plan.json")

    def run(self, name: str) -> CellRun:
        return next(run for run in self.runs if run.cell.name == name)

    def score(self, name: str, **scores: dict[str, float | None]) -> None:
        """A cell that is done: values by score and file; None is a value that could not be computed."""
        run = self.run(name)
        run.write()
        self.mark_done(run.project())
        names = list(dict.fromkeys(name for values in scores.values() for name in values))
        rows = [
            {
                "id": name,
                "scores": {key: values[name] for key, values in scores.items() if name in values},
                "reasons": {},
            }
            for name in names
        ]
        made = {"real_time_factor": 0.5, "device": "cpu", "threads": 1, "environment": {"torch": "2 | 3"}}
        summary: dict[str, Any] = {"name": name, "step": 2, "split": "validation"} | made
        summary["scores"] = {
            key: summarise([math.nan if v is None else v for v in values.values()]).as_dict()
            | {"definition": f"{key} of the test", "better": BETTER[key], "metric": key}
            for key, values in scores.items()
        }
        clips = [GeneratedClip(name, 1.0, 0.5, 0, clip=name) for name in names]
        Index(Task.VOCODING, "validation", 2, "step-2", "cpu", 1, [], clips).write(run.exp, [])
        for place, text in (
            ("scores/scores.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
            ("scores/summary.json", json.dumps(summary)),
        ):
            (run.exp / place).parent.mkdir(parents=True, exist_ok=True)
            (run.exp / place).write_text(text)
        run.note("done", seconds=30.0)

    def score_set(self, name: str, **scores: float | None) -> None:
        """A done cell whose generator makes clips of its own: one value for the set of two."""
        self.score(name, **{key: file_scores(None, None) for key in scores})
        run = self.run(name)
        for place, change in (
            ("samples/index.json", lambda facts: facts | {"task": "generation"}),
            ("scores/summary.json", lambda facts: facts | {"scores": _means(facts["scores"], scores)}),
        ):
            path = run.exp / place
            path.write_text(json.dumps(change(json.loads(path.read_text()))))

    def collect(self) -> results.Results:
        return results.collect(self.matrix, self.runs)

    def markdown(self) -> str:
        path = results.write(self.matrix, self.runs, self.costs, self.folder / "exp", with_page=False)
        return path.read_text()

    def plain(self) -> dict[str, Any]:
        """``results.json``, which must be JSON without NaN."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return json.loads((self.folder / "exp" / "results.json").read_text(), parse_constant=refuse)

    def table(self) -> list[list[str]]:
        """The cells of the table in RESULTS.md, without its rule; a pipe that is escaped is text."""
        lines = [line for line in self.markdown().partition("\n## ")[0].splitlines() if line.startswith("|")]
        rows = [[text.strip() for text in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        return [rows[0], *rows[2:]]

    def left_out(self) -> dict[str, tuple[str, str]]:
        """cell -> (state, why)."""
        part = self.markdown().partition("## Cells without scores\n")[2].partition("\n## ")[0]
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in part.splitlines() if line.startswith("| ")][1:]
        return {name.strip(): (state.strip(), why.strip()) for name, state, why in rows}


def _means(summaries: dict[str, Any], values: dict[str, float | None]) -> dict[str, Any]:
    return {key: facts | {"mean": values[key], "low": None, "high": None} for key, facts in summaries.items()}


@pytest.fixture
def compare(tmp_path, mark_done):
    """``compare(axes, changes…)`` is a comparison; axes are YAML in flow style."""

    def made(axes: str, *overrides: str, more: str = "") -> Comparison:
        path = tmp_path / "m.yaml"
        path.write_text(f"{RECIPE}{more}matrix: {axes}\n")
        return Comparison(tmp_path, expand(path, overrides), mark_done)

    return made


def file_scores(*values: float | None) -> dict[str, float | None]:
    return dict(zip("abcdefghijklmnop", values, strict=False))


# the order and the verdict -----------------------------------------------


@pytest.mark.parametrize(
    ("criterion", "best", "verdict"),
    [
        (
            "mel_distance",
            "middle",
            "Best: middle, lowest mel_distance 1.5; clearly ahead of low: -0.5 (-0.5 … -0.5) on the same files.",
        ),
        ("snr", "low", "Best: low, highest snr 9; clearly ahead of high: +1 (+1 … +1) on the same files."),
    ],
)
def test_the_best_cell_is_so_by_the_validations_criterion(compare, criterion, best, verdict):
    found = compare("{plan.batch_size: {low: 2, middle: 3, high: 4}}", f"validation.best={criterion}")
    found.score("low", mel_distance=file_scores(*[1, 2, 3] * 4), snr=file_scores(*[9] * 12))
    found.score("middle", mel_distance=file_scores(*[0.5, 1.5, 2.5] * 4), snr=file_scores(*[1, 2, 3] * 4))
    found.score("high", mel_distance=file_scores(*[4] * 12), snr=file_scores(*[8] * 12))
    made = found.collect()
    assert made.best is made.rows[0] and made.best.labels == {"plan.batch_size": best}
    assert verdict in found.markdown()
    head, first, *_ = found.table()
    assert first[0] == f"**{best}**"
    arrows = {"mel_distance": "mel_distance ↓", "snr": "snr ↑"}
    assert head == ["plan.batch_size", "G + D", arrows.pop(criterion), *arrows.values()]
    assert found.plain()["best"] == {"plan.batch_size": best}


def test_the_interval_is_of_paired_differences_with_the_recipes_confidence(compare):
    found = compare("{seed: [1], plan.batch_size: [2, 4]}", "evaluation.confidence=0.8")
    ours, theirs = file_scores(*[1.0, 5.0, 2.0, 8.0] * 3), file_scores(*[1.5, 4.9, 2.6, 8.4] * 3)
    found.score("1+2", mel_distance=theirs)
    found.score("1+4", mel_distance=ours)
    wanted = paired(theirs, ours, confidence=0.8)
    assert wanted.mean == pytest.approx(-0.35) and wanted.low < wanted.mean < wanted.high < 0
    text = found.markdown()
    said = f"clearly ahead of 2: -0.35 ({wanted.low:+.3g} … {wanted.high:+.3g}) on the same files."
    assert f"Best: 4, lowest mel_distance 4; {said}" in text
    assert "with 80 % bootstrap intervals" in text


def test_a_lead_whose_interval_holds_zero_is_not_clear(compare):
    found = compare("{plan.batch_size: [2, 4]}")
    found.score("2", mel_distance=file_scores(*[1, 9, 1, 9] * 3))
    found.score("4", mel_distance=file_scores(*[4, 4, 4, 7] * 3))
    assert "Best: 4, lowest mel_distance 4.75; not clearly ahead of 2: -0.25 (" in found.markdown()


@pytest.mark.parametrize(
    ("files", "words"), [(9, "9 files are too few to tell it from 4: "), (10, "clearly ahead of 4: ")]
)
def test_few_files_do_not_tell_cells_apart(compare, files, words):
    found = compare("{plan.batch_size: [2, 4]}")
    found.score("2", mel_distance=file_scores(*[1] * files))
    found.score("4", mel_distance=file_scores(*[2] * files))
    assert f"Best: 2, lowest mel_distance 1; {words}-1 (-1 … -1) on the same files." in found.markdown()
    marked = "<tr class=best>" in results._table(found.collect(), found.costs)
    assert marked == (files == 10), "nor does the page mark one"


def test_one_scored_cell_is_not_the_best_of_anything(compare):
    found = compare("{plan.batch_size: [2, 4]}")
    assert "2 cells: 2 to do, 0 impossible. No cell is best: fewer than two have scores." in found.markdown()
    assert found.plain()["best"] is None and found.collect().rows == []
    found.score("4", mel_distance=file_scores(1, 2))
    assert "2 cells: 1 done, 1 to do, 0 impossible. No cell is best" in found.markdown()
    assert found.table()[1][0] == "4" and found.collect().best is None


# means -------------------------------------------------------------------


def test_files_that_only_some_cells_have_count_in_no_mean(compare):
    found = compare("{plan.batch_size: [2, 4]}")
    found.score("2", mel_distance={"a": 1.0, "b": 3.0, "only here": 100.0}, snr={"a": 5.0, "b": 6.0, "only here": 7.0})
    found.score("4", mel_distance={"a": 2.0, "b": 2.5, "only there": 0.0}, snr={"a": 1.0, "b": None, "only there": 9.0})
    made = found.collect()
    assert made.files == {"mel_distance": 2, "snr": 1}
    assert [(row.scores["mel_distance"].mean, row.scores["snr"].mean) for row in made.rows] == [(2.0, 5.0), (2.25, 1.0)]
    text = found.markdown()
    assert "Means over the 1 to 2 files that every cell has" in text and "Intervals over so few files" in text


def test_many_files_need_no_warning(compare):
    found = compare("{plan.batch_size: [2]}")
    found.score("2", mel_distance=file_scores(*range(10)))
    text = found.markdown()
    assert "Means over the 10 files that every cell has, with 95 % bootstrap intervals" in text
    assert "so few files" not in text


def test_seeds_become_one_row_with_their_spread(compare):
    found = compare("{plan.batch_size: [2, 4], seed: [1, 2]}")
    found.score("2+1", mel_distance=file_scores(1, 3))
    found.score("2+2", mel_distance=file_scores(2, 6))
    found.score("4+1", mel_distance=file_scores(5, 5))
    made = found.collect()
    two, four = made.rows
    assert [run.cell.name for run in two.runs] == ["2+1", "2+2"] and two.labels == {"plan.batch_size": "2"}
    assert two.seeds["mel_distance"] == {"1": {"a": 1, "b": 3}, "2": {"a": 2, "b": 6}}
    assert two.scores["mel_distance"].mean == 3.0 and two.spread == {"mel_distance": (2.0, 4.0)}
    assert four.spread == {}
    assert two.scores["mel_distance"] == crossed([[1, 3], [2, 6]])
    low, high = two.scores["mel_distance"].low, two.scores["mel_distance"].high
    head, first, second = found.table()
    assert head == ["plan.batch_size", "G + D", "mel_distance ↓"]
    # Not bold: two files of one common seed do not tell the best row from the second one.
    assert first == ["2", "–", f"3.000 ({low:.3f} … {high:.3f}) (2 seeds 2.000 … 4.000)"]
    assert second == ["4", "–", "5.000 (5.000 … 5.000)"]
    assert "Several seeds are averaged file by file" in found.markdown()
    assert found.left_out() == {"4+2": ("to do", "")}
    assert found.plain()["rows"][0]["spread"] == {"mel_distance": [2.0, 4.0]}


def test_rows_are_compared_with_the_first_combination_on_the_same_seeds_and_files(compare):
    """Whichever is best: the file's first combination is what the others are held against."""
    found = compare("{plan.batch_size: [2, 4, 8], seed: [1, 2, 3]}")
    values = {"2": [(5, 7), (5.2, 7.1), (4.9, 6.9)], "4": [(4, 6.1), (4.1, 6), (4, 6)], "8": [(4, 8), (6, 6), (5, 7.5)]}
    for name, seeds in values.items():
        for seed, scores in enumerate(seeds, 1):
            found.score(f"{name}+{seed}", mel_distance=file_scores(*scores))
    wanted = crossed(
        [[b - a for a, b in zip(*pair, strict=True)] for pair in zip(values["2"], values["4"], strict=True)]
    )
    text = found.markdown()
    section = text.partition("## Differences from 2\n")[2]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:4]
    assert rows[0] == f"| 4 | **{wanted.mean:+.3g}** ({wanted.low:+.3g} … {wanted.high:+.3g}) |" and wanted.high < 0
    assert rows[1].startswith("| 8 | +0.0") and "**" not in rows[1]
    assert "95 % intervals for other seeds and other files; bold" in section and "5 in a hundred" in section
    assert "Best: 4, lowest mel_distance 5.033; clearly ahead of 2" in text  # two files, and three seeds


def test_a_single_row_is_compared_with_nothing(compare):
    found = compare("{plan.batch_size: [2, 4], seed: [1, 2]}")
    found.score("2+1", mel_distance=file_scores(1, 3))
    assert "## Differences" not in found.markdown()


def test_win_rate_and_noise_over_training_stand_beside_the_scores(compare):
    """Averaged over seeds, of the steps in which the discriminators learned."""
    found = compare("{plan.batch_size: [2, 4], seed: [1, 2]}")
    for seed, lengths in ((1, (10, 20, 60, 40)), (2, (10, 30, 30, 60))):
        found.score(f"2+{seed}", mel_distance=file_scores(1, 3))
        logs = found.run(f"2+{seed}").exp / "logs" / "train.jsonl"
        logs.parent.mkdir()
        rows = [{"step": step, "noise_injector/T": length} for step, length in enumerate(lengths)]
        for row in rows[1:]:
            row["discriminator/win_rate"] = 0.5 + 0.1 * seed
        logs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found.score("4+1", mel_distance=file_scores(4, 5))  # nothing was logged
    section = found.markdown().partition("## Over training\n")[2]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert rows[0] == "| | noise_injector/T | discriminator/win_rate |"
    assert rows[2:4] == ["| 2 | 40; 25 … 60; 50 | 0.65; 0.65 … 0.65; 0.65 |", "| 4 | – | – |"]
    told = found.plain()["rows"][0]["over_training"]["noise_injector/T"]
    assert told == {"mean": 40, "low": 25, "high": 60, "last": 50}


def test_a_file_without_a_value_in_one_cell_is_left_out_of_all(compare):
    found = compare("{plan.batch_size: [2, 4]}")
    found.score("2", mel_distance=file_scores(1, 2, 9))
    found.score("4", mel_distance=file_scores(3, 4, None))
    assert [row.scores["mel_distance"].mean for row in found.collect().rows] == [1.5, 3.5]


def test_a_cell_without_any_value_does_not_take_the_others_away(compare):
    """A generator that is silent has no PESQ; the comparison of those that are not stands."""
    found = compare("{plan.batch_size: [2, 4, 8], seed: [1, 2]}")
    for name, shift in (("2", 0), ("4", 1)):
        for seed in (1, 2):
            found.score(f"{name}+{seed}", mel_distance=file_scores(1 + shift, 2 + shift), snr=file_scores(1, 1))
    found.score("8+1", mel_distance=file_scores(None, None), snr=file_scores(7, 7))
    found.score("8+2", mel_distance=file_scores(0, 0), snr=file_scores(7, 7))
    made = found.collect()
    assert [row.labels["plan.batch_size"] for row in made.rows] == ["2", "4", "8"]
    assert [row.scores["mel_distance"].n_ok for row in made.rows] == [2, 2, 0]
    assert [row[0] for row in found.table()] == ["plan.batch_size", "**2**", "4", "8"]
    assert found.table()[3][2:] == ["–", "7.000 (7.000 … 7.000) (2 seeds 7.000 … 7.000)"]
    rows = found.plain()["rows"]
    assert rows[2]["scores"]["mel_distance"]["mean"] is None and "mel_distance" not in rows[2]["spread"]


def test_a_score_that_no_cell_could_compute_is_a_dash(compare):
    found = compare("{plan.batch_size: [2, 4]}")
    for name in ("2", "4"):
        found.score(name, mel_distance=file_scores(None, None), snr=file_scores(1, 2))
    assert [row[2] for row in found.table()[1:]] == ["–", "–"]
    assert "No cell is best" in found.markdown()
    found.plain()


def test_a_score_that_only_some_cells_were_given_is_compared_among_those(compare):
    found = compare("{metrics: {both: [mel_distance, snr], one: [mel_distance], again: {mel_distance: {}, snr: {}}}}",
                    "validation.metrics=[mel_distance]")  # fmt: skip
    found.score("both", mel_distance=file_scores(1, 2), snr=file_scores(3, 4))
    found.score("one", mel_distance=file_scores(5, 6))
    found.score("again", mel_distance=file_scores(7, 8), snr=file_scores(9, 10))
    assert [row[3].partition(" ")[0] for row in found.table()[1:]] == ["3.500", "–", "9.500"]


def test_scores_of_whole_sets_are_compared_without_intervals(compare):
    """Of generators whose clips imitate none in particular."""
    found = compare("{plan.batch_size: [2, 4, 8], seed: [1, 2]}")
    for name, value in {"2+1": 3.0, "2+2": 5.0, "4+1": 2.0, "4+2": 3.0, "8+1": None}.items():
        found.score_set(name, mel_distance=value)
    assert [row[2] for row in found.table()[1:]] == [
        "2.500 (2 seeds 2.000 … 3.000)",
        "4.000 (2 seeds 3.000 … 5.000)",
        "–",
    ]
    text = found.markdown()
    assert "Best: 4, lowest mel_distance 2.5; next is 2 with 4." in text
    assert "Scores of whole sets of clips, which have no intervals; ↑ higher is better, ↓ lower." in text
    assert found.plain()["best"] == {"plan.batch_size": "4"}


def test_the_page_of_such_generators_shows_their_clips_and_real_ones(compare):
    found = compare("{plan.batch_size: [2, 4]}", "evaluation.shown=1")
    for name, value in (("2", 3.0), ("4", 5.0)):
        found.score_set(name, mel_distance=value)
        with_audio(found, name)
    results.write(found.matrix, found.runs, found.costs, found.folder / "exp")
    page = Page((found.folder / "exp" / "index.html").read_text())
    assert len(heard(page.source)) == 3 and "real clips" in page.text
    assert "2: generated" in page.text and "4: generated" in page.text


# text --------------------------------------------------------------------


def test_pipes_do_not_break_the_tables(compare):
    found = compare("{plan.batch_size: {'a|b': 2, 'c | d': 4}}")
    found.score("a-b", mel_distance=file_scores(1, 2))
    found.run("c-d").note("failed", "RuntimeError: x | y\nand more")
    head, first = found.table()
    assert first[0] == "a\\|b" and len(head) == len(first)
    assert found.left_out() == {"c-d": ("failed", "RuntimeError: x \\| y and more")}


def test_sizes_come_from_the_plan(compare):
    found = compare("{plan.batch_size: [2, 4], seed: [1]}")
    for name in ("2+1", "4+1"):
        found.score(name, mel_distance=file_scores(1, 2))
    found.costs.known[plan._mark(found.run("2+1").cell)] = Cost(13_926_017, 70_715, 2**30, 0.5, "cpu")
    assert sorted(row[1] for row in found.table()[1:]) == ["13.93 M + 70.72 k", "–"]


@pytest.mark.parametrize(("count", "text"), [(0, "0"), (999, "999"), (1000, "1.00 k"), (2_500_000, "2.50 M")])
def test_numbers_of_parameters_are_short(count, text):
    assert plan.short(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59, "59 s"), (90, "1.5 min"), (5400, "1.5 h"), (129600, "1.5 d")]
)
def test_times_are_in_the_largest_unit(seconds, text):
    assert plan.span(seconds) == text


# cells without scores ----------------------------------------------------


def test_every_cell_without_scores_is_listed_with_the_reason(compare):
    found = compare("{plan.segment: [1024, 1000], plan.batch_size: [2, 3, 4, 5, 6, 7, 8]}")
    found.score("1024+2", mel_distance=file_scores(1, 2))
    gone = 2**22 + 1  # no process has this number
    found.run("1024+3").note("failed", "error: the loss is not finite")
    found.run("1024+4").note("stopped", "asked to stop")
    found.run("1024+5").note("submitted", "Submitted batch job 7")
    found.run("1024+6").note("running", pid=gone)
    found.run("1024+7").note("running", pid=os.getpid())
    listed = found.left_out()
    impossible = next(name for name in listed if "1000+2" in name)
    assert impossible == ", ".join(f"1000+{size}" for size in range(2, 9))
    state, why = listed.pop(impossible)
    assert state == "impossible" and why.startswith("must be a multiple of audio.hop 64, got 1000")
    assert listed == {
        "1024+3": ("failed", "error: the loss is not finite"),
        "1024+4": ("stopped", "asked to stop"),
        "1024+5": ("submitted", "Submitted batch job 7"),
        "1024+6": ("stopped", "its process is gone"),
        "1024+7": ("running", ""),
        "1024+8": ("to do", ""),
    }
    sums = "14 cells: 1 done, 1 running, 1 submitted, 2 stopped, 1 failed, 1 to do, 7 impossible."
    assert sums in found.markdown()
    assert {row["state"] for row in found.plain()["without_scores"]} >= {"impossible", "failed", "to do"}


def test_a_run_on_another_machine_is_taken_at_its_word(compare):
    found = compare("{plan.batch_size: [2]}")
    found.run("2").note("running", host="elsewhere", pid=2**22 + 1)
    assert found.left_out() == {"2": ("running", "")}


@pytest.mark.parametrize("change", ["plan.steps=3", "generator.dim=16", "losses.mel.weight=2"])
def test_scores_of_another_recipe_do_not_count(compare, change):
    """The cell's choices and so its name are the same; what lies under them is not."""
    axes = "{plan.batch_size: [2, 4]}"
    before = compare(axes)
    for name in ("2", "4"):
        before.score(name, mel_distance=file_scores(1, 2))
    assert len(before.collect().systems) == 2
    after = compare(axes, change)
    assert after.collect().systems == {}
    assert after.left_out() == {name: ("to do", "its recipe changed") for name in ("2", "4")}


def test_scores_stay_where_a_change_touches_no_stage(compare):
    axes = "{plan.batch_size: {one: 2, other: 4}}"
    before = compare(axes)
    before.score("one", mel_distance=file_scores(1, 2))
    assert list(compare(axes, "plan.save_every=7").collect().systems) == ["one"]
    assert list(compare("{plan.batch_size: {one: 2, new: 8}}").collect().systems) == ["one"]
    assert list(compare("{plan.batch_size: {one: 3}}").collect().systems) == []


# the page ----------------------------------------------------------------


class Page(HTMLParser):
    """The text of a page, its tags, and its table's rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.tags, self.source = "", [], text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data + "\n"


def with_audio(found: Comparison, name: str) -> None:
    """Packed references and a cell's samples of files a and b."""
    run = found.run(name)
    tones = {key: 0.2 * np.sin(np.arange(RATE // 8) * pitch) for key, pitch in (("a", 0.1), ("b", 0.2))}
    run.dump.mkdir(parents=True, exist_ok=True)
    entries, packed = [], b""
    for key, tone in tones.items():
        samples = levels.to_int16(tone)
        digest = hashlib.sha256(samples.tobytes()).hexdigest()
        facts = (len(samples), 1, RATE, len(packed) // 2, levels.peak(tone), digest)
        entries.append(ManifestEntry(key, f"{key}.wav", "validation", RATE, *facts))
        packed += samples.tobytes()
        path = run.exp / "samples" / "validation" / f"{key}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, tone.astype(np.float32), RATE, "pcm16")
    (run.dump / "audio.i16").write_bytes(packed)
    manifest.write(run.dump / "manifest.jsonl", entries)


def test_the_page_plays_the_same_items_of_every_cell_and_escapes_what_it_is_told(compare, monkeypatch):
    axes = "{plan.batch_size: {'<b>&one</b>': 2, two: 4, three: 8, wrong: {}}}"
    found = compare(axes, more="name: this <em>&</em> that\nevaluation: {shown: 1}\n")
    for number, name in enumerate(("b-one-b", "two")):
        found.score(name, mel_distance=file_scores(1 + number, 2 + number))
        with_audio(found, name)
    found.run("three").note("failed", "error: <script>alert(1)</script> & more")
    results.write(found.matrix, found.runs, found.costs, found.folder / "exp")
    source = (found.folder / "exp" / "index.html").read_text()
    page = Page(source)
    assert not {"b", "em"} & set(page.tags) and page.tags.count("script") == 3 + 1, "its sounds, and its player"
    for text in ("this <em>&</em> that", "<b>&one</b>", "error: <script>alert(1)</script> & more"):
        assert text in page.text
    assert "Best: <b>&one</b>, lowest mel_distance 1.5; 2 files are too few to tell it from two" in page.text
    assert len(heard(source)) == 3  # one item: the reference and two cells
    assert "<tr class=best>" not in source and "expected int" in page.text
    assert "Differences from <b>&one</b>" in page.text and "+1" in page.text
    assert "http://" not in source and "https://" not in source and "1.0 min in all" in page.text

    monkeypatch.setattr(results, "SHOWN", 1)
    results.write(found.matrix, found.runs, found.costs, found.folder / "exp")
    page = Page((found.folder / "exp" / "index.html").read_text())
    assert len(heard(page.source)) == 2 and "The 1 best cells; 1 more are in the table." in page.text


@pytest.mark.slow
def test_an_accessibility_checker_finds_nothing_serious_on_the_page(accessible, compare):
    found = compare("{plan.batch_size: {one: 2, two: 4, three: 8, wrong: {}}}", more="evaluation: {shown: 1}\n")
    for number, name in enumerate(("one", "two")):
        found.score(name, mel_distance=file_scores(*[1 + number] * 10))
        with_audio(found, name)
    results.write(found.matrix, found.runs, found.costs, found.folder / "exp")
    accessible((found.folder / "exp" / "index.html").as_uri())


def test_no_page_is_written_where_nothing_was_scored(compare):
    found = compare("{plan.batch_size: [2]}")
    results.write(found.matrix, found.runs, found.costs, found.folder / "exp")
    assert [path.name for path in sorted((found.folder / "exp").iterdir())] == ["RESULTS.md", "results.json"]
