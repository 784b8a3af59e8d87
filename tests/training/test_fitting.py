"""What is measured of a corpus: of the audio that is packed now, cut as training cuts it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from gansemble.data import prepare
from gansemble.data.labels import LabelledClips
from gansemble.data.packed import Packed
from gansemble.evaluation.generation import real_sets
from gansemble.parts.build import build
from gansemble.recipe import check
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe
from gansemble.scoring.fitting import fit
from gansemble.stages import Project
from gansemble.training.validation import Validator

CONF = """
audio: {sample_rate: 8000, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.3}
data: {normalise: null, short: pad}
representation: {use: log_spectrogram}
generator: {use: specgan, dim: 2}
discriminators: {critic: {use: specgan, dim: 2}}
objective: {use: wgan}
metrics: {ndb: {use: ndb, cells: 2}}
plan: {steps: 4, batch_size: 4, segment: 16384, generator_every: 2, fresh_fake: true, save_every: 4}
validation: {every: 4, clips: 3, audio: 2, metrics: [ndb], best: ndb}
optimisers: {generator: {use: adam}, discriminators: {use: adam}}
"""
LENGTH = 16384


class Place:
    """Noises of a second and more, packed anew at each change."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.dump = folder, folder / "dump"
        (folder / "data").mkdir()
        (folder / "r.yaml").write_text(CONF)

    def pack(self, gain: float, seconds: float = 2.1, count: int = 6, *sets: str) -> Recipe:
        recipe = check.load(self.folder / "r.yaml", sets)
        for index in range(count):
            noise = np.random.default_rng(index).uniform(-1, 1, round(8000 * seconds))
            soundfile.write(self.folder / "data" / f"{index}.wav", gain * noise, 8000)
        prepare.prepare(recipe, self.folder / "data", self.dump, 1, lambda line: None)
        return recipe

    def mean(self, recipe: Recipe, anew: bool = False) -> float:
        path = fit(construct(recipe.single["representation"], recipe), recipe, self.dump, anew)
        assert path is not None
        return float(torch.load(path, weights_only=True)["mean"].mean())

    def clips(self, recipe: Recipe, split: str = "train") -> LabelledClips:
        return LabelledClips.of(recipe, Packed(self.dump, split))


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def test_statistics_are_those_of_the_audio_that_is_packed_now(place):
    """Sixty times as loud is ln 60 more in log magnitude, whatever was measured before."""
    quiet = place.mean(place.pack(0.01))
    loud = place.mean(place.pack(0.6))
    assert loud - quiet == pytest.approx(np.log(60), abs=0.1)
    assert place.mean(place.pack(0.01)) == quiet


def test_statistics_are_measured_anew_when_that_is_asked_for(place):
    recipe = place.pack(0.1)
    path = fit(construct(recipe.single["representation"], recipe), recipe, place.dump)
    assert path is not None
    kept = torch.load(path, weights_only=True)
    torch.save({**kept, "mean": kept["mean"] + 1}, path)
    spoilt = place.mean(recipe)
    assert place.mean(recipe, anew=True) == pytest.approx(spoilt - 1, abs=1e-5) == place.mean(recipe)


def test_long_clips_count_with_every_whole_segment_where_crops_begin_anywhere(place):
    """And with their start alone where crops begin there, as training does; names tell segments apart."""
    anywhere = place.clips(place.pack(0.1, 7.0))  # 56,000 samples: three segments and a rest
    names = sorted({entry.id for entry in anywhere.packed.entries})
    assert len(anywhere) == 3 * len(names)
    assert anywhere.name(0) == names[0] and anywhere.name(1) == f"{names[0]} at 2.0 s"
    assert np.array_equal(anywhere.audio(2), anywhere.packed.read(0, 2 * LENGTH, LENGTH))
    start = place.clips(place.pack(0.1, 7.0, 6, "plan.crop=start"))
    assert len(start) == len(names) and np.array_equal(start.audio(1), start.packed.read(1, 0, LENGTH))
    assert start.identity() != anywhere.identity()


def test_a_clip_shorter_than_a_segment_is_padded(place):
    clips = place.clips(place.pack(0.5, 1.0))
    assert len(clips) == len(clips.packed) and np.abs(clips.audio(0)[8000:]).max() == 0 < np.abs(clips.audio(0)).max()


def test_what_is_measured_follows_the_crops(place):
    """Loud starts and quiet rests: the mean of starts alone is above that of all segments."""
    sets = ("plan.crop=start",)
    recipe = place.pack(0.5, 7.0)
    for path in (place.folder / "data").glob("*.wav"):
        audio, rate = soundfile.read(path)
        audio[LENGTH:] *= 1e-2
        soundfile.write(path, audio, rate)
    prepare.prepare(recipe, place.folder / "data", place.dump, 1, lambda line: None)
    whole, starts = place.mean(recipe), place.mean(check.load(place.folder / "r.yaml", sets))
    assert starts - whole == pytest.approx(np.log(100) * 2 / 3, abs=0.3)


def test_real_sets_are_cut_as_the_training_clips(place):
    recipe = place.pack(0.1, 7.0)
    project = Project.of(place.folder / "r.yaml", (), place.folder / "exp", place.folder / "data", place.dump)
    sets = real_sets(project, recipe, SimpleNamespace(split="validation", trained_on=()), 4, print)
    assert len(sets["training clips"].clips) == 4
    assert len(sets["validation clips"].clips) == 3 * len(Packed(place.dump, "validation"))


def test_validation_hears_what_a_file_would_hold(place, monkeypatch):
    """Samples beyond full scale are clipped before they are scored, as stage 5 reads them from files."""
    heard: list[Any] = []
    recipe = place.pack(0.1)
    parts = build(recipe, torch.device("cpu"))
    fit(parts.representation, recipe, place.dump)
    validator = Validator(recipe, parts, place.dump)
    monkeypatch.setattr(type(parts.representation), "decode", lambda self, x: torch.full((1, 1, LENGTH), 3.0))
    metric = validator.metrics[0][1]
    monkeypatch.setattr(metric, "score_set", lambda made, *rest: heard.append(np.stack(made)) or {})
    told: list[Any] = []
    monkeypatch.setattr(
        "gansemble.scoring.naming.set_scores",
        lambda part, metric, *given: told.append(given) or metric.score_set(*given),
    )
    _, audio = validator.local(parts.generator, torch.device("cpu"))
    _, references, _, labels, reference_labels = told[0]
    assert len(labels) == 3 and len(reference_labels) == len(references) == len(validator.held_out)
    assert reference_labels == [validator.held_out.label(index) for index in range(len(references))]
    assert heard[0].shape == (3, LENGTH) and heard[0].max() == 1.0 == max(made.max() for _, made in audio.values())
