"""Processes long signals in overlapping chunks, with the same result as the whole signal at once.

Memory is bounded if the generator's context is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from gansemble.abilities import alignment, context_frames
from gansemble.contract import DEGRADED
from gansemble.interfaces import Condition, Representation
from gansemble.interfaces.demands import decoded, generated
from gansemble.parts.conditioning import label_of
from gansemble.parts.device import device_of


class ChunkedStream:
    """Makes a waveform from a signal that arrives in blocks of any length.

    An output sample depends on at most ``context`` frames of the signal to either side. Each chunk of ``core`` frames
    is therefore made together with ``context`` frames of real signal on both sides, whose output is cut off again: what
    is left equals the output for the whole signal. A frame stands for ``hop`` output samples; if the signal is audio
    itself, a frame is one sample.

    Args:
        make: turns a stretch of the signal [R, L] into audio [C, L * hop].
        core: frames made at a time, rounded to a multiple of ``alignment``.
        context: frames to either side that an output sample depends on; None if it may depend on all of them, and the
            whole signal is made at once.
        alignment: chunks begin at multiples of this [frames], for generators whose output depends on where a chunk
            begins.

    Shape:
        - signal: [R, L], R rows (mel bands, or audio channels) and L frames
        - output: [C, L * hop], C audio channels

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
        """Yields consecutive pieces [C, T'] of the waveform of consecutive blocks [R, L'] of the signal, on the CPU.

        Args:
            blocks: of the signal, of any lengths.
        """
        if self.context is None:
            held = list(blocks)
            if held:
                yield self.make(torch.cat(held, 1)).cpu()
            return
        chunks = Chunks(self.make, self.core, self.context)
        for block in blocks:
            yield from chunks.push(block)
        yield from chunks.finish()

    def whole(self, signal: Tensor) -> Tensor:
        """The waveform [C, T] of a whole signal [R, L], made in chunks."""
        return torch.cat(list(self.pieces(iter([signal]))), 1)


class Chunks:
    """A signal that arrives in blocks, and the audio that can be made of what has come; see :class:`ChunkedStream`.

    Args:
        make: turns a stretch of the signal [R, L] into audio [C, L * hop].
        core: frames made at a time.
        context: frames to either side that an output sample depends on.
    """

    def __init__(self, make: Callable[[Tensor], Tensor], core: int, context: int) -> None:
        self.make, self.core, self.context = make, core, context
        self.held = torch.empty(0)
        # The first frames of held whose output was given already, kept as left context.
        self._before = 0

    def push(self, block: Tensor) -> Iterator[Tensor]:
        """Yields the pieces [C, T'] of audio, on the CPU, that can be made with one more block [R, L'] of the signal."""
        self.held = torch.cat([self.held, block], 1) if self.held.numel() else block
        return self._made(ended=False)

    def finish(self) -> Iterator[Tensor]:
        """Yields the rest of the audio, as the signal has ended."""
        return self._made(ended=True)

    @torch.no_grad()
    def _made(self, ended: bool) -> Iterator[Tensor]:
        while self.held.numel() and self._before < self.held.shape[1]:
            before, last = self._before, self._before + self.core
            if not ended and self.held.shape[1] < last + self.context:
                return
            stretch = self.held[:, : last + self.context]
            made = self.make(stretch)
            # The output of the left context (before) and of the right one (from last on) is cut off.
            hop = made.shape[-1] // stretch.shape[1]
            piece = made[:, before * hop : min(last, self.held.shape[1]) * hop].cpu()
            drop = max(0, last - self.context)  # of what is made, the next chunk needs the last context frames
            self.held, self._before = self.held[:, drop:], last - drop
            yield piece


def stack(signals: Mapping[str, Tensor]) -> Tensor:
    """Conditioning signals [C, L] of equally many frames as one [sum of C, L], in the order of their names."""
    return torch.cat([signals[name] for name in sorted(signals)])


def vocoder_stream(
    generator: nn.Module,
    representation: Representation,
    core: int,
    channels: Mapping[str, int],
    label: int | None = None,
) -> ChunkedStream:
    """A stream that makes audio from conditioning signals, such as log-mel spectrograms.

    Args:
        generator: in eval mode.
        representation: decodes the generator's output to audio.
        core: frames made at a time.
        channels: of each signal that the generator reads, by name, such as ``{"mel": 80}``.
        label: class or pitch index, for a generator that reads one.

    Shape:
        - signal: [C, L], the signals stacked by :func:`stack`, with C rows in all and L frames
        - output: [1, L * hop]
    """
    device, names = device_of(generator), sorted(channels)

    def make(stacked: Tensor) -> Tensor:
        parts = stacked[None].to(device).split([channels[name] for name in names], 1)
        condition = Condition(None, label_of(label, device), dict(zip(names, parts, strict=True)))
        return decoded(representation, generated(generator, condition, parts[0]))[0]

    return ChunkedStream(make, core, *bounds(generator))


def enhancement_stream(
    generator: nn.Module, representation: Representation, core: int, label: int | None = None
) -> ChunkedStream:
    """A stream that makes clean audio from degraded audio, each channel by itself.

    Args:
        generator: in eval mode; reads degraded waveforms.
        representation: decodes the generator's output to audio.
        core: samples made at a time.
        label: class or pitch index, for a generator that reads one.

    Shape:
        - signal: [C, T], C channels of T samples
        - output: [C, T]
    """
    device = device_of(generator)

    def make(audio: Tensor) -> Tensor:
        one = label_of(label, device)
        told = None if one is None else one.expand(len(audio))
        condition = Condition(None, told, {DEGRADED: audio[:, None].to(device)})
        made = decoded(representation, generated(generator, condition, condition.signals[DEGRADED]))
        return made[:, 0, : audio.shape[1]]

    return ChunkedStream(make, core, *bounds(generator))


def bounds(generator: nn.Module) -> tuple[int | None, int]:
    """(context, alignment) of a generator, in frames of what it reads, as it declares them.

    The context is None where it is unbounded.
    """
    return context_frames(generator), alignment(generator)
