"""The multi-scale sub-band constant-Q discriminator (Gu et al. 2023, arXiv 2311.14957) that BigVGAN-v2 was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.audio.spec import AudioSpec
from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.numbers import Channels, Range, Several, Width, Window
from gansemble_plugins.bigvgan.constant_q import ConstantQ

SLOPE = 0.1
#: Added to an item's peak before it divides by it.
FLOOR = 1e-9


class MultiScaleSubBandCqt(nn.Module):
    """MS-SB-CQT discriminator: one sub-discriminator for each resolution of the constant-Q transform.

    The audio is resampled to twice its rate, so that the topmost octave keeps clear of half of it. Each octave of the transform's
    real and imaginary parts has a convolution of its own; then follow convolutions over frames and frequencies, which
    halve the frequencies and are dilated along frames. The score map is not among the features.

    Args:
        hops: between frames, at the doubled rate [samples], one for each sub-discriminator.
        octaves: of each transform.
        bins: in an octave, one number for each sub-discriminator.
        lowest: frequency of the first bin [Hz].
        channels: of every convolution between the octaves' and the last. BigVGAN-v2 has 128.
        dilations: along frames, of the convolutions that halve the frequencies.
        normalise: take an item's mean away and scale it to a peak of 0.8 first.

    Shape: x [B, 1, T] -> a DiscriminatorOutput for each resolution, score [B, N], features [B, C, L, F].

    Raises:
        ValueError: if hops and bins are not of one length, a hop cannot be halved for each octave, or the highest bin lies above
            the audio's sample rate.
    """

    items_apart = True

    def __init__(
        self,
        *,
        audio: AudioSpec,
        hops: Annotated[tuple[Window, ...], Several] = (512, 256, 256),
        octaves: Annotated[int, Range(at_least=1, at_most=16)] = 9,
        bins: Annotated[tuple[Width, ...], Several] = (24, 36, 48),
        lowest: Annotated[float, Range(at_least=1, at_most=1e6)] = 32.70,
        channels: Channels = 32,
        dilations: Annotated[tuple[Width, ...], Several] = (1, 2, 4),
        normalise: bool = False,
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            CqtResolution(
                ConstantQ(rate=2 * audio.sample_rate, hop=hop, lowest=lowest, octaves=octaves, bins=each),
                octaves=octaves,
                channels=channels,
                dilations=dilations,
                normalise=normalise,
            )
            for hop, each in zip(hops, bins, strict=True)
        )

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> DiscriminatorContract:
        """Gives features; a sample must be left when the doubled rate has been halved for each octave."""
        hops, bins, octaves = parameters["hops"], parameters["bins"], parameters["octaves"]
        if len(hops) != len(bins):
            raise ValueError(f"hops and bins must be of one length, got {len(hops)} and {len(bins)}")
        odd = [hop for hop in hops if hop % 2 ** (octaves - 1)]
        if odd:
            raise ValueError(
                f"a hop must be a multiple of {2 ** (octaves - 1)} to be halved for each of {octaves} octaves, got {odd[0]}"
            )
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            shortest=max(1, 2**octaves // 4),
            gives=frozenset({"features"}),
            because={"shortest": "octaves"},
        )

    def forward(self, x: Tensor, condition: Condition | None = None) -> tuple[DiscriminatorOutput, ...]:
        """An output for each resolution; the condition is not read."""
        return tuple(each(x) for each in self.discriminators)


class CqtResolution(nn.Module):
    """Convolutions over the octaves of one constant-Q transform."""

    def __init__(
        self, transform: ConstantQ, *, octaves: int, channels: int, dilations: tuple[int, ...], normalise: bool
    ) -> None:
        super().__init__()
        self.transform, self.octaves, self.normalise = transform, octaves, normalise
        # As released, these and the first of the others are not weight-normed.
        self.conv_pres = nn.ModuleList(nn.Conv2d(2, 2, (3, 9), padding=(1, 4)) for _ in range(octaves))
        layers: list[nn.Module] = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
        layers += [
            weight_norm(nn.Conv2d(channels, channels, (3, 9), (1, 2), (dilation, 4), (dilation, 1)))
            for dilation in dilations
        ]
        layers.append(weight_norm(nn.Conv2d(channels, channels, (3, 3), padding=(1, 1))))
        self.convs = nn.ModuleList(layers)
        self.conv_post = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        """The output on [B, 1, T]."""
        octaves = self.spectrum(x).chunk(self.octaves, dim=-1)
        x = torch.cat([conv(octave) for conv, octave in zip(self.conv_pres, octaves, strict=True)], dim=-1)
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
            features.append(x)
        return DiscriminatorOutput(self.conv_post(x).flatten(1), tuple(features))

    def spectrum(self, x: Tensor) -> Tensor:
        """Real and imaginary parts [B, 2, L, F] of audio [B, 1, T] at twice its rate.

        Raises:
            ValueError: if the audio is not mono.
        """
        # Here, as every recipe that is only checked would else load it.
        from gansemble.audio.torchaudio import functional

        if x.dim() != 3 or x.shape[1] != 1:
            raise ValueError(f"x must be mono, [B, 1, T], got {tuple(x.shape)}")
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.transform.waves.dtype).squeeze(1)
            if self.normalise:
                x = x - x.mean(-1, keepdim=True)
                x = 0.8 * x / (x.abs().amax(-1, keepdim=True) + FLOOR)
            return self.transform(functional.resample(x, 1, 2))
