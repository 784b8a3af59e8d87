"""Which checkpoint of an experiment is loaded, and what of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gansemble.errors import CheckpointError
from gansemble.inference import loading
from gansemble.parts.build import Waveform, generator
from gansemble.recipe import check
from gansemble.training import checkpoint

RECIPE = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
generator: {use: vocos, dim: 4, hidden: 4, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 9, batch_size: 2, segment: 1024}
optimisers: {generator: {use: adamw}}
"""


class Experiment:
    """An experiment to which checkpoints are added, whose weights are all of one value."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "recipe.yaml").write_text(RECIPE)
        self.store = checkpoint.Store(folder / "checkpoints", keep=9)

    def add(
        self,
        step: int,
        weight: float,
        average: float | None = None,
        state: Mapping[str, object] | None = None,
        text: str = RECIPE,
        **facts: Any,
    ) -> Path:
        folder = self.store.begin(step)
        (folder / "recipe.yaml").write_text(text)
        network = generator(check.load(folder / "recipe.yaml"))
        for name, value in (("generator", weight), ("ema", average)):
            if value is not None:
                full = {key: torch.full_like(tensor, value) for key, tensor in network.state_dict().items()}
                checkpoint.save_network(folder / f"{name}.safetensors", full)
        if state is not None:
            torch.save({"parts": dict(state)}, folder / "state.pt")
        return self.store.commit(folder, step, facts, set())

    def load(self, *arguments: Any, **options: Any) -> tuple[int, float, loading.TrainedGenerator]:
        """Step and weight of what is loaded, and that."""
        found = loading.load(self.folder, *arguments, **{"device": "cpu"} | options)
        return found.step, float(found.generator.head.bias[0].detach()), found  # type: ignore[union-attr, index]


@pytest.fixture
def exp(tmp_path) -> Experiment:
    return Experiment(tmp_path)


def test_a_generator_comes_with_what_its_checkpoint_tells(exp):
    data = [{"from_step": 0, "key": "k", "splits": {}}]
    folder = exp.add(3, 1.0, data=data, classes=["a", "b"])
    step, weight, found = exp.load()
    assert (step, weight) == (3, 1.0)
    assert (found.source, found.history, found.names, found.grown) == (folder, data, ["a", "b"], True)
    assert isinstance(found.representation, Waveform) and found.recipe.name == "tiny"
    assert not found.generator.training and not any(each.requires_grad for each in found.generator.parameters())
    assert found.device == torch.device("cpu")


def test_a_checkpoint_that_tells_nothing_has_no_history_and_no_names(exp):
    for facts in ({}, {"data": None, "classes": None}):
        exp.add(3, 1.0, **facts)
        found = exp.load()[2]
        assert (found.history, found.names) == ((), ())


def test_the_best_checkpoint_is_taken_where_it_is_there_and_else_the_newest(exp):
    exp.add(1, 1.0)
    exp.add(2, 2.0)
    exp.add(3, 3.0, best={"step-00000009": 0.1, "step-00000001": 0.2, "step-00000002": 0.3})
    assert exp.load()[:2] == exp.load("best")[:2] == (1, 1.0)
    assert exp.load("last")[:2] == (3, 3.0)
    exp.add(4, 4.0)
    assert exp.load()[:2] == (4, 4.0)


def test_a_moving_average_is_taken_where_there_is_one(exp):
    exp.add(1, 1.0, average=7.0)
    assert exp.load()[:2] == (1, 7.0)


def test_a_damaged_checkpoint_is_passed_over_and_told(exp):
    exp.add(1, 1.0)
    (exp.add(2, 2.0) / "generator.safetensors").write_bytes(b"x")
    said: list[str] = []
    assert exp.load("last", warn=said.append)[:2] == (1, 1.0)
    assert len(said) == 1 and "falling back to the checkpoint before it" in said[0]
    assert exp.load("last")[:2] == (1, 1.0)


def test_a_best_checkpoint_that_is_damaged_is_an_error(exp):
    folder = exp.add(1, 1.0)
    exp.add(2, 2.0, best={"step-00000001": 0.5})
    (folder / "generator.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"expected \d+ bytes, got 1"):
        exp.load()


class Scale(nn.Module):
    """A representation with one number of the training split."""

    def __init__(self, fitted: bool) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(1))
        self.fitted = fitted

    def fit(self, audio: object) -> None: ...


@pytest.fixture
def represented(exp, monkeypatch) -> Any:
    """``represented(fitted, state)``: the representation of what is loaded."""

    def load(fitted: bool, state: Mapping[str, object] | None) -> Scale:
        monkeypatch.setattr(loading, "construct", lambda part, recipe: Scale(fitted))
        exp.add(1, 1.0, state=state, text=RECIPE + "representation: {use: waveform}\n")
        return exp.load()[2].representation  # type: ignore[return-value]

    return load


def test_a_representation_has_the_statistics_of_its_checkpoint(represented):
    assert float(represented(False, {"representation": {"scale": torch.tensor([5.0])}}).scale) == 5.0
    assert float(represented(True, {}).scale) == float(represented(True, None).scale) == 1.0


@pytest.mark.parametrize("state", [None, {}])
def test_a_representation_without_its_statistics_is_an_error(represented, state):
    with pytest.raises(CheckpointError, match=r"step-00000001: holds no statistics of its representation; train it"):
        represented(False, state)


def test_networks_that_were_not_grown_are_told(exp, monkeypatch):
    """They are grown to the step of the checkpoint, and so is the representation."""
    asked: list[tuple[list[object], int]] = []

    def grow(parts: list[object], recipe: object, step: int) -> bool:
        asked.append((parts, step))
        return False

    monkeypatch.setattr(loading, "grow", grow)
    folder, said = exp.add(4, 1.0), []
    found = exp.load(warn=said.append)[2]
    assert not found.grown and asked == [([found.generator, found.representation], 4)]
    assert said == [f"{folder}: the networks were not grown yet at step 4, so resolutions are missing"]
    assert not exp.load()[2].grown
    monkeypatch.setattr(loading, "grow", lambda *of: True)
    exp.load(warn=said.append)
    assert len(said) == 1


def test_the_device_is_that_of_the_machine_unless_told(exp, monkeypatch):
    """The generator's weights and the representation are put there."""
    exp.add(1, 1.0)
    moved: list[object] = []
    monkeypatch.setattr(loading, "default_device", lambda: torch.device("meta"))
    monkeypatch.setattr(loading, "_representation", lambda *of: Moved(moved))
    assert (
        loading.load(exp.folder).device.type == "meta" and loading.load(exp.folder, device="cpu").device.type == "cpu"
    )
    assert [str(each) for each in moved] == ["meta", "cpu"]


class Moved(nn.Module):
    """Notes where it is put."""

    def __init__(self, places: list[object]) -> None:
        super().__init__()
        self.places = places

    def to(self, place: object) -> Moved:  # type: ignore[override]
        self.places.append(place)
        return self


@pytest.mark.parametrize("average", [None, float("inf")])
def test_weights_that_are_not_finite_are_refused(exp, average):
    folder = exp.add(1, float("nan") if average is None else 1.0, average=average)
    name = "generator" if average is None else "ema"
    with pytest.raises(CheckpointError, match=rf"{folder}/{name}\.safetensors: \d+ of \d+ tensors hold NaN or Inf"):
        exp.load()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"step": "3"}, r"damaged \(.*'step'"),
        ({"step": -1}, r"damaged \(step\)"),
        ({"best": {"../../other": 1.0}}, r"damaged \(best\.\.\./\.\./other\)"),
        ({"best": [1]}, r"damaged \(.*'best'"),
        ({"files": {"a": 3}}, r"damaged \(.*'files'"),
        ({"files": {"../a": {"bytes": 1, "sha256": ""}}}, r"damaged \(files\.\.\./a\)"),
        ({"files": None}, r"damaged \(.*'files'"),
        ({"data": {}}, r"damaged \(.*'data'"),
        ({"classes": 3}, r"damaged \(.*'classes'"),
    ],
)
def test_a_manifest_that_is_none_is_told(exp, change, told):
    path = exp.add(1, 1.0) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    said: list[str] = []
    with pytest.raises(CheckpointError, match="no checkpoint here is sound"):
        exp.load(warn=said.append)
    assert len(said) == 1 and re.search(rf"manifest\.json: {told}", said[0])


def test_a_folder_beside_the_checkpoints_is_none(exp):
    folder = exp.add(1, 1.0)
    folder.with_name("step-00000009 (copy)").mkdir()
    folder.with_name("step-").mkdir()
    assert exp.load()[0] == 1
