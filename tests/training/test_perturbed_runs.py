"""Runs on perturbed crops: resumed exactly, the same with loading processes, another training than without."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gansemble.errors import CheckpointError, TrainingError
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
