"""A generator that filters an excitation of known pitch, instead of finding the pitch in the mel spectrogram."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Layers, Several, Width
from gansemble_plugins.hnsf.source import HarmonicSource

SLOPE = 0.1


class Residual(nn.Module):
    """x + conv(act(dilated conv(act(x)))), once for each dilation; [B, C, T] -> [B, C, T]."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            padding = (kernel - 1) * dilation // 2
            return weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding))

        self.dilated = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.plain = nn.ModuleList(conv(1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class HarmonicSourceFilter(nn.Module):
    """Upsamples log-mel frames to samples, and adds an excitation made of the fundamental frequency at every stage: the
    filter of a neural source-filter model (Wang et al. 2019) in the shape of HiFi-GAN's generator (Kong et al. 2020).

    Args:
        channels: before the first upsampling.
        upsample_rates: their product is the hop [samples].
        upsample_kernels: of the transposed convolutions, one for each rate.
        kernels: of the residual blocks.
        dilations: of each residual block.
        harmonics: of the excitation, the fundamental included; 8 above it as published.

    Shape: signals "mel" [B, mels, L] and "f0" [B, 1, L] in Hz, 0 where unvoiced -> [B, 1, L * hop] within ±1.
    """

    #: The phase of the excitation is a sum over all frames before.
    context_frames = None

    def __init__(
        self,
        *,
        audio: AudioSpec,
        channels: Channels = 512,
        upsample_rates: Annotated[tuple[Width, ...], Several] = (8, 8, 2, 2),
        upsample_kernels: Annotated[tuple[Width, ...], Several] = (16, 16, 4, 4),
        kernels: Annotated[tuple[Width, ...], Several] = (3, 7, 11),
        dilations: Annotated[tuple[Width, ...], Several] = (1, 3, 5),
        harmonics: Layers = 9,
    ) -> None:
        super().__init__()
        hop = math.prod(upsample_rates)
        self.source = HarmonicSource(audio.sample_rate, hop, harmonics)
        self.first = weight_norm(nn.Conv1d(audio.mels, channels, 7, padding=3))
        self.kernels = len(kernels)
        self.ups, self.excite, self.blocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        left = hop
        for rate, width in zip(upsample_rates, upsample_kernels, strict=True):
            left //= rate  # samples that a time step of this stage stands for
            up = nn.ConvTranspose1d(channels, channels // 2, width, rate, padding=(width - rate) // 2)
            self.ups.append(weight_norm(up))
            channels //= 2
            # Twice the stride and half a stride of padding, rounded up: one value for each time step, centred on it.
            reach = (2 * left, left, (left + 1) // 2) if left > 1 else (1, 1, 0)
            self.excite.append(nn.Conv1d(1, channels, reach[0], reach[1], padding=reach[2]))
            self.blocks.extend(Residual(channels, kernel, dilations) for kernel in kernels)
        self.last = weight_norm(nn.Conv1d(channels, 1, 7, padding=3))

    def forward(self, condition: Condition) -> Tensor:
        excitation = self.source(condition.signal("f0"))  # [B, 1, T]
        x = self.first(condition.signal("mel"))
        for stage, (up, excite) in enumerate(zip(self.ups, self.excite, strict=True)):
            x = up(F.leaky_relu(x, SLOPE))
            x = x + excite(excitation)[..., : x.shape[-1]]
            blocks = self.blocks[stage * self.kernels : (stage + 1) * self.kernels]
            x = torch.stack([block(x) for block in blocks]).mean(0)
        return self.last(F.leaky_relu(x, SLOPE)).tanh()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a mel spectrogram and a fundamental frequency, makes mono samples."""
        rates, kernels = parameters["upsample_rates"], parameters["upsample_kernels"]
        if len(rates) != len(kernels):
            raise ValueError(f"upsample_kernels must be {len(rates)}, one for each rate, got {len(kernels)}")
        for rate, kernel in zip(rates, kernels, strict=True):
            if kernel < rate or (kernel - rate) % 2:
                raise ValueError(
                    f"upsample_kernels must exceed their rates by an even number, got kernel {kernel} for rate {rate}"
                )
        if parameters["harmonics"] < 1:
            raise ValueError(f"harmonics must be at least 1, got {parameters['harmonics']}")
        even = [kernel for kernel in parameters["kernels"] if kernel % 2 == 0]
        if even:
            raise ValueError(f"kernels must be odd to keep the length, got {even[0]}")
        return GeneratorContract(
            reads=frozenset({"mel", "f0"}),
            channels={"f0": 1},
            domain="waveform",
            shape=(1, None),
            upsampling=math.prod(rates),
            because={"upsampling": "upsample_rates"},
        )
