"""Stages 4 to 6 on a tiny experiment: copies, scores file by file, and a page that needs nothing but itself."""

import base64
import dataclasses
import hashlib
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

import gansemble
from gansemble.audio import files, levels
from gansemble.audio.features import log_mel
from gansemble.data import manifest
from gansemble.data.manifest import ManifestEntry
from gansemble.data.packed import Packed
from gansemble.errors import DataError, GansembleError
from gansemble.evaluation import index, records, report, scores, synthesis
from gansemble.parts.build import generator as built
from gansemble.recipe import check, fill
from gansemble.stages import Project
from gansemble.training import checkpoint
from page_reading import heard, held, played

torch.set_num_threads(1)
RATE = 16000
RECIPE = """
name: tiny <one>
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
generator: {use: vocos, dim: 8, hidden: 16, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}, snr: {use: snr}}
plan: {steps: 2, batch_size: 2, segment: 1024}
optimisers: {generator: {use: adamw}}
"""


def clip(number: int, samples: int) -> np.ndarray:
    draw = np.random.default_rng(number)
    return 0.2 * np.sin(2 * np.pi * 300 * (number + 1) * np.arange(samples) / RATE) + 0.02 * draw.standard_normal(
        samples
    )


def pack(dump: Path, clips: dict[str, tuple[str, np.ndarray]]) -> None:
    """A prepared folder: id -> (split, audio)."""
    dump.mkdir(parents=True)
    entries, offset = [], 0
    with (dump / "audio.i16").open("wb") as stream:
        for name, (split, audio) in clips.items():
            samples = levels.to_int16(audio)
            stream.write(samples.tobytes())
            digest = hashlib.sha256(samples.tobytes()).hexdigest()
            entries.append(
                ManifestEntry(
                    name, f"{name}.wav", split, RATE, len(samples), 1, RATE, offset, levels.peak(audio), digest
                )
            )
            offset += len(samples)
    manifest.write(dump / "manifest.jsonl", entries)


def experiment(root: Path, name: str, seed: int, text: str = RECIPE) -> Project:
    """An experiment with a checkpoint of random weights, on the clips in ``root/dump``."""
    recipe_file = root / f"{name}.yaml"
    recipe_file.write_text(text.replace("tiny <one>", name))
    recipe = check.load(recipe_file)
    project = Project.of(recipe_file, (), root / name, root / "data", root / "dump")
    project.remember()
    store = checkpoint.Store(project.exp / "checkpoints")
    folder = store.begin(2)
    torch.manual_seed(seed)
    checkpoint.save_network(folder / "generator.safetensors", built(recipe).state_dict())
    (folder / "recipe.yaml").write_text(fill.dump(fill.fill(recipe)))
    store.commit(folder, 2, {"best": {}, "audio": dataclasses.asdict(recipe.audio)}, set())
    return project


def quiet(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two evaluated experiments, ``tiny <one>`` and ``two``."""
    root = tmp_path_factory.mktemp("evaluation")
    pack(
        root / "dump",
        {
            "a": ("validation", clip(0, 8000)),
            "t": ("train", clip(7, 8000)),
            "b": ("validation", clip(1, 6463)),
            "u": ("train", clip(8, 6463)),
        },
    )
    for name, seed in (("one", 0), ("two", 1)):
        project = experiment(root, name, seed)
        synthesis.synthesise(project, quiet)
        scores.evaluate(project, 1, quiet)
    return root


@pytest.fixture
def copy(root, tmp_path):
    """The experiments again, to be spoilt by a test: ``copy(name)`` is a project."""
    shutil.copytree(root, tmp_path / "copy")
    here = tmp_path / "copy"

    def project(name: str = "one", *overrides: str) -> Project:
        return Project.of(here / f"{name}.yaml", overrides, here / name, here / "data", here / "dump")

    return project


class Page(HTMLParser):
    """Everything a page refers to, by tag, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses, self.tags, self.text = [], [], ""
        self.source = path.read_text()
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [
            (tag, value) for key, value in attributes if key in ("src", "href", "srcset", "data", "poster")
        ]

    def handle_data(self, data):
        self.text += data

    def pictures(self) -> list[bytes]:
        return [base64.b64decode(value.partition("base64,")[2]) for name, value in self.addresses if name == "img"]


def rows(project: Project) -> dict[str, dict]:
    lines = (project.exp / "scores/scores.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def spoil(project: Project, name: str, key: str, reason: str = "made so") -> None:
    """Makes one file's score NaN, as a metric that could not be computed leaves it."""
    table = rows(project)
    table[name]["scores"][key] = None
    table[name]["reasons"][key] = reason
    text = "".join(json.dumps(row) + "\n" for row in table.values())
    (project.exp / "scores/scores.jsonl").write_text(text)


# stage 4 ----------------------------------------------------------------


def test_every_clip_of_the_split_is_copied_to_a_whole_number_of_hops(copy):
    index = json.loads((copy().exp / "samples/index.json").read_text())
    assert [row["id"] for row in index["clips"]] == ["a", "b"]
    assert index["split"] == "validation" and index["step"] == 2
    assert index["real_time_factor"] > 0
    folder = copy().exp / "samples/validation"
    assert {path.name: files.info(path).frames for path in folder.iterdir()} == {"a.wav": 8000, "b.wav": 6400}
    speed = index["measured_speed"]
    assert index["real_time_factor"] == speed["median"] and speed["low"] <= speed["median"] <= speed["high"]
    assert speed["measured"] >= 1 and speed["runs"] >= 3


def test_a_copy_is_made_from_the_mel_spectrogram_of_its_own_clip(copy):
    """Whole hops of it, from its first sample on."""
    project = copy()
    vocoder, packed = gansemble.load(project.exp, device="cpu"), Packed(project.dump, "validation")
    for number, entry in enumerate(packed.entries):
        audio = torch.from_numpy(packed.read(number, 0, entry.frames // 64 * 64))
        made = vocoder(log_mel(audio[None], vocoder.spec))[0, 0].clamp(-1, 1)
        found = files.read(project.exp / f"samples/validation/{entry.id}.wav")[0][0]
        np.testing.assert_allclose(found, made.numpy(), atol=1e-4)


def test_a_checkpoint_of_another_audio_section_is_refused_with_both_values(copy):
    with pytest.raises(GansembleError, match=r"audio\.fmax: 8000\.0 -> 7000\.0"):
        synthesis.synthesise(copy("one", "audio.fmax=7000"), quiet)


# stage 5 ----------------------------------------------------------------


def test_scores_are_the_metrics_of_each_file_and_their_means(copy):
    project = copy()
    packed = Packed(project.dump, "validation")
    table = rows(project)
    assert list(table) == ["a", "b"]
    for number, name in enumerate(table):
        estimate = files.read(project.exp / f"samples/validation/{name}.wav")[0][0].astype(np.float64)
        reference = packed.read(number, 0, len(estimate)).astype(np.float64)
        expected = 20 * math.log10(np.linalg.norm(reference) / np.linalg.norm(reference - estimate))
        assert table[name]["scores"]["snr"] == pytest.approx(expected, abs=1e-6)
        assert table[name]["reasons"] == {}
    summary = json.loads((project.exp / "scores/summary.json").read_text())
    snr = summary["scores"]["snr"]
    assert snr["mean"] == pytest.approx(np.mean([row["scores"]["snr"] for row in table.values()]))
    assert snr["low"] <= snr["mean"] <= snr["high"] and (snr["n_ok"], snr["n_total"]) == (2, 2)
    assert snr["better"] == "higher" and summary["scores"]["mel_distance"]["better"] == "lower"
    assert "SNR [dB]" in snr["definition"]
    assert {"torch", "numpy", "librosa", "gansemble", "commit", "machine", "date"} <= set(summary["environment"])


def test_a_file_that_cannot_be_scored_has_null_and_a_reason(copy):
    project = copy()
    files.write(project.exp / "samples/validation/b.wav", np.zeros(6400), RATE)
    made = index.read(project.exp)
    made.write(project.exp, [project.exp / "samples" / name for name in made.files])  # as if stage 4 made it
    lines = []
    scores.evaluate(project, 1, lines.append)
    row = rows(project)["b"]
    assert row["scores"] == {"mel_distance": None, "snr": None}
    assert row["reasons"]["snr"] == "estimate is silent"
    summary = json.loads((project.exp / "scores/summary.json").read_text())["scores"]["snr"]
    assert (summary["n_ok"], summary["n_total"]) == (1, 2)
    assert any(re.search(r"^snr .* 1/2 *$", line) for line in lines)


def test_the_references_are_those_of_the_split_that_was_generated(copy):
    """Changing the recipe's split without synthesising again must not score clips against other ones."""
    before = rows(copy())
    project = copy("one", "synthesis.split=train")
    try:
        scores.evaluate(project, 1, quiet)
    except GansembleError:
        return
    assert rows(project) == before


def test_generated_clips_without_a_reference_are_named(copy):
    project = copy()
    index = project.exp / "samples/index.json"
    index.write_text(index.read_text().replace('"clip": "b"', '"clip": "gone"'))
    with pytest.raises(DataError, match="1 generated clips have no reference there: gone"):
        scores.evaluate(project, 1, quiet)


def changed(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


@pytest.mark.parametrize("spoilt", [changed, Path.unlink])
def test_a_clip_that_is_not_the_one_stage_4_made_is_not_scored(copy, spoilt):
    """Whether it was changed since, or is gone."""
    project = copy()
    spoilt(project.exp / "samples/validation/b.wav")
    with pytest.raises(
        DataError, match=r"1 of 2 samples are gone or not those .* \(validation/b\.wav\); run stage 4 again"
    ):
        scores.evaluate(project, 1, quiet)


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("samples/index.json", lambda text: None, "is not there; run stage 4 again"),
        ("samples/index.json", lambda text: text[:-1], r"damaged \(.*\); run stage 4 again"),
        (
            "samples/index.json",
            lambda text: f"[{text}]",
            r"damaged \(list is not a dict\); run stage 4 again",
        ),
        ("samples/index.json", lambda text: text.replace('"step": 2', '"step": "2"'), r"value of key 'step'"),
        (
            "samples/index.json",
            lambda text: text.replace('"files": {', '"file": {'),
            r"files",
        ),
        ("samples/index.json", lambda text: text.replace('"version": 2', '"version": 3'), "of version 3, expected 2"),
        ("samples/index.json", lambda text: text.replace('"task": "', '"task": "x'), r"damaged \('x"),
        ("samples/index.json", lambda text: text.replace('"took"', '"takes"'), r"took is missing"),
        ("scores/summary.json", lambda text: f"[{text}]", r"damaged \(list is not a dict\)"),
        (
            "scores/summary.json",
            lambda text: text.replace('"step": 2', '"step": null'),
            r"value of key 'step'",
        ),
        ("scores/scores.jsonl", lambda text: text[:-5], r"damaged \("),
        (
            "scores/scores.jsonl",
            lambda text: text.replace('"id"', '"name"'),
            r"damaged \(.*missing required key\(s\): .id.",
        ),
        ("scores/scores.jsonl", lambda text: "[1]\n", r"damaged \("),
    ],
)
def test_a_damaged_record_of_an_earlier_stage_is_told(copy, name, change, told):
    exp = copy().exp
    made = change((exp / name).read_text())
    assert made != (exp / name).read_text()
    (exp / name).unlink() if made is None else (exp / name).write_text(made)
    read = {"samples/index.json": index.read, "scores/summary.json": records.summary}.get(name)
    with pytest.raises(DataError, match=rf"{re.escape(name)}:.*{told}"):
        read(exp) if read is not None else records.rows(exp / name)


# stage 6 ----------------------------------------------------------------


@pytest.mark.slow
def test_the_page_holds_everything_it_shows(copy):
    project = copy()
    path = report.write(project)
    assert path == project.exp / "report/index.html"
    page = Page(path)
    assert page.addresses and all(value.startswith("data:") for _, value in page.addresses)
    assert not {"iframe", "object", "embed", "audio", "video"} & set(page.tags)
    assert "default-src 'none'" in page.source and [href for tag, href in page.addresses if tag == "link"] == ["data:,"]
    assert not re.search(r"https?://|file:|@import|url\(", page.source)
    assert str(project.exp) not in page.source and str(project.dump) not in page.source


def test_the_page_plays_the_reference_beside_the_copy_and_shows_both(copy):
    project = copy()
    page = Page(report.write(project))
    sounds = heard(page.source)
    assert {kind for kind, _ in held(page.source).values()} == {"audio/flac"}
    assert [(len(audio), rate) for audio, rate in sounds] == [(8000, RATE), (8000, RATE), (6463, RATE), (6400, RATE)]
    np.testing.assert_allclose(sounds[0][0], clip(0, 8000), atol=1e-4)
    made = files.read(project.exp / "samples/validation/a.wav")[0][0]
    np.testing.assert_allclose(sounds[1][0], made, atol=1e-4)
    pictures = page.pictures()
    assert len(pictures) == 4 and all(data.startswith(b"\x89PNG") for data in pictures)
    assert len(set(pictures)) == 4, "each spectrogram is of its own audio"


@pytest.mark.slow
def test_the_page_shows_scores_recipe_and_environment_escaped(copy):
    page = Page(report.write(copy()))
    snr = np.mean([row["scores"]["snr"] for row in rows(copy()).values()])
    assert f"{snr:.3f}" in page.text and "snr ↑" in page.text and "mel_distance ↓" in page.text
    assert "use: vocos" in page.text and torch.__version__ in page.text
    assert "No training curves" in page.text
    project = copy()
    project.recipe.write_text(project.recipe.read_text().replace("name: one", "name: a <b>bold name"))
    assert "a <b>bold name" in Page(report.write(project)).text


def test_the_page_shows_as_many_clips_as_the_recipe_says(copy):
    page = Page(report.write(copy("one", "evaluation.shown=1")))
    assert len(played(page.source)) == 2


@pytest.mark.slow
def test_training_curves_are_drawn_where_there_are_logs(copy):
    project = copy()
    logs = project.exp / "logs"
    logs.mkdir()
    (logs / "train.jsonl").write_text('{"step": 1, "generator/total": 2.0}\n{"step": 2, "generator/total": null}\n{"st')
    (logs / "validation.jsonl").write_text('{"step": 0, "mel_distance": 3.0}\n{"step": 2, "mel_distance": 1.0}\n')
    page = Page(report.write(project))
    assert "No training curves" not in page.text and "training steps" in page.text
    assert len(page.pictures()) == 5


@pytest.mark.slow
def test_a_missing_score_shows_how_many_files_have_one(copy):
    project = copy()
    spoil(project, "b", "snr")
    page = Page(report.write(project))
    assert page.text.count("1 of 2 files") == 1
    assert f"{rows(project)['a']['scores']['snr']:.3f}" in page.text
    spoil(project, "a", "snr")
    page = Page(report.write(project))
    table = re.search(r"<table class=scores>.*?</table>", page.source, re.DOTALL).group()
    assert "0 of 2 files" in table and "nan" not in table


def test_experiments_are_compared_side_by_side_on_their_common_files(copy):
    one, two = copy("one"), copy("two")
    spoil(two, "b", "snr")
    page = Page(report.write(one, [("", two)]))
    assert len(played(page.source)) == 6 and page.tags.count("img") == 6
    means = [rows(project)["a"]["scores"]["snr"] for project in (one, two)]
    assert all(f"{mean:.3f}" in page.text for mean in means), "both means are of file a alone"
    assert page.text.count("1 of 2 files") == 2
    mel = [np.mean([row["scores"]["mel_distance"] for row in rows(project).values()]) for project in (one, two)]
    assert all(f"{mean:.3f}" in page.text for mean in mel)
    assert "class=best" not in page.source and "2 files are too few to tell any two apart" in page.text


def test_whatever_is_in_a_table_stands_within_its_cell(browser, copy):
    """An interval once had the class of the player's loop, and covered the whole page."""
    page = report.write(copy("one", "evaluation.shown=1"), [("", copy("two", "evaluation.shown=1"))])
    for width in (390, 1200):
        browser.look(width, 844)
        browser.open(page.as_uri())
        assert browser.run("document.querySelectorAll('table.scores td small').length") > 0
        outside = browser.run(
            """[...document.querySelectorAll('table.scores :is(td, th) *')].filter((each) => {
                 if (each.matches('.unseen')) return false;
                 const [own, cell] = [each, each.closest('td, th')].map((one) => one.getBoundingClientRect());
                 return own.left < cell.left - 1 || own.right > cell.right + 1 || own.top < cell.top - 1
                   || own.bottom > cell.bottom + 1; }).map((each) => each.outerHTML)"""
        )
        assert outside == []


@pytest.mark.slow
def test_an_accessibility_checker_finds_nothing_serious_on_the_page(accessible, copy):
    one, two = copy("one", "evaluation.shown=1"), copy("two")
    (one.exp / "logs").mkdir()
    (one.exp / "logs" / "train.jsonl").write_text('{"step": 1, "generator/total": 2.0}\n')
    accessible(report.write(one, [("", two)]).as_uri())


def test_another_experiment_is_shown_by_the_name_it_is_given(copy):
    page = Page(report.write(copy("one"), [("<my> own", copy("two"))]))
    assert page.source.count('data-name="&lt;my&gt; own"') == 2 and 'data-name="two"' not in page.source


def test_how_large_the_page_is_is_said_before_it_is_written(copy):
    project, said = copy(), []
    path = project.exp / "report" / "index.html"

    def say(text: str) -> None:
        said.append((text, path.exists()))

    size = report.write(project, (), say).stat().st_size
    ((text, written),) = said
    assert text == f"4 sounds of 2 s in all, as FLAC; {size / 1e6:.1f} MB" and not written


@pytest.mark.parametrize(
    ("setting", "type_"), [("wav", "audio/wav"), ("opus", "audio/ogg; codecs=opus"), ("flac", "audio/flac")]
)
def test_the_recipe_says_how_the_page_holds_sounds(copy, setting, type_):
    page = Page(report.write(copy("one", f"evaluation.sound={setting}")))
    assert {kind for kind, _ in held(page.source).values()} == {type_}


def test_what_a_metric_means_and_its_direction_are_in_the_scores_and_on_the_page(copy):
    project = copy()
    row = json.loads((project.exp / "scores/summary.json").read_text())["scores"]["snr"]
    assert row["better"] == "higher" and "in decibels" in row["meaning"] and "target" not in row
    page = Page(report.write(project))
    assert row["meaning"].rstrip(".") in page.text and "Higher is better." in page.text


def test_scores_of_an_older_version_say_nothing_of_their_meaning_and_are_shown(copy):
    project = copy()
    path = project.exp / "scores/summary.json"
    facts = json.loads(path.read_text())
    for row in facts["scores"].values():
        del row["meaning"]
    path.write_text(json.dumps(facts))
    assert records.summary(project.exp)["scores"]["snr"]["better"] == "higher"
    page = Page(report.write(project))
    assert "Higher is better." in page.text and "SNR [dB]" in page.text


def test_the_pages_intervals_are_those_of_the_recipe(copy):
    """``evaluation.confidence`` and ``bootstrap`` make the table's interval, and the note names the confidence."""
    project = copy("one", "evaluation.confidence=0.2")
    said: list[str] = []
    scores.evaluate(project, 1, said.append)
    assert "20 % interval" in said[0]
    mel = json.loads((project.exp / "scores/summary.json").read_text())["scores"]["mel_distance"]
    values = [row["scores"]["mel_distance"] for row in rows(project).values()]
    assert min(values) < mel["low"] <= mel["high"] < max(values), "narrower than at 95 %"
    page = Page(report.write(project))
    assert f"{mel['low']:.3f} … {mel['high']:.3f}" in page.text
    assert "20 %" in page.text and "95 %" not in page.text


def test_an_experiment_that_was_not_evaluated_is_told(copy):
    project = copy()
    (project.exp / "scores/summary.json").unlink()
    with pytest.raises(
        GansembleError, match=r"not evaluated yet \(.*summary\.json is missing\); run its stages 4 and 5"
    ):
        report.write(project)
