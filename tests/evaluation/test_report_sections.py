"""The report: its table of scores, its clips, its curves and what stands around them."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from gansemble.evaluation.page import System
from matplotlib.figure import Figure

from gansemble.audio.spec import AudioSpec
from gansemble.errors import GansembleError
from gansemble.evaluation import onsets, page, report
from gansemble.evaluation.index import GeneratedClip, Index
from gansemble.recipe.sections import Evaluation
from gansemble.recipe.task import Task
from gansemble.scoring.statistics import summarise

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


def cells(table: str) -> list[list[str]]:
    """The text of a table by row; ``*`` before what is best, a line break where a small note begins."""
    lines = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    return [
        [
            ("*" if "class=best" in cell else "") + re.sub("<[^>]*>", "", cell.replace("<small>", "\n"))
            for cell in re.findall(r"<t[hd][ >].*?</t[hd]>|<th></th>", line)
        ]
        for line in lines
    ]


# the table of scores ----------------------------------------------------


def test_a_row_averages_over_the_files_that_every_system_has_a_value_for():
    one = system(
        "<one>", {"snr": {"a": 1.0, "b": 3.0, "c": 100.0}, "lsd": {"a": 2.0, "b": 2.0, "c": 2.0}}, {"lsd": "lower"}
    )
    two = system("two", {"snr": {"a": 4.0, "b": 2.0, "c": None}}, colour="#222222")
    table = page.table([one, two], replace(SETTINGS, bootstrap=0))
    assert cells(table) == [
        ["", "&lt;one&gt;", "two"],
        ["snr ↑", "2.000\n2 of 3 files", "*3.000\n2 of 3 files"],
        ["lsd ↓", "*2.000", "–\n0 of 3 files"],
    ]
    assert '<th title="&lt;snr&gt;">' in table and "#222222" in table and "90 % bootstrap" in table


def test_the_interval_stands_below_the_mean_and_is_that_of_the_settings():
    values = {name: float(place) for place, name in enumerate("abcdefgh")}
    table = page.table([system("one", {"snr": values})], SETTINGS)
    wanted = summarise(list(values.values()), 50, 0.9)
    assert cells(table)[1] == ["snr ↑", f"3.500\n{wanted.low:.3f} … {wanted.high:.3f}"]
    assert wanted != summarise(list(values.values()), 50, 0.5)


@pytest.mark.parametrize(
    ("better", "means", "best"),
    [("higher", (1, 2, 0), [1]), ("lower", (1, 2, 0), [2]), ("higher", (2, 2, 0), [0, 1]), ("higher", (1,), [])],
)
def test_the_best_of_several_systems_is_marked(better, means, best):
    made = [system(str(place), {"snr": {"a": float(mean)}}, {"snr": better}) for place, mean in enumerate(means)]
    row = cells(page.table(made, SETTINGS))[1][1:]
    assert [place for place, cell in enumerate(row) if cell.startswith("*")] == best


def test_a_score_that_no_file_has_is_a_dash_and_none_is_best():
    one, two = (system(name, {"snr": {"a": None, "b": None}}) for name in ("one", "two"))
    assert cells(page.table([one, two], SETTINGS))[1] == ["snr ↑", "–\n0 of 2 files", "–\n0 of 2 files"]
    assert cells(page.table([system("one", {})], SETTINGS)) == [["", "one"]]


def test_a_score_that_only_a_later_system_has_is_described_by_it():
    table = page.table(
        [system("one", {"snr": {"a": 1.0}}), system("two", {"lsd": {"a": 2.0}}, {"lsd": "lower"})], SETTINGS
    )
    assert [row[0] for row in cells(table)[1:]] == ["snr ↑", "lsd ↓"]
    assert cells(table)[2][1:] == ["–\n0 of 1 files", "*2.000"]


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
    found = page.system_of(exp)
    assert (found.name, found.exp, found.colour, found.baseline) == ("one", exp, page.COLOURS[0], None)
    assert list(found.rows) == ["a"] and found.samples == exp / "samples" / "test" and found.index.step == 3
    assert len(page.COLOURS) == 12
    colours = [page.system_of(exp, number).colour for number in (1, 11, 12, 13)]
    assert colours == [page.COLOURS[number] for number in (1, 11, 0, 1)]


@pytest.mark.parametrize("name", ["samples/index.json", "scores/summary.json", "scores/scores.jsonl"])
def test_a_system_that_was_not_evaluated_is_told(tmp_path, name):
    exp = experiment(tmp_path / "one")
    (exp / name).unlink()
    with pytest.raises(GansembleError, match=f"not evaluated yet .*{name} is missing"):
        page.system_of(exp)


def test_baselines_are_systems_in_shades_of_grey(tmp_path):
    found = page.baselines_of(page.system_of(experiment(tmp_path / "one")))
    assert [(each.name, each.baseline, each.colour, list(each.rows)) for each in found] == [
        ("low", "low", page.GREYS[0], ["low"]),
        ("mid", "mid", page.GREYS[1], ["mid"]),
    ]
    assert [list(each.summary["scores"]) for each in found] == [["low_snr"], ["mid_snr"]]
    assert found[1].samples == tmp_path / "one" / "samples" / "test" / "baselines" / "mid"


def test_of_more_baselines_than_greys_the_first_comes_again(monkeypatch):
    names = [f"b{number}" for number in range(5)]
    monkeypatch.setattr(page.records, "rows", lambda path: {})
    one = system("one", {}, index=listed(baselines=names))
    one.summary["baselines"] = {name: {"scores": {}} for name in names}
    assert [each.colour for each in page.baselines_of(one)] == [*page.GREYS, page.GREYS[0]]


# clips ------------------------------------------------------------------


class Clips:
    """Recordings ``x`` and ``y`` of 300 and 500 samples."""

    entries = [SimpleNamespace(id="x"), SimpleNamespace(id="y")]

    def read(self, number: int) -> np.ndarray:
        return np.linspace(0, 0.1 * (number + 1), [300, 500][number]).astype(np.float32)


def heard(text: str) -> list[np.ndarray]:
    return [
        soundfile.read(io.BytesIO(base64.b64decode(each)))[0]
        for each in re.findall(r'src="data:audio/wav;base64,([^"]*)"', text)
    ]


@pytest.fixture
def levels(monkeypatch) -> list[tuple[int, float]]:
    """(length, brightest level) of each spectrogram, which is not drawn."""
    found: list[tuple[int, float]] = []

    def drawn(audio: np.ndarray, spec: AudioSpec, top: float) -> str:
        found.append((len(audio), top))
        return "picture"

    monkeypatch.setattr(page, "spectrogram", drawn)
    return found


@pytest.fixture
def systems(tmp_path) -> list[System]:
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


def test_a_clip_stands_beside_its_own_recording(systems, levels):
    text = page.clip("y@n", systems, Clips(), SPEC)
    assert re.findall(r"<figcaption title='(.*?)'>", text) == ["reference", "&lt;one&gt;", "two"]
    assert re.findall(r"<small>(.*?)</small>", text) == [
        "0.50 s",
        "snr 2.35 · mcd 3.00 · f0 4.00",
        "snr 2.35 · mcd 3.00 · f0 4.00",
    ]
    sounds = heard(text)
    assert [len(each) for each in sounds] == [500, 500, 500]
    np.testing.assert_allclose(sounds[0], Clips().read(1), atol=1e-4)
    np.testing.assert_allclose([each[0] for each in sounds[1:]], [0.2, 0.3], atol=1e-4)
    assert levels == [(500, page.top(Clips().read(1), SPEC))] * 3, "one scale for all"
    assert "<h3>y@n</h3>" in text and text.count("#abcdef") == 1


def test_a_system_without_the_clip_is_left_out(systems, levels):
    text = page.clip("x@n", systems, Clips(), SPEC)
    assert re.findall(r"<figcaption title='(.*?)'>", text) == ["reference", "&lt;one&gt;", "three"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.25, "0.25 s from the middle of 0.50 s"), (0.5, "0.50 s"), (None, "0.50 s")]
)
def test_of_a_long_clip_the_same_middle_is_shown_of_all(systems, levels, seconds, shown):
    text = page.clip("y@n", systems[:1], Clips(), SPEC, seconds)
    assert re.findall(r"<small>(.*?)</small>", text)[0] == shown
    length = int(1000 * (seconds or 0.5))
    assert [len(each) for each in heard(text)] == [length, length] and {each[0] for each in levels} == {length}


def test_a_player_clips_what_is_beyond_full_scale():
    (sound,) = heard(page.player(np.array([0.0, 0.5, 2.0, -2.0]), 1000))
    np.testing.assert_allclose(sound, [0, 0.5, 1, -1], atol=1e-4)
    raw = base64.b64decode(re.search(r"base64,([^\"]*)", page.player(np.zeros(4), 8000)).group(1))
    info = soundfile.info(io.BytesIO(raw))
    assert (info.samplerate, info.subtype, info.format, info.channels) == (8000, "PCM_16", "WAV", 1)


def test_a_spectrogram_is_a_small_picture_of_even_brightness():
    """Silence is at the floor of 1e-10; a clip shorter than a transform is padded with zeros."""
    assert page.top(np.zeros(200, np.float32), SPEC) == pytest.approx(-100, abs=0.1)
    assert page.top(np.zeros(10, np.float32), SPEC) == pytest.approx(-100, abs=0.1)
    short, long = np.ones(64, np.float32), np.ones(640, np.float32)
    assert page.top(short, SPEC) <= page.top(long, SPEC) + 1e-6


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **options: figures.append(self))
    return figures


def test_a_spectrogram_is_small_with_small_letters(drawn):
    page.spectrogram(np.ones(200, np.float32), SPEC, 0.0)
    (figure,) = drawn
    (axes,) = figure.axes
    assert (list(figure.get_size_inches()), figure.dpi) == ([4.6, 1.9], 110)
    assert {axes.xaxis.label.get_fontsize(), axes.yaxis.label.get_fontsize()} == {7} and axes.xaxis.labelpad == 0
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
    page.curves([logged(tmp_path, [{"step": 1} | dict.fromkeys(names, 1.0)], [{"step": 0, "b": 1.0, "a": 2.0}])])
    shown = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [
        *("validation: b", "validation: a", "generator/total", "loss: mel", "discriminator/total"),
        *("discriminator/win_rate", "noise_injector/t", "speed/steps_per_second"),
    ]


@pytest.mark.parametrize(("panels", "lines"), [(1, 1), (3, 1), (4, 2)])
def test_curves_are_three_across(drawn, tmp_path, panels, lines):
    row = {"step": 1} | {f"generator/losses.l{number}": 1.0 for number in range(panels)}
    page.curves([logged(tmp_path, [row])])
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
    assert page.curves([system("one", {}, exp=tmp_path)]).startswith("<p class=note>No training curves")


# around it --------------------------------------------------------------


def test_the_page_is_put_together_of_its_pieces():
    text = page.assemble("<t>", ["<p>one</p>", "<p>two</p>"])
    assert "<title>&lt;t&gt;</title>" in text and "<body>\n<p>one</p>\n<p>two</p>\n</body>" in text
    assert page.environment({"a&b": "<1>", "n": 3}).count("<tr>") == 2
    assert "<th>a&amp;b</th><td>&lt;1&gt;</td>" in page.environment({"a&b": "<1>"})


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
    assert second.startswith("<h3>y</h3>") and cells(second)[1] == ["snr ↑", "2.000", "*4.000"]
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
    made[exps["two"]].index = replace(index, task=Task.VOCODING, split="train", clips=clips[:1])
    made[exps["two"]].summary = facts(environment={"date": "1999"}, step=1)
    numbers: dict[str, int] = {}

    def read(exp: Path, number: int = 0) -> System:
        numbers[exp.name] = number
        return made[exp]

    monkeypatch.setattr(page, "system_of", read)
    monkeypatch.setattr(report, "verify", lambda dump, splits: numbers.update({dump: splits}))
    monkeypatch.setattr(report, "Packed", lambda dump, split: (dump, split))
    monkeypatch.setattr(report.walls, "look_of", lambda recipe: look)
    monkeypatch.setattr(
        report.walls, "gallery", lambda system, *given: f"[gallery {system.name} {given[0]} {given[2]}]"
    )
    monkeypatch.setattr(
        report.walls, "real", lambda packed, *given: f"[real {packed} {given[0]} {given[1]} {given[3]}]"
    )
    monkeypatch.setattr(page, "curves", lambda systems: "[curves]")
    monkeypatch.setattr(onsets, "section", lambda systems: "[monitors]")
    (tmp_path / "r.yaml").write_text("x")
    recipe = SimpleNamespace(
        name="mine", evaluation=Evaluation(shown=shown), audio=SPEC, plan=SimpleNamespace(segment=77)
    )
    first, second = (
        SimpleNamespace(exp=path, dump="dump", recipe=tmp_path / "r.yaml", checked=lambda: recipe)
        for path in exps.values()
    )
    path = report.write(first, [second])
    assert path == tmp_path / "one" / "report" / "index.html"
    text = path.read_text()
    assert f"[gallery one {shown} {look}]\n[gallery two {shown} {look}]" in text
    assert f"[real ('dump', 'test') {shown} 77 {look}]" in text
    assert f"<h2>{'Look' if look else 'Listen'}</h2>" in text and "[curves]\n[monitors]\n<h2>Recipe" in text
    assert numbers == {"one": 0, "two": 1, "dump": {"test"}} and "2024-05-06" in text and "1999" not in text
    report.write(first)
    assert "gallery two" not in path.read_text()


@pytest.mark.parametrize("shown", [0, 1, 3])
def test_a_report_of_imitations_shows_as_many_clips_as_the_recipe_says(monkeypatch, tmp_path, shown):
    index = listed(*(made(name) for name in "abc"))
    one = replace(system("one", {"snr": {"a": 1.0}}, index=index, exp=tmp_path), summary=facts())
    low = replace(one, name="low", baseline="low")
    checked = []
    two = replace(one, name="two", index=listed(made("z")), exp=tmp_path / "two")
    monkeypatch.setattr(page, "system_of", lambda exp, number: [one, two][number])
    monkeypatch.setattr(page, "baselines_of", lambda system: [low] if system is one else [])
    monkeypatch.setattr(report, "verify", lambda dump, splits: None)
    monkeypatch.setattr(report, "Packed", lambda dump, split: "packed")
    monkeypatch.setattr(report, "demand_same", lambda *given: checked.append(given))
    monkeypatch.setattr(page, "curves", lambda systems: f"[curves {[each.name for each in systems]}]")
    monkeypatch.setattr(page, "table", lambda systems, settings: f"[table {[each.name for each in systems]}]")
    monkeypatch.setattr(
        page, "clip", lambda identity, systems, packed, spec, seconds: f"[{identity} {len(systems)} {packed} {seconds}]"
    )
    monkeypatch.setattr(onsets, "section", lambda systems: "")
    recipe = SimpleNamespace(name="mine", evaluation=Evaluation(shown=shown, seconds=4.5), audio=SPEC)
    (tmp_path / "r.yaml").write_text("x")
    project: Any = SimpleNamespace(exp=tmp_path, dump="dump", recipe=tmp_path / "r.yaml", checked=lambda: recipe)
    text = report.write(project, [SimpleNamespace(exp=tmp_path / "two")]).read_text()
    assert re.findall(r"\[(\w) 3 packed 4.5\]", text) == list("abc")[:shown]
    assert "[table ['one', 'two', 'low']]" in text and "[curves ['one', 'two']]" in text
    assert "<title>mine</title>" in text
    assert checked == [(project, "packed", index.clips)]
