"""Generators that restore degraded recordings: in chunks whose result is the whole's, in bounded memory where the
generator's context is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gansemble.data.degraded import NAME
from gansemble.errors import GansembleError
from gansemble.interfaces import Condition
from gansemble.recipe import contracts
from gansemble.recipe.check import Recipe


def restores(recipe: Recipe) -> bool:
    """Whether a recipe's generator reads a degraded recording."""
    return NAME in (contracts.contract_of(recipe.single["generator"], recipe).reads or frozenset())


def demand_restoring(recipe: Recipe, where: object) -> None:
    """Raises GansembleError unless the recipe's generator restores recordings, saying what to use instead."""
    if restores(recipe):
        return
    generator = recipe.single["generator"]
    reads = contracts.contract_of(generator, recipe).reads or frozenset()
    other = "gansemble synthesise --input FILES" if "mel" in reads else "gansemble sample"
    raise GansembleError(
        f"{where}: its generator {generator.use} reads {', '.join(sorted(reads)) or 'nothing'}, not a degraded "
        f"recording; use {other} --exp {where}"
    )


def demand_mel(recipe: Recipe, where: object) -> None:
    """Raises GansembleError unless the recipe's generator reads mel spectrograms, saying what to use instead."""
    generator = recipe.single["generator"]
    reads = contracts.contract_of(generator, recipe).reads
    if reads is None or "mel" in reads:
        return
    other = "enhance FILES" if NAME in reads else "sample"
    raise GansembleError(
        f"{where}: its generator {generator.use} reads {', '.join(sorted(reads))}, not a mel spectrogram; use gansemble "
        f"{other} --exp {where}"
    )


@dataclass(frozen=True)
class Chunks:
    """How a recording is cut: ``core`` samples made at a time, with ``context`` samples on both sides.

    Args:
        core: a multiple of the generator's alignment.
        context: likewise; None where the generator must see the whole recording.
    """

    core: int
    context: int | None

    @classmethod
    def of(cls, generator: nn.Module, core: int) -> Chunks:
        """Cores of about ``core`` samples, with the context the generator says it needs.

        Raises:
            ValueError: if the generator's context is not a multiple of its alignment.
        """
        unit = int(getattr(generator, "alignment", 1) or 1)
        context = getattr(generator, "context_frames", None)
        if context is not None and context % unit:
            raise ValueError(f"context_frames must be a multiple of alignment {unit}, got {context}")
        return cls(max(unit, round(core / unit) * unit), None if context is None else int(context))


class Stream:
    """Restores a recording block by block.

    Args:
        generator: in eval mode; reads signals [B, C, T] and gives as many.
        core: samples made at a time, about.
        representation: brings what it makes to samples.
    """

    def __init__(self, generator: nn.Module, core: int, representation: Any) -> None:
        self.generator, self.representation = generator, representation
        self.chunks = Chunks.of(generator, core)
        parameter = next(generator.parameters(), None)
        self.device = torch.device("cpu") if parameter is None else parameter.device

    @torch.no_grad()
    def pieces(self, blocks: Iterator[Tensor]) -> Iterator[Tensor]:
        """Restored pieces [C, T'] of consecutive blocks [C, T] of any lengths, whose concatenation is as long.

        Each core is made from the recording itself around it, never from padding, and begins at a multiple of the core;
        so the result is that of the whole recording up to rounding. A generator without a context sees all at once.
        """
        core, context = self.chunks.core, self.chunks.context
        if context is None:
            whole = list(blocks)
            if whole:
                yield self._made(torch.cat(whole, 1))
            return
        held = torch.empty(0)
        before, ended = 0, False  # samples of held that are context of what comes next; whether the stream is over
        while not ended:
            block = next(blocks, None)
            ended = block is None
            if block is not None:
                held = torch.cat([held, block], 1) if held.numel() else block
            while held.numel() and before < held.shape[1]:
                last = before + core
                if not ended and held.shape[1] < last + context:
                    break
                made = self._made(held[:, : last + context])
                yield made[:, before : min(last, held.shape[1])]
                drop = max(0, last - context)
                held, before = held[:, drop:], last - drop

    def _made(self, held: Tensor) -> Tensor:
        """Each channel by itself: [C, T] as [C, 1, T]."""
        made = self.representation.decode(self.generator(Condition(signal=held[:, None].to(self.device))).float())
        return made[:, 0, : held.shape[1]].cpu()


class KeepBelow(nn.Module):
    """A generator whose output below a frequency is the recording's own: y = G(x) + LP(x - G(x)).

    LP is a linear-phase low-pass (Kaiser window, 90 dB), so that both bands fit together without a seam in phase or
    level. What the generator does to the lows is undone; what it adds above stays.

    Args:
        generator: reads signals and gives as many.
        sample_rate: [Hz].
        hertz: where the low band ends; the filter falls within 200 Hz around it.
        representation: brings what the generator makes to samples; what comes out here is samples.

    Raises:
        ValueError: if the frequency is not between 200 Hz and half the sample rate less 200 Hz.
    """

    low: Tensor

    def __init__(self, generator: nn.Module, sample_rate: int, hertz: float, representation: Any = None) -> None:
        super().__init__()
        self.decode = representation.decode if representation is not None else lambda x: x
        if not 200 <= hertz <= sample_rate / 2 - 200:
            raise ValueError(
                f"the band that is kept must end between 200 Hz and {sample_rate / 2 - 200:g} Hz, got {hertz:g} Hz"
            )
        from scipy.signal import firwin, kaiserord

        taps, beta = kaiserord(90, 400 / sample_rate)
        taps |= 1
        self.generator = generator
        coefficients = firwin(taps, hertz, window=("kaiser", beta), fs=sample_rate)
        first = next(generator.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        low = torch.tensor(coefficients, dtype=torch.float32, device=device)[None, None]
        self.register_buffer("low", low, persistent=False)
        unit, context = int(getattr(generator, "alignment", 1) or 1), getattr(generator, "context_frames", None)
        self.alignment = unit
        self.context_frames = None if context is None else context + -(-(taps // 2) // unit) * unit

    def forward(self, condition: Condition) -> Tensor:
        assert condition.signal is not None
        made = self.decode(self.generator(condition).float())[..., : condition.signal.shape[-1]]
        return made + nn.functional.conv1d(condition.signal - made, self.low, padding=self.low.shape[-1] // 2)


def restore(generator: nn.Module, audio: Tensor, core: int, representation: Any) -> Tensor:
    """A whole recording [C, T] in chunks."""
    return torch.cat(list(Stream(generator, core, representation).pieces(iter([audio]))), 1)
