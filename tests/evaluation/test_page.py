"""The pieces of the report page: tables of sets of clips, numbers, what is drawn, and galleries of clips."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from gansemble.audio.spec import AudioSpec
from gansemble.evaluation import clips, curves, tables, walls
from gansemble.evaluation.index import GeneratedClip
from gansemble.evaluation.systems import System
from gansemble.pages import pictures
from gansemble.pages.sounds import Sounds
from page_reading import cells, heard


def row(mean, low=None, high=None, better="lower", **facts):
    return {"mean": mean, "low": low, "high": high, "n_ok": 9, "better": better, "definition": "<d>"} | facts


def system(name="one", exp=Path(), colour="#123456", **summary) -> System:
    return System(name, exp, None, {"scores": {}} | summary, {}, colour)


def test_scores_of_sets_stand_beside_those_of_real_clips():
    one = system(
        "<one>",
        scores={"fid": row(2.0, 1.5, 2.5, interval="of <folds>"), "inception_score": row(3.0, better="higher")},
        anchors={"<held-out>": {"fid": row(0.0)}, "training": {"fid": row(None), "inception_score": row(4.0)}},
    )
    two = system("two", scores={"recall": row(0.5)})
    table = tables.set_table([one, two])
    assert cells(table) == [
        ["", "&lt;one&gt;", "two", "real: &lt;held-out&gt;", "real: training"],
        ["fid ↓", "2.000\n1.500 … 2.500\n9 clips", "–", "0.000\n9 clips", "–"],
        ["inception_score ↑", "3.000\n9 clips", "–", "–", "4.000\n9 clips"],
        ["recall ↓", "–", "0.500\n9 clips", "–", "–"],
    ]
    assert "<dt>fid</dt><dd>Lower is better.<small>Exactly: &lt;d&gt;; interval: of &lt;folds&gt;</small></dd>" in table
    assert "<dt>recall</dt><dd>Lower is better.<small>Exactly: &lt;d&gt;</small></dd>" in table
    assert "real clips are scored in the same way" in table and "Nothing is marked as best" in table
    assert "class=best" not in table
    assert "real" not in tables.set_table([two])


def test_a_recipe_without_metrics_of_sets_is_told():
    assert tables.set_table([system()]) == "<p class=note>This recipe has no metric of whole sets.</p>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.000"), (0.0005, "0.001"), (0.00049, "4.9e-04"), (-0.00049, "-4.9e-04"), (-12.3456, "-12.346")],
)
def test_a_number_that_is_not_zero_is_not_shown_as_zero(value, shown):
    assert tables.number(value) == shown


SPEC = AudioSpec(sample_rate=1000, n_fft=64, hop=16, window=64, mels=8, fmax=None)


@pytest.mark.parametrize(
    ("length", "seconds", "first", "last"),
    [(400, None, 0, 399), (400, 0.4, 0, 399), (400, 9, 0, 399), (400, 0.1, 150, 249), (401, 0.1, 150, 249)],
)
def test_of_a_long_clip_the_middle_is_shown(length, seconds, first, last):
    found = clips.middle(np.arange(length), length, SPEC, seconds)
    assert (found[0], found[-1]) == (first, last)


@pytest.fixture
def drawn(monkeypatch) -> list[Figure]:
    """The figures that are drawn."""
    figures: list[Figure] = []
    save = Figure.savefig

    def kept(self, *given, **options):
        figures.append(self)
        return save(self, *given, **options)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


def test_a_spectrogram_goes_from_the_top_to_80_db_below_over_seconds_and_kilohertz(drawn):
    """A sine of half amplitude at a quarter of the sample rate: half the way up."""
    audio = 0.5 * np.sin(np.pi / 2 * np.arange(500)).astype(np.float32)
    top = pictures.top(audio, SPEC)
    assert top == pytest.approx(20 * np.log10(0.5 * 32 / 2), abs=0.1), "half the sum of the window"
    assert pictures.spectrogram(audio, SPEC, top).startswith("data:image/png;base64,")
    (axes,) = drawn[0].axes
    (image,) = axes.images
    assert list(image.get_extent()) == [0, 0.5, 0, 0.5] and image.origin == "lower"
    assert image.get_clim() == (top - 80, top)
    assert image.get_array().shape[0] == 33 and int(image.get_array()[:, 10].argmax()) == 16
    assert [text.get_text() for text in axes.texts] == ["kHz", "s"]


def test_a_clip_shorter_than_the_transform_has_a_spectrogram(drawn):
    pictures.spectrogram(np.ones(10, np.float32), SPEC, 0.0)
    assert drawn[0].axes[0].images[0].get_extent()[1] == 0.01


def test_curves_of_all_systems_share_the_panel_of_their_score(drawn, tmp_path):
    """Of validation all, with dots; of training the losses and totals; of a step without a value nothing."""
    train = [
        {"step": 1, "generator/total": 2.0, "generator/losses.mel": 1.0, "generator/lr": 0.1},
        {"step": 2, "generator/total": None, "generator/losses.mel": 0.5, "generator/lr": 0.1},
        {"step": 3, "generator/total": 1.0, "generator/losses.mel": 0.4, "generator/lr": 0.1},
    ]
    for name in ("one", "two"):
        (tmp_path / name / "logs").mkdir(parents=True)
        (tmp_path / name / "logs" / "train.jsonl").write_text("\n".join(map(json.dumps, train)))
    (tmp_path / "two" / "logs" / "validation.jsonl").write_text('{"step": 0, "snr": 3.0}\n{"step": 3, "snr": 4.0}\n')
    one, two = (system(name, tmp_path / name, colour) for name, colour in (("one", "#ff0000"), ("two", "#00ff00")))
    assert "<img" in curves.curves([one, two])
    shown = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["validation: snr", "generator/total", "loss: mel"]
    snr, total, _ = shown
    assert [(line.get_color(), line.get_marker()) for line in snr.lines] == [("#00ff00", "o")]
    assert [line.get_color() for line in total.lines] == ["#ff0000", "#00ff00"]
    assert total.lines[0].get_marker() == "None"
    np.testing.assert_array_equal(total.lines[0].get_xydata(), [[1, 2.0], [3, 1.0]])
    np.testing.assert_array_equal(snr.lines[0].get_xydata(), [[0, 3.0], [3, 4.0]])


# galleries --------------------------------------------------------------


class Seen:
    """A representation whose clips can be looked at."""

    def __init__(self, soundless: bool) -> None:
        self.soundless = soundless

    def picture(self, audio: np.ndarray) -> np.ndarray:
        return np.repeat(np.uint8(255 * audio[:12]).reshape(3, 4, 1), 3, 2)


class Heard:
    """A representation of sound, which says nothing of pictures."""


@pytest.mark.parametrize(("made", "looked_at"), [(Seen(True), True), (Seen(False), False), (Heard(), False)])
def test_clips_are_looked_at_where_they_make_no_sound(monkeypatch, made, looked_at):
    monkeypatch.setattr("gansemble.recipe.construct.construct", lambda part, recipe: made)
    look = walls.look_of(SimpleNamespace(single={"representation": None}))
    assert (look is not None) == looked_at
    assert walls.look_of(SimpleNamespace(single={})) is None


def test_a_page_of_clips_plays_them_or_shows_them():
    made = [("<a>", np.linspace(0, 0.9, 250)), ("b", np.linspace(0, 0.5, 500))]
    played = walls.wall("<t>", "<n>", made, SPEC)
    assert len(heard(played)) == 2 == played.count('<img alt="spectrogram of ') and "<h2>Listen</h2>" in played
    for (audio, rate), (_, wanted) in zip(heard(played), made, strict=True):
        np.testing.assert_allclose(audio, wanted, atol=1e-4)
        assert rate == 1000
    assert "<h1>&lt;t&gt;</h1><p>&lt;n&gt;</p>" in played and "<h3>&lt;a&gt;</h3>" in played and ">0.25 s<" in played
    seen = walls.wall("t", "n", made, SPEC, Seen(True).picture)
    assert (
        not heard(seen) and "<script" not in seen and seen.count("<img alt='picture ") == 2 and "<h2>Look</h2>" in seen
    )
    shown = re.findall(r"src='data:image/png;base64,([^']*)'", seen)
    assert len(set(shown)) == 2 and imread(io.BytesIO(base64.b64decode(shown[0]))).shape[:2] == (129, 172)


@pytest.mark.parametrize(
    ("shape", "times"), [((10, 20), 13), ((64, 200), 2), ((127, 300), 2), ((128, 300), 1), ((200, 129), 1)]
)
def test_a_small_picture_is_enlarged_until_its_shorter_side_has_128_pixels(shape, times):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    shown = np.uint8(np.round(255 * imread(io.BytesIO(walls.png(picture)))[..., :3]))
    np.testing.assert_array_equal(shown, picture.repeat(times, 0).repeat(times, 1))


@pytest.mark.parametrize(
    ("there", "count", "chosen"),
    [(10, 4, [0, 2, 4, 6]), (10, 3, [0, 3, 6]), (10, 10, list(range(10))), (3, 9, [0, 1, 2]), (5, 1, [0]), (5, 0, [])],
)
def test_real_clips_are_taken_at_equal_distances(there, count, chosen):
    class Clips(list):
        entries = [SimpleNamespace(id=f"clip{index}") for index in range(there)]

        def originals(self) -> Clips:
            return self

        def read(self, index: int, start: int, length: int) -> np.ndarray:
            assert (start, length) == (0, 100)
            return np.full(length, 0.1)

    text = walls.real(Clips(range(there)), count, 100, SPEC, Sounds(), Seen(True).picture)
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == [f"clip{index}" for index in chosen]
    assert text.startswith("<section><h3>real clips</h3>")


def test_a_gallery_captions_clips_with_their_label_or_pitch(monkeypatch):
    monkeypatch.setattr(walls.files, "read_mono", lambda path, rate: np.full(100, 0.1))
    made = [
        GeneratedClip(f"s{i}", 0.1, 0.1, 0, label=label, pitch=pitch)
        for i, (label, pitch) in enumerate([(None, None), (0, None), (3, 63)])
    ]
    one = replace(system("<one>"), index=SimpleNamespace(clips=made, split="validation"))
    text = walls.gallery(one, 9, SPEC, Sounds(), Seen(True).picture)
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == ["s0", "s1 · label 0", "s2 · pitch 63"]
    text = walls.gallery(one, 2, SPEC, Sounds(), Seen(True).picture)
    assert text.count("<figure ") == 2 and "</i>&lt;one&gt;: generated</h3>" in text
