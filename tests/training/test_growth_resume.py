"""A run that grows, stopped while a block is blended in or where a stage ends, ends as the run that never was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from gansemble.inference.loading import load
from gansemble.parts.build import Parts
from gansemble.training.schedule import TrainingSchedule
from gansemble_plugins.gansynth.growth import Growth

RECIPE = """
name: growing
audio: {sample_rate: 16000, n_fft: 1024, hop: 256, window: 1024, mels: 80, fmin: 0, fmax: null}
corpus: {use: nsynth, split: original, pitches: [60, 63]}
data: {normalise: null}
representation: {use: mel_instantaneous_frequency}
generator: {use: gansynth, blocks: 3, fmap_base: 32, fmap_max: 4, latent: 8, pitches: [60, 63]}
discriminators:
  critic: {use: gansynth, blocks: 3, fmap_base: 32, fmap_max: 4, pitches: [60, 63]}
objective: {use: wgan}
regularisers:
  gradient_penalty: {use: gradient_penalty, weight: 10}
  drift: {use: drift, weight: 0.001}
  pitch: {use: auxiliary_classifier, weight: 10}
plan:
  steps: 16
  segment: 256
  fresh_fake: true
  ema: 0.9
  save_every: 1000
  phases:
    - {steps: 3, batch_size: 8, progress: [0.0, 0.0], fresh_optimisers: true}
    - {steps: 4, batch_size: 6, progress: [0.0, 1.0], fresh_optimisers: true}
    - {steps: 2, batch_size: 6, progress: [1.0, 1.0], fresh_optimisers: true}
    - {steps: 4, batch_size: 4, progress: [1.0, 2.0], fresh_optimisers: true}
    - {steps: 3, batch_size: 4, progress: [2.0, 2.0], fresh_optimisers: true}
validation: {every: 1000, clips: 1, audio: 0, metrics: []}
optimisers:
  generator: {use: adam, lr: 1e-2, betas: [0.0, 0.99]}
  discriminators: {use: adam, lr: 1e-2, betas: [0.0, 0.99]}
"""
#: Training clips, so many that no batch size divides them, and validation clips.
NOTES = {"train": 11, "valid": 1}
GROWTH = ("generator/growth.reached", "ema/growth.reached", "discriminators/parts.critic.growth.reached")


@pytest.fixture(scope="module")
def growing(workshop, tmp_path_factory) -> Any:
    """A workshop of notes of four pitches and a recipe of five stages."""
    place = type(workshop)(tmp_path_factory.mktemp("growing"))
    place.recipe.write_text(RECIPE)
    source = np.random.default_rng(0)
    for part, count in NOTES.items():
        folder = place.folder / "corpus" / f"nsynth-{part}"
        (folder / "audio").mkdir(parents=True)
        listed = {}
        for number in range(count):
            pitch, name = 60 + number % 4, f"{part}{number}"
            time = np.arange(600 + number) / 16000
            tone = 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) * np.exp(-20 * time)
            audio = tone + 0.01 * source.standard_normal(len(time))
            soundfile.write(folder / "audio" / f"{name}.wav", audio, 16000)
            listed[name] = {"pitch": pitch, "velocity": 100, "instrument_source": 0}
        (folder / "examples.json").write_text(json.dumps(listed))
    for name in ("fetch", "prepare"):
        result = place.stage(name, place.folder / "exp", options=("--jobs", "1") if name == "prepare" else ())
        assert result.exit_code == 0, result.output
    return place


@pytest.fixture(scope="module")
def uninterrupted(growing, tmp_path_factory) -> Path:
    """The last checkpoint of the run that is not stopped."""
    torch.set_num_threads(1)
    return growing.train(tmp_path_factory.mktemp("uninterrupted")).components.store.folders()[-1]


@pytest.fixture(scope="module")
def halted(growing, tools, tmp_path_factory) -> Path:
    """The experiment of a run that is stopped behind step 5, half-way through the second block's transition."""
    torch.set_num_threads(1)
    exp = tmp_path_factory.mktemp("halted")
    leaves = tools.contents(growing.train(exp, stop_after=5).components.store.folders()[-1])
    assert [float(leaves[name]) for name in GROWTH] == [
        0.25
    ] * 3  # growth at the fifth step, the stage's second of four
    return exp


@pytest.mark.slow
def test_the_run_exercises_what_has_to_be_resumed(growing, uninterrupted, tools):
    """It ends grown, with an average of its own, in its third epoch, and with optimisers of the last stage's steps."""
    leaves = tools.contents(uninterrupted)
    assert leaves["state/counters/step"] == 16 and [float(leaves[name]) for name in GROWTH] == [2] * 3
    names = [name for name in leaves if name.startswith("generator/blocks")]
    assert not all(torch.equal(leaves[name], leaves[name.replace("generator/", "ema/", 1)]) for name in names)
    for side in ("generator", "discriminators"):
        counts = {
            float(leaf) for name, leaf in leaves.items() if name.startswith(f"optimiser-{side}") and "/step" in name
        }
        assert counts == {3.0}
    schedule = TrainingSchedule(growing.load().plan, NOTES["train"])
    assert [schedule.position(step) for step in (3, 7, 9, 13, 16)] == [24, 48, 60, 76, 88]
    assert [schedule.progress(step) for step in (2, 3, 5, 6, 7, 9, 11, 13)] == [0, 0, 0.5, 0.75, 1, 1, 1.5, 2]


@pytest.mark.slow
@pytest.mark.parametrize("stops", [(5,), (11,), (3, 4, 2), (2, 2, 6)], ids=lambda stops: "-".join(map(str, stops)))
def test_stopped_and_resumed_equals_uninterrupted(growing, uninterrupted, tools, tmp_path, stops):
    """Weights, average, optimisers, growth, counters and random states, bit for bit: stopped within either transition,
    or at and beside the borders, where optimisers begin anew and batches become smaller."""
    for count in stops:
        growing.train(tmp_path, stop_after=count)
    last = growing.train(tmp_path).components.store.folders()[-1]
    ours, theirs = tools.contents(last), tools.contents(uninterrupted)
    assert set(GROWTH) < set(ours) and tools.differences(ours, theirs) == []
    states = [tools.flatten(torch.load(folder / "rng-0.pt", weights_only=True)) for folder in (last, uninterrupted)]
    assert tools.differences(*states) == []


def test_a_stopped_run_is_restored_as_grown_as_it_was(growing, halted, tmp_path):
    """Networks and average know their progress from the checkpoint alone, before a step sets it."""
    shutil.copytree(halted, tmp_path / "exp")
    trainer = growing.trainer(tmp_path / "exp")
    assert trainer.components.parts.generator.growth.progress == 2
    trainer.counters = trainer.saver.restore(trainer.saver.newest())
    found = (
        trainer.components.parts.generator,
        trainer.components.parts.discriminators.parts["critic"],
        trainer.components.generator,
    )
    assert trainer.counters.step == 5 and [network.growth.progress for network in found] == [0.25] * 3


def test_no_checkpoint_is_the_best_before_the_networks_are_grown(growing, tmp_path):
    """Scores of smaller networks are of others; and a checkpoint of them is loaded with a warning, as grown as it was."""
    trainer = growing.trainer(tmp_path)
    trainer.components.validator.higher_is_better = False
    for step in range(1, 17):
        trainer.counters.step = step
        trainer._rank(float(step))
    assert [int(name[-8:]) for name in trainer.counters.best] == [14]

    said: list[str] = []
    growing.train(tmp_path, stop_after=5)
    sampler = load(tmp_path, warn=said.append)
    assert (sampler.generator.growth.progress, sampler.representation.images.progress) == (0.25, 0.25)
    assert "the networks were not grown yet at step 5" in said[0] and len(said) == 1
    growing.train(tmp_path)
    assert load(tmp_path, warn=said.append).generator.growth.progress == 2 and len(said) == 1


def one_phase_off(patch: pytest.MonkeyPatch) -> None:
    """Growth is that of the stage behind the right one."""
    right = TrainingSchedule.progress
    patch.setattr(TrainingSchedule, "progress", lambda self, step: right(self, step + 4))


def growth_dropped(patch: pytest.MonkeyPatch) -> None:
    """Neither the checkpoint nor the schedule says how far the networks have grown: they are of full size."""
    patch.setattr(Growth, "_load_from_state_dict", lambda self, *arguments: None)
    patch.setattr(Parts, "growable", lambda self: [])


def one_step_behind(patch: pytest.MonkeyPatch) -> None:
    """Growth goes on from where it was, not from where it is to be."""
    right = TrainingSchedule.progress
    patch.setattr(TrainingSchedule, "progress", lambda self, step: right(self, step - 1))


def optimisers_kept(patch: pytest.MonkeyPatch) -> None:
    """No later stage begins with fresh optimisers."""
    patch.setattr(TrainingSchedule, "freshens", lambda self, step: False)


def batches_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Clips used so far are counted as if all stages had the present batch size."""
    patch.setattr(TrainingSchedule, "position", lambda self, step: step * self.batch_size(step))


@pytest.mark.parametrize("fault", [one_phase_off, one_step_behind, growth_dropped, optimisers_kept, batches_forgotten])
def test_a_run_resumed_wrongly_is_seen_to_differ(growing, halted, uninterrupted, tools, tmp_path, monkeypatch, fault):
    """The comparison is none that cannot fail: both networks and the average differ in the end, though growth may not."""
    shutil.copytree(halted, tmp_path / "exp")
    with monkeypatch.context() as patch:
        fault(patch)
        last = growing.train(tmp_path / "exp").components.store.folders()[-1]
    found = tools.differences(tools.contents(last), tools.contents(uninterrupted))
    for side in ("generator/blocks", "ema/blocks", "discriminators/parts.critic.blocks", "optimiser-generator"):
        assert any(name.startswith(side) for name in found), f"{side} is the uninterrupted run's"


@pytest.mark.parametrize("name", GROWTH)
def test_growth_alone_is_seen_to_differ(uninterrupted, tools, name):
    """A buffer that is off by the least it can be."""
    right, wrong = tools.contents(uninterrupted), tools.contents(uninterrupted)
    wrong[name] = torch.nextafter(wrong[name], torch.tensor(0.0))
    assert tools.differences(wrong, right) == [name]
