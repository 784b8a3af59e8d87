"""Two ways to make a stream of a network: layer by layer, or of overlapping blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor

from gansemble.inference.streaming import Chunks
from gansemble.live.flow import NotLayered
from gansemble.live.layered import Layered, layered

Network = Callable[[Tensor], Tensor]

#: By how much of the largest sample a stream may differ from the whole before its form is taken for wrong; rounding is below
#: a hundredth of it.
TOLERANCE = 1e-3


class Engine(Protocol):
    """A stream of one signal [R, L] whose values have been looked at.

    Attributes:
        block: frames that are made at a time.
        hop: samples for each frame.
        look_ahead: samples that must have come behind one before it is made.

    Methods:
        push(frames): audio [C, T'] of some more frames [R, L'], on the CPU.
        finish(): the rest of the audio.
        reset(): begins another stream.
        held(): bytes that are kept between two calls.
    """

    block: int
    hop: int
    look_ahead: int

    def push(self, frames: Tensor) -> Tensor: ...

    def finish(self) -> Tensor: ...

    def reset(self) -> None: ...

    def held(self) -> int: ...


class ByLayers:
    """Each layer keeps what it needs of earlier frames, so that a block costs what it costs within a whole signal.

    Args:
        network: as :func:`gansemble.live.layered.layered` made it.
        block: frames that are made at a time, a multiple of the network's unit.
        lanes: R, if each of the R rows is a signal of its own; else 1.
        largest: frames that are made at once where more have come, rounded to whole blocks.
        device: of the network.
    """

    def __init__(self, network: Layered, block: int, lanes: int, largest: int, device: torch.device) -> None:
        self.network, self.block, self.hop, self.look_ahead = network, block, network.hop, network.delay
        self._lanes, self._device = lanes, device
        self._largest = max(block, largest // block * block)
        self.reset()

    def reset(self) -> None:
        """Begins another stream."""
        self._states = [self.network.states(self._device) for _ in range(self._lanes)]
        self._waiting: Tensor | None = None
        self._position, self._given = 0, 0

    def push(self, frames: Tensor) -> Tensor:
        """Audio of all whole blocks that have come."""
        waiting = frames if self._waiting is None else torch.cat([self._waiting, frames], 1)
        ready = waiting.shape[1] // self.block * self.block
        self._waiting = waiting[:, ready:].clone()
        return self._made(waiting[:, :ready], None, None)

    def finish(self) -> Tensor:
        """The rest: zeros are read until all samples have come."""
        if self._waiting is None:
            return torch.zeros(self._lanes, 0)
        unit = self.network.unit
        length = self._position + self._waiting.shape[1]
        end = -(-length // unit) * unit
        last = -(-(length * self.hop + self.look_ahead) // (self.hop * unit)) * unit
        zeros = self._waiting.new_zeros(len(self._waiting), last - length)
        return self._made(torch.cat([self._waiting, zeros], 1), end, length * self.hop)

    def held(self) -> int:
        """Bytes of states and of frames that wait for their block."""
        tensors = [state for lane in self._states for state in lane]
        tensors += [] if self._waiting is None else [self._waiting]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @torch.no_grad()
    def _made(self, frames: Tensor, end: int | None, total: int | None) -> Tensor:
        """Audio of some whole blocks; ``total`` samples in all, where that is known."""
        made = [torch.zeros(self._lanes, 0)]
        for piece in frames.split(self._largest, 1) if frames.shape[1] else ():
            rows, sounds = piece.to(self._device).split(len(piece) // self._lanes), []
            for lane, row in enumerate(rows):
                sound, self._states[lane] = self.network(row, self._position, end, self._states[lane])
                sounds.append(sound)
            first = self._position * self.hop - self.look_ahead
            self._position += piece.shape[1]
            sound = torch.cat(sounds)[:, max(0, -first) :].cpu()
            sound = sound if total is None else sound[:, : max(0, total - self._given)]
            self._given += sound.shape[1]
            made.append(sound)
        return torch.cat(made, 1)


class ByOverlap:
    """Each block is made anew together with its context, which costs as much as the block and twice its context.

    Args:
        make: the network.
        block: frames that are made at a time, a multiple of the generator's alignment.
        context: frames to either side that an output sample depends on.
        lanes: as in :class:`ByLayers`.
        hop: samples for each frame.
    """

    def __init__(self, make: Network, block: int, context: int, lanes: int, hop: int) -> None:
        self.make, self.block, self.hop, self.look_ahead = make, block, hop, context * hop
        self._context, self._lanes = context, lanes
        self.reset()

    def reset(self) -> None:
        """Begins another stream."""
        self._chunks = Chunks(self.make, self.block, self._context)

    def push(self, frames: Tensor) -> Tensor:
        """Audio of the blocks whose context has come."""
        return self._joined(self._chunks.push(frames))

    def finish(self) -> Tensor:
        """The rest of the audio."""
        return self._joined(self._chunks.finish())

    def held(self) -> int:
        """Bytes of the frames that are kept."""
        return self._chunks.held.numel() * self._chunks.held.element_size()

    def _joined(self, pieces: Iterable[Tensor]) -> Tensor:
        return torch.cat([torch.zeros(self._lanes, 0), *pieces], 1)


def by_layers(make: Network, start: Tensor, block: int, lanes: int, largest: int, alignment: int) -> ByLayers:
    """A network as a stream layer by layer, held against the network itself.

    Args:
        make: the network.
        start: a signal [R, L] that it can read, of one lane.
        block: frames that are to be made at a time; rounded up to what the network's rates allow.
        lanes: signals of R rows each.
        largest: frames that are made at once where more have come.
        alignment: of the generator.

    Raises:
        NotLayered: if it has an operation that a stream cannot be made of, or the stream differs from the network.
    """
    network = layered(make, start)
    unit = network.unit
    engine = ByLayers(network, -(-block // unit) * unit, 1, largest, start.device)
    short = start[:, : start.shape[1] - (alignment > 1)]  # an end that is not aligned, where there is such
    with torch.no_grad():
        whole = make(short).cpu()
    stream = torch.cat([engine.push(short[:, :unit]), engine.push(short[:, unit:]), engine.finish()], 1)
    within = TOLERANCE * float(whole.abs().max())
    if stream.shape != whole.shape or not torch.allclose(stream, whole, rtol=0, atol=within, equal_nan=True):
        raise NotLayered("its stream differs from the whole")
    return ByLayers(network, engine.block, lanes, largest, start.device)
