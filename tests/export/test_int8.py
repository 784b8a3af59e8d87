"""Exports in 8 bits: smaller, near what float32 makes, with the loss told; refused where it cannot be fitted or measured."""

from __future__ import annotations

import json
from pathlib import Path

import exported_experiments as experiments
import numpy as np
import pytest
import soundfile
import torch

import gansemble
from gansemble.errors import GansembleError
from gansemble.exporting import int8
from gansemble.exporting.graph import NotExportable

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """An experiment of a vocoder, and three recordings."""
    folder = tmp_path_factory.mktemp("int8")
    experiments.make(folder / "exp")
    rate = gansemble.load(folder / "exp", device="cpu").spec.sample_rate
    time = np.arange(rate) / rate
    for number in range(3):
        tone = 0.2 * np.sin(2 * np.pi * (200 + 90 * number) * time) + 0.01 * np.random.default_rng(number).normal(
            size=rate
        )
        soundfile.write(folder / f"tone{number}.wav", tone, rate)
    return folder


def recordings(place: Path) -> list[Path]:
    return sorted(place.glob("tone*.wav"))


@pytest.mark.slow
def test_it_is_smaller_near_and_says_what_it_lost(place, tmp_path, capfd):
    whole = gansemble.export(place / "exp", tmp_path / "whole.onnx")
    small = gansemble.export(place / "exp", tmp_path / "small.onnx", int8=recordings(place))
    assert capfd.readouterr() == ("", "")
    told = small.facts["int8"]
    assert told["recordings"] == 1 and 0 < told["spectral_difference"] < 0.5 and told["decibels"] > 5
    assert small.comparison.startswith("int8 differs from float32 by ") and "listen before" in small.comparison
    assert "int8" not in whole.facts
    (entry,) = [each for each in onnx.load(small.path).metadata_props if each.key == "gansemble"]
    assert json.loads(entry.value)["int8"] == told
    kinds = {each.data_type for each in onnx.load(small.path).graph.initializer if len(each.dims) == 3}
    assert onnx.TensorProto.INT8 in kinds

    mel = gansemble.load(place / "exp", device="cpu").read(recordings(place)[2]).numpy()
    made = [onnxruntime.InferenceSession(str(each.path)).run(None, {"mel": mel})[0] for each in (whole, small)]
    error = np.square(made[0] - made[1]).sum() / np.square(made[0]).sum()
    assert 10 * np.log10(1 / error) == pytest.approx(told["decibels"], abs=0.01), (
        "of the recording that was not fitted to"
    )


def test_only_learnt_weights_are_rounded():
    network = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 5), torch.nn.Linear(4, 6))
    known = {data for each in network.parameters() if each.dim() > 1 for data in int8._layouts(each)}
    numpy_helper = onnx.numpy_helper
    weights = {
        "kernel": network[0].weight.detach().numpy(),
        "turned": network[1].weight.detach().numpy().T.copy(),
        "window": np.hanning(8).astype(np.float32).reshape(2, 4),
    }
    nodes = [
        onnx.helper.make_node("Conv", ["x", "kernel"], ["a"], name="conv"),
        onnx.helper.make_node("MatMul", ["a", "turned"], ["b"], name="linear"),
        onnx.helper.make_node("MatMul", ["b", "window"], ["c"], name="transform"),
        onnx.helper.make_node("Add", ["c", "turned"], ["d"], name="sum"),
    ]
    initial = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], initial))
    assert int8._learnt(model, known) == ["conv", "linear"]


def test_the_loss_is_that_of_both_files(monkeypatch):
    spec = gansemble.audio.spec.AudioSpec()
    noise = 0.1 * np.random.default_rng(0).normal(size=(1, 1, 8192)).astype(np.float32)
    monkeypatch.setattr(int8.parity, "onnx_run", lambda content: lambda arrays: arrays[0] * float(content))
    found = int8.loss(b"1.0", b"0.5", [{"mel": noise}, {"mel": 2 * noise}], spec)
    assert found.recordings == 2 and found.decibels == pytest.approx(20 * np.log10(2))
    assert found.spectral_difference == pytest.approx(np.log(2), rel=1e-3)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"int8": []}, "none were given"),
        ({"int8": ["missing.wav"]}, "missing.wav"),
        ({"int8": ["missing.wav"], "format": "torchscript"}, "goes with the format onnx"),
    ],
)
def test_what_it_cannot_be_fitted_to_is_told(place, tmp_path, given, told):
    with pytest.raises(GansembleError, match=told):
        gansemble.export(place / "exp", tmp_path / "file.onnx", **given)
    assert not list(tmp_path.iterdir())


def test_generators_that_read_no_recordings_are_refused(place):
    inputs = int8.Inputs.of(
        gansemble.contract.GeneratorContract(reads=frozenset({"latent"}), latent=8), gansemble.audio.spec.AudioSpec()
    )
    with pytest.raises(NotExportable, match="int8 is fitted to recordings, and it reads latent"):
        int8.feeds(gansemble.load(place / "exp", device="cpu"), inputs, recordings(place), "it")
