"""The report: its table of scores, its clips, its curves and what stands around them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from matplotlib.figure import Figure

from gansemble.audio.spec import AudioSpec
from gansemble.errors import GansembleError
from gansemble.evaluation import clips, curves, onsets, report, systems, tables
from gansemble.evaluation.index import GeneratedClip, Index
from gansemble.evaluation.systems import System
from gansemble.pages import clips as page_clips
from gansemble.pages import document, pictures
from gansemble.pages.sounds import Sounds
from gansemble.recipe.sections import Evaluation
from gansemble.recipe.task import Task
from gansemble.scoring.directions import Direction
from gansemble.scoring.statistics import summarise
from page_reading import cells, heard

SPEC = AudioSpec(sample_rate=1000, n_fft=64, hop=16, window=64, mels=8, fmax=None)
SETTINGS = Evaluation(bootstrap=50, confidence=0.9)


def listed(*clips: GeneratedClip, **more: Any) -> Index:
    return Index(Task.VOCODING, "test", 3, "step-3", "cpu", 1, [], clips, **more)


def made(name: str, clip: str | None = None, condition: str = "", digest: str | None = None) -> GeneratedClip:
    return GeneratedClip(name, 1.0, 0.5, 0, clip or name, digest, condition)


def system(
    name: str, scores: dict[str, dict[str, float | None]], better: dict[str, str] | None = None, **more: Any
) -> System:
    """A system with the values of each score by clip."""
    ids = dict.fromkeys(clip for values in scores.values() for clip in values)
    rows: Any = {
        clip: {
            "id": clip,
            "scores": {key: values[clip] for key, values in scores.items() if clip in values},
            "reasons": {},
        }
        for clip in ids
    }
    facts = {key: {"better": (better or {}).get(key, "higher"), "definition": f"<{key}>"} for key in scores}
    summary: Any = {"scores": facts}
    index = more.pop("index", listed(*map(made, ids)))
    return System(name, more.pop("exp", Path("e")), index, summary, rows, more.pop("colour", "#111111"), **more)


# the table of scores ----------------------------------------------------


def test_a_row_averages_over_the_files_that_every_system_has_a_value_for():
    one = system(
        "<one>", {"snr": {"a": 1.0, "b": 3.0, "c": 100.0}, "lsd": {"a": 2.0, "b": 2.0, "c": 2.0}}, {"lsd": "lower"}
    )
    two = system("two", {"snr": {"a": 4.0, "b": 2.0, "c": None}}, colour="#222222")
    table = tables.table([one, two], replace(SETTINGS, bootstrap=0))
    assert cells(table) == [
        ["", "&lt;one&gt;", "two"],
        ["snr ↑", "2.000\n2 of 3 files", "3.000\n2 of 3 files"],
        ["lsd ↓", "2.000", "–\n0 of 3 files"],
    ]
    assert "<small>Exactly: &lt;snr&gt;</small>" in table and "#222222" in table and "bootstrap" not in table
    assert "90 % bootstrap interval over files" in tables.table([one, two], SETTINGS)


def test_the_interval_stands_below_the_mean_and_is_that_of_the_settings():
    values = {name: float(place) for place, name in enumerate("abcdefgh")}
    table = tables.table([system("one", {"snr": values})], SETTINGS)
    wanted = summarise(list(values.values()), 50, 0.9)
    assert cells(table)[1] == ["snr ↑", f"3.500\n{wanted.low:.3f} … {wanted.high:.3f}"]
    assert wanted != summarise(list(values.values()), 50, 0.5)


def around(mean: float, files: int = 10) -> dict[str, float]:
    """Values of so many files about a mean, which differ by 0.01 at most from file to file."""
    return {f"f{place}": mean + 0.01 * (place % 2) for place in range(files)}


@pytest.mark.parametrize(
    ("better", "means", "marks"),
    [
        ("higher", (1, 2, 0), " * "),
        ("lower", (1, 2, 0), "  *"),
        ("higher", (2, 2, 0), "*~ "),
        ("higher", (1,), " "),
        ("higher", (2, 2), "  "),
        ("none", (1, 2, 0), "   "),
    ],
)
def test_of_several_systems_the_best_is_marked_where_it_is_told_from_another(better, means, marks):
    """On ten files; those that are not told from it are shaded; a score without a direction has no best."""
    made = [system(str(place), {"snr": around(mean)}, {"snr": better}) for place, mean in enumerate(means)]
    row = cells(tables.table(made, replace(SETTINGS, bootstrap=0)))[1][1:]
    assert "".join(cell[0] if cell[0] in "*~" else " " for cell in row) == marks
    words = {"*": "\nbest", "~": "\nnot told from the best", " ": ""}
    assert [cell[cell.find("\n") :] if "\n" in cell else "" for cell in row] == [words[mark] for mark in marks]


def test_the_best_is_that_nearest_to_the_value_that_is_best():
    made = [system(str(place), {"f": around(mean)}) for place, mean in enumerate((3, 0.25, -0.5))]
    for each in made:
        each.summary["scores"]["f"] |= {"better": "target", "target": 0.0}
    table = tables.table(made, replace(SETTINGS, bootstrap=0))
    assert [cell.startswith("*") for cell in cells(table)[1][1:]] == [False, True, False]
    assert cells(table)[1][0] == "f → 0" and "<dd>Best at 0.<" in table


@pytest.mark.parametrize(("files", "marked"), [(5, False), (6, True)])
def test_nothing_is_marked_with_fewer_files_than_tell_anything_apart(files, marked):
    """The smallest probability of a paired permutation test is 2 in 2 to the power of the files: 0.0625 of five."""
    made = [system(name, {"snr": around(mean, files)}) for name, mean in (("one", 1.0), ("two", 9.0))]
    table = tables.table(made, replace(SETTINGS, bootstrap=0))
    assert ("class=best" in table) == marked and ("5 files are too few to tell any two apart" in table) != marked
    assert ("Intervals over 6 files are too narrow." in table) == marked


def test_what_is_told_of_one_other_and_not_of_a_third_is_shaded():
    """``b`` is near the best ``a``, with differences of either sign; ``c`` is far below both."""
    wave = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0]
    values = {0: {str(n): 5.0 for n in range(8)}, 1: {str(n): 4.9 + each for n, each in enumerate(wave)}}
    values[2] = {str(n): 0.0 for n in range(8)}
    assert tables.marks_of(values, Direction("higher")) == {0: "best", 1: "tied"}
    assert tables.marks_of({0: values[0], 1: values[1]}, Direction("higher")) == {}
    assert tables.marks_of({0: values[0], 2: values[2]}, Direction("higher")) == {0: "best"}
    assert tables.marks_of({0: values[0], 2: values[2]}, Direction("lower")) == {2: "best"}
    assert tables.marks_of({0: values[0], 2: values[2]}, Direction("none")) == {}
    assert tables.marks_of(values, Direction("target", -1.0)) == {2: "best"}
    assert tables.marks_of({}, Direction("higher")) == tables.marks_of({1: values[1]}, Direction("higher")) == {}


def test_probabilities_are_raised_for_the_number_of_tests():
    """Of six files with differences of one sign p is 0.031: enough of one other system, and not of two, by Holm."""
    values = {place: {str(n): 3.0 - 0.1 * place for n in range(6)} for place in range(3)}
    assert tables.marks_of({0: values[0], 1: values[1]}, Direction("higher")) == {0: "best"}
    assert tables.marks_of(values, Direction("higher")) == {}


def test_a_score_that_no_file_has_is_a_dash_and_none_is_best():
    one, two = (system(name, {"snr": {"a": None, "b": None}}) for name in ("one", "two"))
    assert cells(tables.table([one, two], SETTINGS))[1] == ["snr ↑", "–\n0 of 2 files", "–\n0 of 2 files"]
    assert cells(tables.table([system("one", {})], SETTINGS)) == [["", "one"]]


def test_a_score_that_only_a_later_system_has_is_described_by_it():
    table = tables.table(
        [system("one", {"snr": {"a": 1.0}}), system("two", {"lsd": {"a": 2.0}}, {"lsd": "lower"})], SETTINGS
    )
    assert [row[0] for row in cells(table)[1:]] == ["snr ↑", "lsd ↓"]
    assert cells(table)[2][1:] == ["–\n0 of 1 files", "2.000"]


def test_scores_without_a_direction_are_folded_below_those_that_have_one():
    made = system("one", {"f0": {"a": 1.0}, "f0_sd": {"a": 2.0}}, {"f0": "lower", "f0_sd": "none"})
    shown, _, folded = tables.table([made], SETTINGS).partition("Further numbers, which say nothing of quality alone")
    assert [row[0] for row in cells(shown)] == ["", "f0 ↓"] and [row[0] for row in cells(folded)] == ["", "f0_sd"]
    assert "<dd>Says nothing of quality alone.<" in folded
    alone = tables.table([system("one", {"f0_sd": {"a": 2.0}}, {"f0_sd": "none"})], SETTINGS)
    assert "Further numbers" not in alone and cells(alone)[1] == ["f0_sd", "2.000"]


def test_what_a_score_means_stands_below_the_table():
    facts = {"snr": {"better": "higher", "definition": "10 log <x>", "meaning": "How <loud>.", "hash": "ab12"}}
    text = tables.meanings(facts)
    wanted = "Higher is better. How &lt;loud&gt;.<small>Exactly: 10 log &lt;x&gt; [ab12]</small>"
    assert f"<dt>snr</dt><dd>{wanted}</dd>" in text


# systems ----------------------------------------------------------------


def test_a_system_under_a_degradation_has_only_its_clips():
    index = listed(made("a", condition="x"), made("b", condition="y"), made("c", condition="x"))
    one = system("one", {"snr": {"a": 1.0, "b": 2.0, "d": 3.0}}, index=index)
    assert one.conditions == ["x", "y"] and list(one.under("x").rows) == ["a"] and one.under("z").rows == {}
    assert one.under("y").scores("snr") == {"b": 2.0} and one.under("y").name == "one"
    assert system("two", {"snr": {"a": 1.0}}, index=listed(made("a", condition="x"))).conditions == []


def test_the_scores_of_a_system_are_nan_where_there_are_none():
    found = system("one", {"snr": {"a": 1.0, "b": None}, "lsd": {"a": 2.0}}).scores("lsd")
    assert found["a"] == 2.0 and found["b"] != found["b"]


def experiment(exp: Path, **more: Any) -> Path:
    (exp / "scores" / "baselines").mkdir(parents=True)
    (exp / "samples").mkdir()
    listed(made("a"), baselines=["low", "mid"]).write(exp, [])
    row = {"id": "a", "scores": {"snr": 1.0}, "reasons": {}}
    fact = {"better": "higher", "definition": "d", "metric": "snr", "mean": 1.0, "low": None, "high": None}
    fact |= {"n_ok": 1, "n_total": 1}
    summary = {"name": exp.name, "step": 3, "scores": {"snr": fact}, "environment": {}, "split": "test"}
    summary |= {"real_time_factor": 0.5, "device": "cpu", "threads": 1}
    summary["baselines"] = {name: {"scores": {f"{name}_snr": fact}} for name in ("low", "mid")}
    (exp / "scores" / "summary.json").write_text(json.dumps(summary | more))
    (exp / "scores" / "scores.jsonl").write_text(json.dumps(row))
    for name in ("low", "mid"):
        (exp / "scores" / "baselines" / f"{name}.jsonl").write_text(json.dumps(row | {"id": name}))
    return exp


def test_systems_are_read_and_coloured_by_their_place(tmp_path):
    exp = experiment(tmp_path / "one")
    found = systems.system_of(exp)
    assert (found.name, found.exp, found.colour, found.baseline) == ("one", exp, pictures.COLOURS[0], None)
    assert list(found.rows) == ["a"] and found.samples == exp / "samples" / "test" and found.index.step == 3
    assert len(pictures.COLOURS) == 12
    colours = [systems.system_of(exp, number).colour for number in (1, 11, 12, 13)]
    assert colours == [pictures.COLOURS[number] for number in (1, 11, 0, 1)]


@pytest.mark.parametrize("name", ["samples/index.json", "scores/summary.json", "scores/scores.jsonl"])
def test_a_system_that_was_not_evaluated_is_told(tmp_path, name):
    exp = experiment(tmp_path / "one")
    (exp / name).unlink()
    with pytest.raises(GansembleError, match=f"not evaluated yet .*{name} is missing"):
        systems.system_of(exp)


def test_baselines_are_systems_in_shades_of_grey(tmp_path):
    found = systems.baselines_of(systems.system_of(experiment(tmp_path / "one")))
    assert [(each.name, each.baseline, each.colour, list(each.rows)) for each in found] == [
        ("low", "low", pictures.GREYS[0], ["low"]),
        ("mid", "mid", pictures.GREYS[1], ["mid"]),
    ]
    assert [list(each.summary["scores"]) for each in found] == [["low_snr"], ["mid_snr"]]
    assert found[1].samples == tmp_path / "one" / "samples" / "test" / "baselines" / "mid"


def test_of_more_baselines_than_greys_the_first_comes_again(monkeypatch):
    names = [f"b{number}" for number in range(5)]
    monkeypatch.setattr(systems.records, "rows", lambda path: {})
    one = system("one", {}, index=listed(baselines=names))
    one.summary["baselines"] = {name: {"scores": {}} for name in names}
    assert [each.colour for each in systems.baselines_of(one)] == [*pictures.GREYS, pictures.GREYS[0]]


# clips ------------------------------------------------------------------


class Clips:
    """Recordings ``x`` and ``y`` of 300 and 500 samples."""

    entries = [SimpleNamespace(id="x"), SimpleNamespace(id="y")]

    def read(self, number: int) -> np.ndarray:
        return np.linspace(0, 0.1 * (number + 1), [300, 500][number]).astype(np.float32)


@pytest.fixture
def levels(monkeypatch) -> list[tuple[int, float]]:
    """(length, brightest level) of each spectrogram, which is not drawn."""
    found: list[tuple[int, float]] = []

    def drawn(audio: np.ndarray, spec: AudioSpec, top: float) -> str:
        found.append((len(audio), top))
        return "picture"

    monkeypatch.setattr(page_clips.pictures, "spectrogram", drawn)
    return found


@pytest.fixture
def three(tmp_path) -> list[System]:
    """Two systems; the second has no file of the first clip, the third no score of the second."""
    scores = {
        "snr": {"x@n": 1.0, "y@n": 2.346},
        "lsd": {"y@n": None},
        "mcd": {"y@n": 3.0},
        "f0": {"y@n": 4.0},
        "pesq": {"y@n": 5.0},
    }
    index = listed(made("x@n", "x"), made("y@n", "y"))
    found = [
        system("<one>", scores, index=index, exp=tmp_path / "one", colour="#abcdef"),
        system("two", scores, index=index, exp=tmp_path / "two"),
        system("three", {"snr": {"x@n": 1.0}}, index=index, exp=tmp_path / "three"),
    ]
    for place, each in enumerate(found):
        each.samples.mkdir(parents=True)
        for name, length in (("x@n", 300), ("y@n", 500)):
            if (place, name) != (1, "x@n"):
                soundfile.write(each.samples / f"{name}.wav", np.full(length, 0.1 * (place + 2)), 1000)
    return found


def shown(identity: str, chosen: list[System], seconds: float | None = None) -> tuple[str, list[np.ndarray]]:
    """A clip's section, and the sounds that it plays."""
    sounds = Sounds()
    text = clips.clip(identity, chosen, Clips(), SPEC, sounds, seconds)
    whole = document.assemble("t", [text], sounds)
    return text, [audio for audio, _ in heard(whole)]


def names(text: str) -> list[str]:
    return re.findall(r"<span class=name>(.*?)</span>", text)


def test_a_clip_stands_beside_its_own_recording(three, levels):
    text, sounds = shown("y@n", three)
    assert names(text) == re.findall(r'data-name="(.*?)"', text) == ["reference", "&lt;one&gt;", "two"]
    assert re.findall(r"<small>(.*?)</small>", text) == [
        "0.50 s",
        "the recording itself",
        "snr 2.35 · mcd 3.00 · f0 4.00",
        "snr 2.35 · mcd 3.00 · f0 4.00",
    ]
    assert [len(each) for each in sounds] == [500, 500, 500]
    np.testing.assert_allclose(sounds[0], Clips().read(1), atol=1e-4)
    np.testing.assert_allclose([each[0] for each in sounds[1:]], [0.2, 0.3], atol=1e-4)
    assert levels == [(500, pictures.top(Clips().read(1), SPEC))] * 3, "one scale for all"
    assert "<h3>y@n <small>" in text and text.count("#abcdef") == 1 and 'data-seconds="0.5000"' in text


def test_a_system_without_the_clip_is_left_out(three, levels):
    text, _ = shown("x@n", three)
    assert names(text) == ["reference", "&lt;one&gt;", "three"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.25, "0.25 s from the middle of 0.50 s"), (0.5, "0.50 s"), (None, "0.50 s")]
)
def test_of_a_long_clip_the_same_middle_is_shown_of_all(three, levels, seconds, said):
    text, sounds = shown("y@n", three[:1], seconds)
    assert re.findall(r"<small>(.*?)</small>", text)[0] == said
    length = int(1000 * (seconds or 0.5))
    assert [len(each) for each in sounds] == [length, length] and {each[0] for each in levels} == {length}


def test_a_spectrogram_is_a_small_picture_of_even_brightness():
    """Silence is at the floor of 1e-10; a clip shorter than a transform is padded with zeros."""
    assert pictures.top(np.zeros(200, np.float32), SPEC) == pytest.approx(-100, abs=0.1)
    assert pictures.top(np.zeros(10, np.float32), SPEC) == pytest.approx(-100, abs=0.1)
    short, long = np.ones(64, np.float32), np.ones(640, np.float32)
    assert pictures.top(short, SPEC) <= pictures.top(long, SPEC) + 1e-6


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    figures: list[Figure] = []
    save = Figure.savefig

    def kept(self, *given: Any, **options: Any) -> Any:
        figures.append(self)
        return save(self, *given, **options)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


def test_a_spectrogram_is_small_with_small_letters(drawn):
    pictures.spectrogram(np.ones(200, np.float32), SPEC, 0.0)
    (figure,) = drawn
    (axes,) = figure.axes
    assert (list(figure.get_size_inches()), figure.dpi) == ([4.6, 1.9], 110)
    assert {text.get_fontsize() for text in axes.texts} == {6, 7}
    tick = axes.xaxis.get_major_ticks()[0]
    assert tick.label1.get_fontsize() == 7 and tick.tick1line.get_markersize() == 2


# curves -----------------------------------------------------------------


def logged(exp: Path, train: list[dict[str, Any]], validation: list[dict[str, Any]] = ()) -> System:
    (exp / "logs").mkdir(parents=True)
    for name, rows in (("train", train), ("validation", validation)):
        (exp / "logs" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return system("one", {}, exp=exp)


def test_of_training_the_telling_curves_are_drawn(drawn, tmp_path):
    names = [
        *("generator/total", "generator/losses.mel", "generator/lr", "discriminator/total", "discriminator/win_rate"),
        *("noise_injector/t", "speed/steps_per_second", "monitors.a", "speed/other"),
    ]
    curves.curves([logged(tmp_path, [{"step": 1} | dict.fromkeys(names, 1.0)], [{"step": 0, "b": 1.0, "a": 2.0}])])
    shown = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [
        *("validation: b", "validation: a", "generator/total", "loss: mel", "discriminator/total"),
        *("discriminator/win_rate", "noise_injector/t", "speed/steps_per_second"),
    ]


@pytest.mark.parametrize(("panels", "lines"), [(1, 1), (3, 1), (4, 2)])
def test_curves_are_three_across(drawn, tmp_path, panels, lines):
    row = {"step": 1} | {f"generator/losses.l{number}": 1.0 for number in range(panels)}
    curves.curves([logged(tmp_path, [row])])
    (figure,) = drawn
    assert len([axes for axes in figure.axes if axes.get_visible()]) == panels and len(figure.axes) == 3 * lines
    assert list(figure.get_size_inches()) == [12, 2.5 * lines]
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert (grid.nrows, grid.ncols) == (lines, 3)
    panel = figure.axes[0]
    (line,) = panel.lines
    assert (line.get_linewidth(), line.get_markersize(), figure.dpi) == (1.3, 2.5, 100)
    assert panel.title.get_fontsize() == 8 and panel.xaxis.get_ticklabels()[0].get_fontsize() == 7
    assert panel.xaxis.get_gridlines()[0].get_alpha() == 0.25
    assert panel.margins()[0] == 0.02 and panel.xaxis.get_gridlines()[0].get_visible()


def test_an_experiment_without_logs_has_no_curves(tmp_path):
    assert curves.curves([system("one", {}, exp=tmp_path)]).startswith("<p class=note>No training curves")


# around it --------------------------------------------------------------


def facts(**more: Any) -> dict[str, Any]:
    return {
        "step": 12345,
        "split": "test",
        "real_time_factor": 0.25,
        "device": "cpu",
        "threads": 3,
        "environment": {"date": "2024-05-06"},
        "scores": {},
    } | more


def test_the_head_of_the_page_tells_of_the_first_experiment():
    one = replace(system("one", {"snr": {"a": 1.0, "b": 2.0}}), summary=facts())
    text = report._header("<name>", [one, system("two", {})])
    assert "<h1>&lt;name&gt;</h1>" in text
    assert "step 12,345 · 2 test clips · 4.0 × real time on cpu (3 threads) · 2024-05-06" in text


def test_there_is_a_table_for_each_degradation_of_the_systems_that_have_its_clips():
    index = listed(made("a", condition="<x>"), made("b", condition="y"))
    one = system("one", {"snr": {"a": 1.0, "b": 2.0}}, index=index)
    two = system("two", {"snr": {"b": 4.0}}, index=index)
    recipe: Any = SimpleNamespace(evaluation=SETTINGS)
    first, second = report._tables([one, two], recipe)
    assert first.startswith("<h3>&lt;x&gt;</h3>") and cells(first) == [["", "one"], ["snr ↑", "1.000"]]
    assert second.startswith("<h3>y</h3>") and cells(second)[1] == ["snr ↑", "2.000", "4.000"]
    (only,) = report._tables([system("one", {"snr": {"a": 1.0}})], recipe)
    assert "<h3>" not in only and cells(only)[1] == ["snr ↑", "1.000"]


def test_the_recipe_that_is_shown_is_that_of_the_newest_checkpoint(tmp_path):
    (tmp_path / "r.yaml").write_text("a: <b>\n")
    project: Any = SimpleNamespace(exp=tmp_path, recipe=tmp_path / "r.yaml")
    assert "a: &lt;b&gt;" in report._recipe(project)
    for step in (2, 10):
        folder = tmp_path / "checkpoints" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "recipe.yaml").write_text(f"step: {step}\n")
    assert "step: 10\n" in report._recipe(project)


def test_of_another_experiment_clips_of_other_recordings_are_left_out():
    def of(name: str, digests: dict[str, str]) -> System:
        index = listed(*(made(clip, digest=digest) for clip, digest in digests.items()))
        return system(name, {"snr": dict.fromkeys(digests, 1.0)}, index=index, exp=Path(name))

    first = of("one", {"a": "1", "b": "2", "c": "3"})
    same = of("two", {"a": "1", "b": "2", "d": "9"})
    assert report._of_the_same_recordings(first, same) is same
    found = report._of_the_same_recordings(first, of("two", {"a": "1", "b": "x", "c": "y"}))
    assert list(found.rows) == ["a"] and [clip.id for clip in found.index.clips] == ["a"]
    assert found.name == "two (without 2 others)"
    with pytest.raises(GansembleError, match=r"--compare two: all 2 of its clips, such as b, .* of one under"):
        report._of_the_same_recordings(first, of("two", {"c": "x", "b": "y"}))
    with pytest.raises(GansembleError, match=r"--compare two: none of its 2 clips, such as y, is one of the 3 of one"):
        report._of_the_same_recordings(first, of("two", {"z": "8", "y": "9"}))


@pytest.mark.parametrize("task", [Task.VOCODING, Task.ENHANCEMENT])
@pytest.mark.parametrize("turned", [False, True])
def test_clips_that_imitate_are_not_compared_with_clips_of_a_generators_own(task, turned):
    pair = [
        system(name, {"snr": {"a": 1.0}}, index=replace(listed(made("a")), task=each), exp=Path(name))
        for name, each in (("one", task), ("two", Task.GENERATION))
    ]
    first, second = reversed(pair) if turned else pair
    told = f"its task is {second.index.task.value}, and that of {first.exp} is {first.index.task.value}"
    with pytest.raises(GansembleError, match=f"--compare {second.exp}: {told}"):
        report._of_the_same_recordings(first, second)


@pytest.mark.parametrize("shown", [0, 1, 2])
@pytest.mark.parametrize("look", [None, "look"])
def test_a_report_of_generated_clips_shows_sets_and_galleries(monkeypatch, tmp_path, shown, look):
    """As many clips of every experiment as the recipe says, and as many real ones, as long as generated ones."""
    exps = {name: tmp_path / name for name in ("one", "two")}
    clips = [GeneratedClip(f"s{number}", 1.0, 0.5, 0) for number in range(3)]
    index = Index(Task.GENERATION, "test", 3, "c", "cpu", 1, [], clips)
    made = {
        path: replace(system(name, {}, exp=path), index=index, summary=facts(name=name)) for name, path in exps.items()
    }
    made[exps["two"]].index = replace(index, split="train", clips=clips[:1])
    made[exps["two"]].summary = facts(environment={"date": "1999"}, step=1)
    numbers: dict[str, int] = {}
    cards: list[tuple[Path, str | None]] = []

    def read(exp: Path, number: int = 0) -> System:
        numbers[exp.name] = number
        return made[exp]

    monkeypatch.setattr(report, "system_of", read)
    monkeypatch.setattr(report, "verify", lambda dump, splits: numbers.update({dump: splits}))
    monkeypatch.setattr(report, "Packed", lambda dump, split: (dump, split))
    monkeypatch.setattr(report.walls, "look_of", lambda recipe: look)
    monkeypatch.setattr(
        report.walls, "gallery", lambda system, *given: f"[gallery {system.name} {given[0]} {given[3]}]"
    )
    monkeypatch.setattr(
        report.walls, "real", lambda packed, *given: f"[real {packed} {given[0]} {given[1]} {given[4]}]"
    )
    monkeypatch.setattr(report.curves, "curves", lambda systems: "[curves]")
    monkeypatch.setattr(report, "_account", lambda project, first: [f"[account {first.name}]"])
    monkeypatch.setattr(report.model_card, "write", lambda project, licence: cards.append((project.exp, licence)))
    monkeypatch.setattr(report.verdict, "sentences", lambda recipe, systems, baselines: [f"[verdict {len(baselines)}]"])
    monkeypatch.setattr(onsets, "section", lambda systems: "[monitors]")
    (tmp_path / "r.yaml").write_text("x")
    recipe = SimpleNamespace(
        name="mine", evaluation=Evaluation(shown=shown), audio=SPEC, plan=SimpleNamespace(segment=77)
    )
    first, second = (
        SimpleNamespace(exp=path, dump="dump", recipe=tmp_path / "r.yaml", checked=lambda: recipe)
        for path in exps.values()
    )
    path = report.write(first, [("", second)], licence="MIT")
    assert cards == [(exps["one"], "MIT")]
    assert path == tmp_path / "one" / "report" / "index.html"
    text = path.read_text()
    assert f"[gallery one {shown} {look}]\n[gallery two {shown} {look}]" in text
    assert f"[real ('dump', 'test') {shown} 77 {look}]" in text
    assert f"<h2>{'Look' if look else 'Listen'}</h2>" in text and "[curves]\n[monitors]\n<h2>Recipe" in text
    assert "[account one]" in text and "[verdict 0]" in text
    assert numbers == {"one": 0, "two": 1, "dump": {"test"}} and "2024-05-06" in text and "1999" not in text
    report.write(first)
    assert "gallery two" not in path.read_text()


@pytest.mark.parametrize(("shown", "named"), [(0, ""), (1, "my own"), (3, "")])
def test_a_report_of_imitations_shows_as_many_clips_as_the_recipe_says(monkeypatch, tmp_path, shown, named):
    index = listed(*(made(name) for name in "abc"))
    one = replace(system("one", {"snr": {"a": 1.0}}, index=index, exp=tmp_path), summary=facts())
    low = replace(one, name="low", baseline="low")
    checked = []
    cards: list[tuple[Path, str | None]] = []
    two = replace(one, name="two", index=listed(made("a")), exp=tmp_path / "two")
    monkeypatch.setattr(report, "system_of", lambda exp, number=0: [one, two][number])
    monkeypatch.setattr(report, "baselines_of", lambda system: [low] if system is one else [])
    monkeypatch.setattr(report, "verify", lambda dump, splits: None)
    monkeypatch.setattr(report, "Packed", lambda dump, split: "packed")
    monkeypatch.setattr(report, "demand_same", lambda *given: checked.append(given))
    monkeypatch.setattr(report.curves, "curves", lambda systems: f"[curves {[each.name for each in systems]}]")
    monkeypatch.setattr(report.tables, "table", lambda systems, settings: f"[table {[each.name for each in systems]}]")
    monkeypatch.setattr(report, "_account", lambda project, first: [f"[account {first.name}]"])
    monkeypatch.setattr(report.model_card, "write", lambda project, licence: cards.append((project.exp, licence)))
    monkeypatch.setattr(report.verdict, "sentences", lambda recipe, systems, baselines: [f"[verdict {len(baselines)}]"])
    monkeypatch.setattr(
        report,
        "clip",
        lambda identity, systems, packed, spec, sounds, seconds: f"[{identity} {len(systems)} {packed} {seconds}]",
    )
    monkeypatch.setattr(onsets, "section", lambda systems: "")
    recipe = SimpleNamespace(name="mine", evaluation=Evaluation(shown=shown, seconds=4.5), audio=SPEC)
    (tmp_path / "r.yaml").write_text("x")
    project: Any = SimpleNamespace(exp=tmp_path, dump="dump", recipe=tmp_path / "r.yaml", checked=lambda: recipe)
    text = report.write(project, [(named, SimpleNamespace(exp=tmp_path / "two"))]).read_text()
    assert re.findall(r"\[(\w) 3 packed 4.5\]", text) == list("abc")[:shown]
    other = named or "two"
    assert f"[table ['one', '{other}', 'low']]" in text and f"[curves ['one', '{other}']]" in text
    assert "[account one]" in text and "[verdict 1]" in text
    assert ("<h2>Listen</h2>" in text) == bool(shown), "without clips, no controls that all clips share"
    assert "<title>mine</title>" in text
    assert checked == [(project, "packed", index.clips)] and cards == [(tmp_path, None)]
