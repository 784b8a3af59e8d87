"""The multi-resolution discriminator that Vocos was trained with, of the Descript Audio Codec's kind.

DAC: Kumar et al. 2023, arXiv 2306.06546. Unlike UnivNet's, which is the part ``multi_resolution``, it reads complex
spectrograms and has convolutions of their own for each band of frequencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.audio.features import hann
from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.numbers import Channels, Range, Several, Share, Window

SLOPE = 0.1
#: Added to an item's peak before it divides by it.
FLOOR = 1e-9
BANDS = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))


class MultiResolutionBands(nn.Module):
    """MRD of Vocos and DAC: for each window length, a complex spectrogram judged band by band.

    Each item loses its mean and is scaled to a peak of 0.8. Real and imaginary parts of the spectrogram (Hann window, centred
    frames) are cut into bands; five convolutions for each band halve its frequencies three times, and one more gives
    scores of all bands together. The features are every map but each band's first; the scores are the last.

    Args:
        windows: lengths of the windows, one sub-discriminator each [samples].
        hop: between frames, as a share of the window.
        bands: lower and upper edge of each, as shares of the frequencies.
        channels: of every convolution but the last.

    Shape: x [B, 1, T] -> a DiscriminatorOutput for each window, score [B, N], features [B, C, L, F].

    Raises:
        ValueError: if a band is empty at one of the windows.
    """

    items_apart = True

    def __init__(
        self,
        *,
        windows: Annotated[tuple[Window, ...], Several] = (2048, 1024, 512),
        hop: Annotated[float, Range(above=0, at_most=1)] = 0.25,
        bands: Annotated[tuple[tuple[Share, Share], ...], Several] = BANDS,
        channels: Channels = 32,
    ) -> None:
        super().__init__()
        if not windows or not bands:
            raise ValueError(f"windows and bands must name at least one each, got {windows} and {bands}")
        self.discriminators = nn.ModuleList(BandedResolution(window, hop, bands, channels) for window in windows)

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> DiscriminatorContract:
        """Gives features; reflect padding needs more than half of the longest window.

        No receptive field is stated: through an item's mean and peak, each score sees all of it.
        """
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            shortest=max(parameters["windows"]) // 2 + 1,
            gives=frozenset({"features"}),
            because={"shortest": "windows"},
        )

    def forward(self, x: Tensor, condition: Condition | None = None) -> tuple[DiscriminatorOutput, ...]:
        """A output for each window; the condition is not read."""
        return tuple(each(x) for each in self.discriminators)


class BandedResolution(nn.Module):
    """Convolutions over the bands of one complex spectrogram."""

    def __init__(self, window: int, hop: float, bands: tuple[tuple[float, float], ...], channels: int) -> None:
        super().__init__()
        self.window, self.hop = window, int(window * hop)
        bins = window // 2 + 1
        self.bands = tuple((int(low * bins), int(high * bins)) for low, high in bands)
        if self.hop < 1 or any(not 0 <= low < high <= bins for low, high in self.bands):
            raise ValueError(
                f"each of bands must hold frequencies, and hop a sample, at a window of {window}, got {bands}"
            )
        self.band_convs = nn.ModuleList(_stack(channels) for _ in bands)
        self.conv_post = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        """The output on [B, 1, T]."""
        spectrum, features, ends = self.spectrogram(x), [], []
        for (low, high), convs in zip(self.bands, self.band_convs, strict=True):
            band = spectrum[..., low:high]
            layers: Iterable[nn.Module] = convs  # type: ignore[assignment]
            for index, conv in enumerate(layers):
                band = F.leaky_relu(conv(band), SLOPE)
                if index:
                    features.append(band)
            ends.append(band)
        logits = self.conv_post(torch.cat(ends, dim=-1))
        return DiscriminatorOutput(logits.flatten(1), (*features, logits))

    def spectrogram(self, x: Tensor) -> Tensor:
        """Real and imaginary parts [B, 2, L, F] of [B, 1, T] without its mean and at a peak of 0.8.

        Raises:
            ValueError: if the audio is not mono or too short to reflect.
        """
        least = self.window // 2 + 1
        if x.dim() != 3 or x.shape[1] != 1 or x.shape[-1] < least:
            raise ValueError(f"x must be mono, [B, 1, T] with T at least {least}, got {tuple(x.shape)}")
        with torch.autocast(x.device.type, enabled=False):
            x = (x if x.dtype == torch.float64 else x.float()).squeeze(1)
            x = x - x.mean(-1, keepdim=True)
            x = 0.8 * x / (x.abs().amax(-1, keepdim=True) + FLOOR)
            shape = hann(self.window, x.device, x.dtype)
            spectrum = torch.stft(x, self.window, self.hop, self.window, shape, center=True, return_complex=True)
            return torch.view_as_real(spectrum).permute(0, 3, 2, 1)


def _stack(channels: int) -> nn.ModuleList:
    """Five weight-normed convolutions over frames and frequencies; three of them halve the frequencies."""
    layers = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
    layers += [nn.Conv2d(channels, channels, (3, 9), stride=(1, 2), padding=(1, 4)) for _ in range(3)]
    layers.append(nn.Conv2d(channels, channels, (3, 3), padding=(1, 1)))
    return nn.ModuleList(weight_norm(layer) for layer in layers)
