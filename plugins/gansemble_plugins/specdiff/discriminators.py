"""The multi-resolution discriminator of UnivNet (arXiv 2106.07889), as SpecDiff-GAN uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.audio.features import reflect
from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.numbers import Channels, Several, Share, Window


class MultiResolution(nn.Module):
    """One sub-discriminator for each STFT resolution, judging the linear magnitude spectrogram.

    The window is rectangular, as in the released code of UnivNet, BigVGAN and SpecDiff-GAN; ``hann`` leaks 60
    dB less from a 1 kHz tone into 8 kHz.

    Args:
        resolutions: (n_fft, hop, window) of each sub-discriminator [samples].
        channels: of every convolution but the last.
        slope: of LeakyReLU; UnivNet's own is 0.2.
        window: of the STFT.

    Shape: x [B, 1, T] -> one DiscriminatorOutput each, score [B, N], six feature maps [B, C, F, L] of which the last is
    the score's.

    Raises:
        ValueError: if a resolution has window > n_fft or hop > n_fft.
    """

    items_apart = True

    def __init__(
        self,
        *,
        resolutions: Annotated[tuple[tuple[Window, Window, Window], ...], Several] = (
            (1024, 120, 600),
            (2048, 240, 1200),
            (512, 50, 240),
        ),
        channels: Channels = 32,
        slope: Share = 0.1,
        window: Literal["rectangular", "hann"] = "rectangular",
    ) -> None:
        super().__init__()
        if not resolutions:
            raise ValueError("resolutions must name at least one (n_fft, hop, window), got none")
        self.discriminators = nn.ModuleList(
            Resolution(n_fft=n_fft, hop=hop, width=width, channels=channels, slope=slope, window=window)
            for n_fft, hop, width in resolutions
        )

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> DiscriminatorContract:
        """Gives features; reflect padding needs a segment longer than the largest (n_fft - hop) / 2."""
        shortest = max(shortest_input(n_fft, hop) for n_fft, hop, _ in parameters["resolutions"])
        frames = 5  # of the last two layers, then of the strided ones and the first
        for _ in range(3):
            frames = (frames - 1) * 2 + 9
        frames += 8
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            shortest=shortest,
            gives=frozenset({"features"}),
            receptive_field=max((frames - 1) * hop + width for _, hop, width in parameters["resolutions"]),
            because={"shortest": "resolutions", "receptive_field": "resolutions"},
        )

    def forward(self, x: Tensor, condition: Condition | None = None) -> tuple[DiscriminatorOutput, ...]:
        """A output for each resolution; the condition is not read."""
        return tuple(each(x) for each in self.discriminators)


class Resolution(nn.Module):
    """Convolutions over one magnitude spectrogram [B, 1, F, L]; three of them halve the frames."""

    window: Tensor

    def __init__(self, *, n_fft: int, hop: int, width: int, channels: int, slope: float, window: str) -> None:
        super().__init__()
        if not 0 < width <= n_fft or not 0 < hop <= n_fft:
            raise ValueError(f"a resolution must have window and hop in 1..n_fft, got {(n_fft, hop, width)}")
        self.n_fft, self.hop, self.width, self.slope = n_fft, hop, width, slope
        shape = torch.hann_window(width) if window == "hann" else torch.ones(width)
        self.register_buffer("window", shape, persistent=False)
        layers = [nn.Conv2d(1, channels, (3, 9), padding=(1, 4))]
        layers += [nn.Conv2d(channels, channels, (3, 9), stride=(1, 2), padding=(1, 4)) for _ in range(3)]
        layers += [nn.Conv2d(channels, channels, (3, 3), padding=(1, 1))]
        self.convs = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.conv_post = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        """The output on [B, 1, T]."""
        hidden = self.spectrogram(x).unsqueeze(1)  # [B, 1, F, L]
        features = []
        for conv in self.convs:
            hidden = F.leaky_relu(conv(hidden), self.slope)
            features.append(hidden)
        logits = self.conv_post(hidden)
        return DiscriminatorOutput(logits.flatten(1), (*features, logits))

    def spectrogram(self, x: Tensor) -> Tensor:
        """Linear magnitudes [B, F, L] in the window's precision; their gradient at zero is zero.

        Raises:
            ValueError: if the audio is not mono or too short to reflect.
        """
        least = shortest_input(self.n_fft, self.hop)
        if x.dim() != 3 or x.shape[1] != 1 or x.shape[-1] < least:
            raise ValueError(f"x must be mono, [B, 1, T] with T at least {least}, got {tuple(x.shape)}")
        pad = (self.n_fft - self.hop) // 2
        with torch.autocast(x.device.type, enabled=False):
            padded = reflect(x.to(self.window.dtype), pad, pad).squeeze(1)
            sizes = (self.n_fft, self.hop, self.width, self.window)
            return torch.stft(padded, *sizes, center=False, onesided=True, return_complex=True).abs()


def shortest_input(n_fft: int, hop: int) -> int:
    """Samples needed for reflect padding by (n_fft - hop) / 2 and one frame."""
    pad = (n_fft - hop) // 2
    return max(pad + 1, n_fft - 2 * pad)
