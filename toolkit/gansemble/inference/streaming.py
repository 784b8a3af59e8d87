"""Long signals in chunks whose result is the whole's, in bounded memory where the generator's context is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from gansemble.abilities import alignment, context_frames
from gansemble.interfaces import Condition, Representation
from gansemble.parts.device import device_of


class ChunkedStream:
    """Makes waveform of a signal that arrives in blocks of any lengths.

    Each chunk is made with ``context`` frames of real signal on both sides, which are cut off again, so that the pieces
    are what the whole signal at once would give. One frame of the signal may be one sample or ``hop`` of them.

    Args:
        make: turns a stretch of the signal [R, L] into samples [C, L * hop].
        core: frames made at a time, about.
        context: frames that a sample depends on, to either side; None where it may depend on all of them, and the whole
            signal is made at once.
        alignment: chunks begin at multiples of it, for generators whose output depends on where a chunk begins.

    Raises:
        ValueError: if the context is not a multiple of the alignment.
    """

    def __init__(self, make: Callable[[Tensor], Tensor], core: int, context: int | None, alignment: int = 1) -> None:
        if context is not None and context % alignment:
            raise ValueError(f"context_frames must be a multiple of alignment {alignment}, got {context}")
        self.make, self.context = make, context
        self.core = max(alignment, round(core / alignment) * alignment)

    @torch.no_grad()
    def pieces(self, blocks: Iterator[Tensor]) -> Iterator[Tensor]:
        """Waveform pieces [C, T'] on the CPU of consecutive blocks [R, L'] of the signal."""
        if self.context is None:
            held = list(blocks)
            if held:
                yield self.make(torch.cat(held, 1)).cpu()
            return
        yield from self._bounded(blocks, self.context)

    def _bounded(self, blocks: Iterator[Tensor], context: int) -> Iterator[Tensor]:
        held = torch.empty(0)
        before, ended = 0, False  # frames of held that were made already; whether the signal is over
        while not ended:
            block = next(blocks, None)
            ended = block is None
            if block is not None:
                held = torch.cat([held, block], 1) if held.numel() else block
            while held.numel() and before < held.shape[1]:
                last = before + self.core
                if not ended and held.shape[1] < last + context:
                    break
                stretch = held[:, : last + context]
                made = self.make(stretch)
                hop = made.shape[-1] // stretch.shape[1]
                yield made[:, before * hop : min(last, held.shape[1]) * hop].cpu()
                drop = max(0, last - context)
                held, before = held[:, drop:], last - drop

    def whole(self, signal: Tensor) -> Tensor:
        """The waveform [C, T] of a whole signal [R, L], made in chunks."""
        return torch.cat(list(self.pieces(iter([signal]))), 1)


def vocoder_stream(generator: nn.Module, representation: Representation, core: int) -> ChunkedStream:
    """Waveforms [1, L * hop] of log-mel spectrograms [mels, L], ``core`` frames at a time."""
    device = device_of(generator)

    def make(mel: Tensor) -> Tensor:
        return representation.decode(generator(Condition(signal=mel[None].to(device))).float())[0]

    return ChunkedStream(make, core, *bounds(generator))


def enhancement_stream(generator: nn.Module, representation: Representation, core: int) -> ChunkedStream:
    """Clean recordings [C, T] of degraded ones, ``core`` samples at a time, each channel by itself."""
    device = device_of(generator)

    def make(audio: Tensor) -> Tensor:
        made = representation.decode(generator(Condition(signal=audio[:, None].to(device))).float())
        return made[:, 0, : audio.shape[1]]

    return ChunkedStream(make, core, *bounds(generator))


def bounds(generator: nn.Module) -> tuple[int | None, int]:
    """(context in frames of what a generator reads, None where unbounded; alignment of chunks), as it declares them."""
    return context_frames(generator), alignment(generator)
