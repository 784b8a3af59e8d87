"""Runs on perturbed crops: resumed exactly, the same with loading processes, another training than without."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path

import pytest
import torch

from gansemble.errors import CheckpointError, DataError, TrainingError
from gansemble.inference.loading import load

SETS = (
    "plan.steps=6",
    "plan.save_every=2",
    "perturbations={speed: {use: speed, probability: 0.7}, eq: {use: random_filter}, hiss: {use: additive_noise}}",
)


@pytest.fixture(scope="module")
def perturbed(workshop, tmp_path_factory) -> Path:
    """The last checkpoint of a perturbed run, never interrupted."""
    torch.set_num_threads(1)
    return workshop.train(tmp_path_factory.mktemp("perturbed"), *SETS).components.store.folders()[-1]


@pytest.mark.slow
def test_perturbed_crops_teach_something_else(workshop, perturbed, tools, tmp_path):
    plain = workshop.train(tmp_path, "plan.steps=6", "plan.save_every=2").components.store.folders()[-1]
    found = tools.differences(tools.contents(plain), tools.contents(perturbed))
    assert any(name.startswith("generator/") for name in found)


@pytest.mark.slow
def test_stopped_and_resumed_with_loading_processes_equals_straight(workshop, perturbed, tools, tmp_path):
    workshop.train(tmp_path, *SETS, "plan.workers=2", stop_after=3)
    last = workshop.train(tmp_path, *SETS).components.store.folders()[-1]
    assert tools.differences(tools.contents(last), tools.contents(perturbed)) == []


@pytest.mark.slow
def test_other_perturbations_are_another_training(workshop, tmp_path):
    """Another order too; and what was trained is loaded and validated without any."""
    workshop.train(tmp_path, *SETS, stop_after=3)
    turned = (
        "perturbations={eq: {use: random_filter}, speed: {use: speed, probability: 0.7}, hiss: {use: additive_noise}}"
    )
    for other, told in ((turned, "perturbations: "), ("perturbations=null", "perturbations.speed.use")):
        with pytest.raises((TrainingError, CheckpointError), match="allow-change") as caught:
            workshop.train(tmp_path, SETS[0], SETS[1], other)
        assert told in str(caught.value)
    workshop.train(tmp_path, SETS[0], SETS[1], turned, allow_change=True)
    assert load(tmp_path, "last").step == 6


def test_validation_reads_clips_as_they_are_recorded(workshop, tmp_path):
    """With perturbations that no clip could survive."""
    scores = []
    for number, sets in enumerate(((), ("perturbations={loud: {use: random_gain, gain: [60, 60]}}",))):
        trainer = workshop.trainer(tmp_path / str(number), *sets)
        run = trainer.components
        scores.append(run.validator.local(run.generator, run.device)[0])
    assert scores[0] == scores[1] and scores[0]


TOO_LOUD = ", ".join(f"p{number}: {{use: random_gain, gain: [120, 120]}}" for number in range(7))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_perturbation_that_fails_stops_the_run_in_the_same_words(workshop, tmp_path, workers):
    """And leaves no loading process behind, for which Python would wait for ever."""
    with pytest.raises(DataError) as caught:
        workshop.train(tmp_path, f"plan.workers={workers}", f"perturbations={{{TOO_LOUD}}}")
    told = r"perturbations\.p6 \(RandomGain\), at clip clip\d in epoch 0, makes NaN or Inf; change its parameters, or take it out"
    assert re.fullmatch(told, str(caught.value))
    assert multiprocessing.active_children() == []
