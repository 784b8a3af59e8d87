"""Streams on one thread at blocks of about 20 ms: layer by layer, as an ONNX graph, by exact overlap, and the whole at once."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.timing import line
from gansemble.contract import DEGRADED
from gansemble.inference.loading import fold
from gansemble.inference.streaming import bounds
from gansemble.inference.trained import TrainedGenerator
from gansemble.live.engines import ByOverlap
from gansemble.live.graph import graph_of
from gansemble.live.reading import read_by
from gansemble.live.runner import GraphStream
from gansemble.live.stream import Stream, stream
from gansemble.parts.build import Waveform, generator
from gansemble.recipe import check

EGS = Path(__file__).resolve().parent.parent / "egs"
RECIPES = {
    "HiFi-GAN V1": ("ljspeech/hifigan/conf/v1", {}),
    "HiFi-GAN V3": ("ljspeech/hifigan/conf/v3", {}),
    "HiFi-GAN V3, causal": ("ljspeech/hifigan/conf/v3", {"generator.causal": "true"}),
    "Vocos, 24 kHz": ("folder/vocos/conf/24k", {}),
    "Vocos, 24 kHz, causal": ("folder/vocos/conf/24k", {"generator.causal": "true"}),
    "inception_unet, 44.1 kHz": ("musdb18/superres/conf/v1", {}),
}
SECONDS = 1.0


def untrained(name: str) -> TrainedGenerator:
    """A recipe's generator with random weights, ready for use."""
    path, changes = RECIPES[name]
    recipe = check.load(EGS / f"{path}.yaml", [f"{key}={value}" for key, value in changes.items()])
    torch.manual_seed(0)
    network = fold(generator(recipe)).eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.05)  # what begins at zero would hide a difference
    return TrainedGenerator(network, Waveform(), recipe, 0, Path(name))


def blocks_taken(push: Callable[[Tensor], object], pieces: Iterator[Tensor]) -> float:
    """The median seconds of the process for a block, the first few left out."""
    taken = []
    for piece in pieces:
        begun = time.process_time()
        push(piece)
        taken.append(time.process_time() - begun)
    return statistics.median(taken[len(taken) // 4 :])


@torch.no_grad()
def run() -> list[str]:
    """Rows for each network; times are those of the process on one thread, so that other work beside it counts little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [row for name in RECIPES for row in _rows(name)]
    finally:
        torch.set_num_threads(before)


def _rows(name: str) -> list[str]:
    trained = untrained(name)
    live, reading = stream(trained), read_by(trained, None, 1)
    rate = trained.spec.sample_rate / reading.hop
    drawn = torch.Generator().manual_seed(1)
    signal = torch.randn(sum(live.rows.values()), int(SECONDS * rate) // live.block * live.block, generator=drawn)
    signal = 0.1 * signal if DEGRADED in live.rows else signal - 5
    seconds, whole = signal.shape[1] / rate, []
    for _ in range(3):
        begun = time.process_time()
        expected = reading.make(signal)
        whole.append((time.process_time() - begun) / seconds)
    per_block = live.block / rate
    context, alignment = bounds(trained.generator)
    assert context is not None and not live.reason
    overlap = ByOverlap(reading.make, live.block, context, 1, reading.hop)
    overlap.push(torch.randn(len(signal), context, generator=drawn))
    blocks = list(signal.split(live.block, 1))
    few = max(2, len(blocks) // 8) if context < 2000 else 3
    factors = {
        "layer by layer": blocks_taken(live.push, iter(blocks)) / per_block,
        "ONNX graph": _graph(live, signal) / per_block,
        "exact overlap": blocks_taken(overlap.push, iter(blocks[:few])) / per_block,
        "whole at once": min(whole),
    }
    live.reset()
    made = torch.cat([*map(live.push, blocks), live.close()], 1)
    error = float((made - expected).abs().max()) / max(1.0, float(expected.abs().max()))
    note = (
        f"block {live.block} ({1000 * per_block:.1f} ms), look-ahead {1000 * live.look_ahead:.1f} ms, latency "
        f"{1000 * live.latency:.1f} ms, alignment {alignment}; differs from the whole by {error:.1e}"
    )
    rows = [line(f"{name}, real-time factor, {way}", factor) for way, factor in factors.items()]
    return [f"{rows[0]} {note}", *rows[1:]]


def _graph(live: Stream, signal: Tensor) -> float:
    """The median seconds of a block by ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stream.onnx"
        path.write_bytes(graph_of(live))
        session = GraphStream(path)
    pieces = iter(signal.split(live.block, 1))
    return blocks_taken(lambda piece: session.push(piece.numpy()), pieces)
