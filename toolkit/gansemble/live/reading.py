"""What a stream is made of: the network that turns signals into audio, and one of the two ways to feed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gansemble.contract import DEGRADED
from gansemble.errors import GansembleError
from gansemble.inference.streaming import bounds, enhancement_stream, vocoder_stream
from gansemble.inference.trained import TrainedGenerator
from gansemble.live.engines import ByOverlap, Engine, Network, by_layers
from gansemble.live.flow import NotLayered
from gansemble.recipe.task import NO_SIGNALS, Task

#: Frames, in multiples of the alignment, of the signal that a network is tried with.
TRIED = 12


@dataclass(frozen=True)
class Reading:
    """What a generator is fed with, and the network that makes audio of it.

    Args:
        make: turns a signal [R, L] of one lane into audio [1, L * hop].
        rows: channels of each signal by name, one above the other in the order of their names.
        start: a signal of one lane that it can read.
        lanes: signals that are made each by itself, such as the channels of a recording.
        hop: samples for each frame.
        context: frames to either side that an output sample depends on.
        alignment: of the generator [frames].
    """

    make: Network
    rows: Mapping[str, int]
    start: Tensor
    lanes: int
    hop: int
    context: int
    alignment: int


def engine_of(reading: Reading, block: int, largest: int) -> tuple[Engine, str]:
    """A stream layer by layer, or else of overlapping blocks.

    Args:
        reading: what is fed to what.
        block: frames that are made at a time; rounded up to what the network's rates allow.
        largest: frames that are made at once where more have come.

    Returns:
        The stream, and why it is not layer by layer; empty if it is.
    """
    try:
        return by_layers(reading.make, reading.start, block, reading.lanes, largest, reading.alignment), ""
    except NotLayered as error:
        return _overlapping(reading, block), str(error)


def _overlapping(reading: Reading, block: int) -> ByOverlap:
    aligned = -(-block // reading.alignment) * reading.alignment

    def make(signal: Tensor) -> Tensor:
        rows = signal.split(len(signal) // reading.lanes)
        return torch.cat([reading.make(row) for row in rows])

    return ByOverlap(make, aligned, reading.context, reading.lanes, reading.hop)


def read_by(trained: TrainedGenerator, label: int | str | None, channels: int) -> Reading:
    """What a trained generator is fed with.

    Raises:
        GansembleError: if it cannot be a stream, or the label is none that it reads.
    """
    use, contract = trained.recipe.single["generator"].use, trained.recipe.generator_contract
    if trained.task is Task.GENERATION:
        raise GansembleError(
            f"{trained.source}: generator {use} reads no signal that could be streamed; use sample(count)"
        )
    context, alignment = bounds(trained.generator)
    if context is None:
        raise GansembleError(
            f"{trained.source}: generator {use} cannot be streamed: what it makes depends on the whole signal (its context_frames "
            "is None)"
        )
    names = sorted(set(contract.reads or ()) - NO_SIGNALS)
    trained.demand_read(set(names), label is not None)
    index = None if label is None else trained.label(label)
    if trained.task is Task.ENHANCEMENT:
        make = enhancement_stream(trained.generator, trained.representation, alignment, index).make
        rows, lanes, hop = {DEGRADED: 1}, channels, 1
    else:
        rows = {name: _channels(trained, name) for name in names}
        make = vocoder_stream(trained.generator, trained.representation, alignment, rows, index).make
        lanes, hop = 1, contract.upsampling or trained.spec.hop
    start = tried(rows, contract.codes, TRIED * alignment).to(trained.device)
    return Reading(make, rows, start, lanes, hop, context, alignment)


def _channels(trained: TrainedGenerator, name: str) -> int:
    found = trained.spec.mels if name == "mel" else trained.recipe.generator_contract.channels.get(name)
    if found is None:
        raise GansembleError(
            f"{trained.source}: the generator does not say how many channels its signal {name} has; its contract's channels must "
            "name it for a stream"
        )
    return found


def tried(rows: Mapping[str, int], codes: Mapping[str, int], frames: int) -> Tensor:
    """Noise [R, L] of the kind of each signal."""
    drawn, parts = torch.Generator().manual_seed(0), []
    for name in sorted(rows):
        if name in codes:
            parts.append(torch.randint(codes[name], (rows[name], frames), generator=drawn).float())
            continue
        noise = torch.randn(rows[name], frames, generator=drawn)
        parts.append(noise - 5 if name == "mel" else 0.1 * noise if name == DEGRADED else noise.abs())
    return torch.cat(parts)
