"""HiFi-GAN's generator for discrete units instead of mel spectrograms: codec tokens, or clusters of speech features."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Count, Layers, Several, Width
from gansemble_plugins.hifigan.generator import HifiGan


class UnitHifiGan(HifiGan):
    """Looks up a vector for each code, adds those of all codebooks, and goes on as HiFi-GAN's generator does.

    The codes of a clip are read from a file (``data.signals``), a frame for each ``audio.hop`` samples, so that the hop is that
    of the codec. A vector of the speaker may be read beside them, from a file as well (``data.embeddings``). Polyak et al.
    (2021), "Speech Resynthesis from Discrete Disentangled Self-Supervised Representations", section 3, resynthesise speech so,
    with F0 besides.

    Args:
        codebooks: number of codebooks K, of one code each in every frame.
        size: number of codes in each.
        dim: of the vectors.
        signal: name of the signal with the codes.
        speaker: dimensions of the speaker's vector, a signal called ``speaker``; null reads none.
        channels, upsample_rates, upsample_kernels, kernels, dilations: as in HiFi-GAN's generator.

    Shape: signal "codes" [B, K, L] of whole numbers, signal "speaker" [B, D, L] -> [B, 1, L * hop] within ±1.

    Raises:
        ValueError: in a forward pass on the CPU, if a code is not from 0 to ``size`` - 1.
    """

    first: Tensor  # of each codebook in the table, [K, 1]

    def __init__(
        self,
        *,
        audio: AudioSpec,
        codebooks: Layers = 1,
        size: Count = 1024,
        dim: Channels = 128,
        signal: str = "codes",
        speaker: Channels | None = None,
        channels: Channels = 512,
        upsample_rates: Annotated[tuple[Width, ...], Several] = (8, 8, 2, 2),
        upsample_kernels: Annotated[tuple[Width, ...], Several] = (16, 16, 4, 4),
        kernels: Annotated[tuple[Width, ...], Several] = (3, 7, 11),
        dilations: Annotated[tuple[Annotated[tuple[Width, ...], Several], ...], Several] = (
            (1, 3, 5),
            (1, 3, 5),
            (1, 3, 5),
        ),
    ) -> None:
        super().__init__(
            audio=audio,
            channels=channels,
            upsample_rates=upsample_rates,
            upsample_kernels=upsample_kernels,
            kernels=kernels,
            dilations=dilations,
        )
        self.signal, self.size, self.speaker = signal, size, speaker
        # One table for all codebooks: those of codebook k begin at k * size.
        self.codes = nn.Embedding(codebooks * size, dim)
        self.register_buffer("first", torch.arange(codebooks)[:, None] * size, persistent=False)
        self.conv_pre = weight_norm(nn.Conv1d(dim + (speaker or 0), channels, 7, padding=3))

    def features(self, condition: Condition) -> Tensor:
        codes = condition.signal(self.signal).round().long()  # [B, K, L]
        if codes.device.type == "cpu" and not torch.compiler.is_exporting() and codes.numel():
            low, high = int(codes.min()), int(codes.max())
            if low < 0 or high >= self.size:
                raise ValueError(
                    f"signal {self.signal!r} holds codes from {low} to {high}, expected 0 to {self.size - 1}; see generator.size"
                )
        found = self.codes(codes + self.first).sum(1).transpose(1, 2)  # [B, K, L, dim] -> [B, dim, L]
        return found if self.speaker is None else torch.cat([found, condition.signal("speaker")], 1)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads codes, and a speaker's vector where it is built for one; makes prod(upsample_rates) samples of each frame."""
        for name in ("codebooks", "size", "dim"):
            if parameters[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {parameters[name]}")
        if parameters["speaker"] is not None and parameters["speaker"] < 1:
            raise ValueError(f"speaker must be at least 1, or null, got {parameters['speaker']}")
        if parameters["signal"] in ("mel", "speaker"):
            raise ValueError(f"signal must be the name of codes, and {parameters['signal']} is that of something else")
        base = HifiGan.contract(parameters | {"classes": None})
        channels = {parameters["signal"]: parameters["codebooks"]}
        channels |= {"speaker": parameters["speaker"]} if parameters["speaker"] else {}
        return GeneratorContract(
            reads=frozenset(channels),
            channels=channels,
            codes={parameters["signal"]: parameters["size"]},
            domain="waveform",
            shape=(1, None),
            upsampling=base.upsampling,
            because={"upsampling": "upsample_rates", "reads": "signal", "channels": "codebooks"},
        )
