"""Streams as ONNX graphs, run by ONNX Runtime without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from gansemble.errors import GansembleError
from gansemble.live.graph import streaming_graph
from gansemble.live.runner import UNKNOWN_END, GraphStream

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

LINES = {
    "hifigan": "{use: hifigan, channels: 8, upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3], dilations: [[1, 3]]}",
    "vocos": "{use: vocos, dim: 8, hidden: 16, blocks: 1}",
    "istftnet": "{use: istftnet, channels: 8, upsample_rates: [8], upsample_kernels: [16], kernels: [3], dilations: [[1]], "
    "n_fft: 32, hop: 8}",
}
UNET = "{use: inception_unet, blocks: 2, widths: [4, 4], kernels: [3, 9], dropout: 0.0}"


def mel(frames):
    return torch.randn(20, frames, generator=torch.Generator().manual_seed(0)) - 4


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    """``written(name)``: (a generator, its graph with blocks of 3 frames)."""
    made = {}

    def of(name):
        if name not in made:
            vocoder = trained(LINES[name])
            made[name] = vocoder, streaming_graph(vocoder, tmp_path_factory.mktemp("graphs") / f"{name}.onnx", block=3)
        return made[name]

    return of


def pushed(live, signal, size):
    pieces = [live.push(signal[:, place : place + size]) for place in range(0, signal.shape[1], size)]
    return np.concatenate([*pieces, live.close()], 1)


def difference(made, whole):
    assert made.shape == tuple(whole.shape)
    return float(np.abs(made - whole.numpy()).max()) / max(1.0, float(whole.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("name", LINES)
def test_a_graph_run_block_by_block_gives_the_whole(written, name):
    vocoder, path = written(name)
    live = GraphStream(path)
    for frames in (1, 3, 32):
        for size in (1, 5):
            live.reset()
            assert difference(pushed(live, mel(frames).numpy(), size), vocoder(mel(frames))) <= 1e-5


@pytest.mark.slow
def test_a_graph_restores_samples_of_any_number(trained, restorer, tmp_path):
    network = trained(UNET, restorer)
    live = GraphStream(streaming_graph(network, tmp_path / "unet.onnx", block=30))
    assert live.facts["block"] == 32 and live.facts["unit"] == 4
    noise = 0.3 * torch.randn(1, 333, generator=torch.Generator().manual_seed(3))
    assert difference(pushed(live, noise.numpy(), 50), network(noise)) <= 1e-5


@pytest.mark.slow
def test_a_graph_says_how_it_is_run(written):
    """Whoever knows the metadata alone can run it: states begin with zeros, the first samples are dropped."""
    path = written("vocos")[1]
    facts = GraphStream(path).facts
    model = onnx.load(str(path))
    assert [one.name for one in model.graph.input] == [
        "frames",
        "position",
        "end",
        *(s["input"] for s in facts["states"]),
    ]
    assert [one.name for one in model.graph.output][:2] == ["samples", "next_position"]
    assert facts["rows"] == {"mel": 20} and facts["hop"] == 64 and facts["audio"]["sample_rate"] == 16000
    # Three frames for each of the two convolutions, and the overlap of frames of 256 samples.
    assert facts["delay"] == 6 * 64 + 96 and facts["unknown_end"] == UNKNOWN_END
    assert facts["latency_seconds"] == pytest.approx(0.012 + facts["delay"] / 16000)


@pytest.mark.slow
def test_a_graph_is_run_without_torch(written):
    _, path = written("vocos")
    code = (
        "import sys, numpy\nfrom gansemble.live.runner import GraphStream\n"
        f"made = GraphStream({str(path)!r}).push(numpy.zeros((20, 30), 'float32'))\n"
        "assert made.shape == (1, 30 * 64 - 480), made.shape\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (
            np.zeros((19, 2), np.float32),
            r"expected frames \[20, L\] of floating-point numbers, got \[19, 2\] of float32",
        ),
        (np.zeros((20, 2), np.int16), "got .* of int16"),
        (np.full((20, 2), np.nan, np.float32), "hold NaN or Inf"),
    ],
)
def test_frames_of_another_kind_are_refused(written, frames, words):
    live = GraphStream(written("vocos")[1])
    with pytest.raises(GansembleError, match=words):
        live.push(frames)
    assert live.close().shape == (1, 0)
    with pytest.raises(GansembleError, match="closed"):
        live.push(mel(1).numpy())


@pytest.mark.slow
def test_a_file_that_is_there_is_kept(written):
    vocoder, path = written("vocos")
    with pytest.raises(GansembleError, match="is there already; give another name, or overwrite=True"):
        streaming_graph(vocoder, path)


def test_a_generator_with_an_unknown_operation_is_no_graph_and_the_operation_is_named(trained, tmp_path):
    with pytest.raises(
        GansembleError, match=r"cannot be made a streaming graph, as there is no rule for .* as_strided"
    ):
        streaming_graph(trained("{use: griffin_lim, rounds: 1}"), tmp_path / "no.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("opset", [11, 17, 24])
def test_an_opset_that_cannot_be_written_is_refused(tmp_path, opset):
    with pytest.raises(GansembleError, match=rf"--opset {opset}: .*the least that works is 18 .*the newest 23"):
        streaming_graph(tmp_path, tmp_path / "no.onnx", opset=opset)


def test_a_graph_that_differs_from_the_stream_is_not_written(written, tmp_path, monkeypatch):
    vocoder, _ = written("hifigan")
    push = GraphStream.push
    monkeypatch.setattr(GraphStream, "push", lambda self, frames: push(self, frames) + np.float32(2e-4))
    with pytest.raises(GansembleError, match=r"the streaming graph differs from the stream by 0\.0002"):
        streaming_graph(vocoder, tmp_path / "off.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_kind_is_no_streaming_graph(tmp_path):
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(GansembleError, match=r"text.onnx: cannot be read as an ONNX file"):
        GraphStream(tmp_path / "text.onnx")
    sides = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    other = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "other", sides[:1], sides[1:])
    model = onnx.helper.make_model(other, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)])
    onnx.save(model, str(tmp_path / "other.onnx"))
    with pytest.raises(GansembleError, match=r"other.onnx: is no streaming graph"):
        GraphStream(tmp_path / "other.onnx")
