"""A generator whose inputs are plain tensors in a fixed order, as an exported file has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gansemble.audio.spec import AudioSpec
from gansemble.contract import DEGRADED, GeneratorContract
from gansemble.interfaces import Condition
from gansemble.recipe.task import NO_SIGNALS

#: Size of a latent vector whose generator does not declare one.
LATENT = 8


@dataclass(frozen=True)
class Inputs:
    """What a generator reads, in the order of an exported file's inputs: latent, label, then the signals by name.

    Args:
        latent: size Z of the latent vector; None where none is read.
        law: what latent vectors are drawn from: ``normal``, or ``uniform`` in ±1.
        labels: number of labels; None where no label is read.
        channels: of each signal, by name.
        codes: how many codes a signal of whole numbers has, by name.
    """

    latent: int | None
    law: str
    labels: int | None
    channels: Mapping[str, int]
    codes: Mapping[str, int]

    @classmethod
    def of(cls, contract: GeneratorContract, spec: AudioSpec, embeddings: Mapping[str, int] | None = None) -> Inputs:
        """What a generator reads by its contract.

        Args:
            contract: of the generator.
            spec: whose number of mel bands a mel spectrogram has.
            embeddings: channels of signals that the contract does not state them for, by name.
        """
        reads = contract.reads or frozenset()
        known = {"mel": spec.mels, DEGRADED: 1, **(embeddings or {}), **contract.channels}
        low, high = contract.pitches or (0, (contract.classes or 1) - 1)
        return cls(
            (contract.latent or LATENT) if "latent" in reads else None,
            contract.latent_law,
            high - low + 1 if "label" in reads else None,
            {name: known.get(name, 1) for name in sorted(reads - NO_SIGNALS)},
            contract.codes,
        )

    @property
    def names(self) -> list[str]:
        """Names of the inputs, in their order."""
        return [*self._unsignalled, *sorted(self.channels)]

    @property
    def _unsignalled(self) -> list[str]:
        latent = [] if self.latent is None else ["latent"]
        return latent if self.labels is None else [*latent, "label"]

    @property
    def length_name(self) -> str | None:
        """What the last axis of the signals is called: ``samples`` of a degraded recording, else ``frames``; None without
        signals."""
        return None if not self.channels else "samples" if DEGRADED in self.channels else "frames"

    def example(self, items: int, length: int, seed: int = 0) -> Condition:
        """A condition drawn from a seed, on the CPU.

        Args:
            items: of the batch.
            length: of the signals [frames, or samples of a degraded recording].
            seed: of what is drawn.
        """
        drawn = torch.Generator().manual_seed(seed)
        latent = None
        if self.latent is not None:
            normal = torch.randn(items, self.latent, generator=drawn)
            latent = normal if self.law == "normal" else torch.rand(items, self.latent, generator=drawn) * 2 - 1
        label = None if self.labels is None else torch.randint(self.labels, (items,), generator=drawn)
        return Condition(latent, label, {name: self._signal(name, items, length, drawn) for name in self.channels})

    def _signal(self, name: str, items: int, length: int, drawn: torch.Generator) -> Tensor:
        shape = (items, self.channels[name], length)
        if name in self.codes:
            return torch.randint(self.codes[name], shape, generator=drawn).float()
        noise = torch.randn(shape, generator=drawn)
        if name == "mel":
            return noise - 5  # about the level of speech
        return (
            0.1 * noise if name == DEGRADED else 100 * noise.abs()
        )  # such as frequencies, of which none is below zero


class PlainGenerator(nn.Module):
    """Calls a generator with plain tensors in the order of :attr:`Inputs.names`, and decodes what it makes.

    Args:
        generator: in eval mode.
        inputs: what it reads.
        decode: from its representation's domain to audio; None gives what it makes as it is.

    Shape:
        - latent: [B, Z]; label: int64 [B]; signals: [B, C, L]
        - output: audio [B, 1, T], or items [B, ...]
    """

    def __init__(self, generator: nn.Module, inputs: Inputs, decode: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.generator, self.inputs, self.decode = generator, inputs, decode

    def forward(self, *tensors: Tensor) -> Tensor:
        made = self.generator(self.condition(tensors)).float()
        return made if self.decode is None else self.decode(made)

    def condition(self, tensors: tuple[Tensor, ...]) -> Condition:
        """The condition that plain tensors stand for."""
        given = dict(zip(self.inputs.names, tensors, strict=True))
        latent, label = given.pop("latent", None), given.pop("label", None)
        return Condition(latent, label, given)
