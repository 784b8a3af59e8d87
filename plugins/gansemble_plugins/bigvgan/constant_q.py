"""A constant-Q transform in torch, by octaves (Schoerkhuber and Klapuri 2010): one set of kernels, halved rates.

Bins lie at lowest * 2^(k / bins) and see a number of samples that is inverse to their frequency. The kernels are those of the
top octave; for each octave below the audio's rate is halved, and the same kernels are an octave lower.

It computes what ``CQT2010v2`` of nnAudio 0.3.4 does, with which the published discriminators were trained, and so has
its properties: a transform of a signal with zeros around it, kernels of an absolute sum of 1 (L1), values times the square root of
the kernel's length, and a low-pass filter of 256 taps, which delays by half a sample each time.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Of the low-pass filter before the rate is halved.
TAPS = 256
#: Half the width of its transition, as a share of its cutoff.
TRANSITION = 0.001


def kernels(rate: float, lowest: float, bins: int) -> np.ndarray:
    """Complex kernels [bins, N] of the octave from ``lowest``, N a power of two, each with an absolute sum of 1.

    A bin of frequency f is a Hann window of ceil(Q * rate / f) samples times exp(2 pi i f n / rate), with
    Q = 1 / (2^(1 / bins) - 1), in the middle of N.

    Args:
        rate: sample rate [Hz].
        lowest: frequency of the first bin [Hz].
        bins: in the octave.
    """
    from scipy import signal

    frequencies = lowest * 2 ** (np.arange(bins) / bins)
    lengths = widths(rate, frequencies, bins)
    size = 2 ** math.ceil(math.log2(lengths.max()))
    made = np.zeros((bins, size), complex)
    for row, frequency, length in zip(made, frequencies, lengths, strict=True):
        places = np.arange(length) - (length + 1) // 2  # of an odd number, one more lies before the middle
        wave = signal.get_window("hann", length) * np.exp(2j * math.pi * frequency / rate * places)
        start = size // 2 + places[0]
        row[start : start + length] = wave / np.abs(wave).sum()
    return made


def widths(rate: float, frequencies: np.ndarray, bins: int) -> np.ndarray:
    """Lengths of the kernels [samples] of some frequencies [Hz] at a rate [Hz], for a number of bins in an octave."""
    return np.ceil(rate / (2 ** (1 / bins) - 1) / frequencies).astype(int)


def half_band() -> np.ndarray:
    """The low-pass filter [256] before the rate is halved."""
    from scipy import signal

    edges = [0.0, 0.5 / (1 + TRANSITION), 0.5 * (1 + TRANSITION), 1.0]
    return signal.firwin2(TAPS, edges, [1.0, 1.0, 0.0, 0.0])


class ConstantQ(nn.Module):
    """The complex constant-Q transform of audio.

    Args:
        rate: sample rate [Hz].
        hop: between frames [samples], a multiple of 2^(octaves - 1).
        lowest: frequency of the first bin [Hz].
        octaves: how many.
        bins: in an octave.

    Shape: [B, T] -> real and imaginary parts [B, 2, T // hop + 1, octaves * bins], low frequencies first.

    Raises:
        ValueError: if the hop cannot be halved so often, or the highest bin lies above half the rate.
    """

    waves: Tensor
    low_pass: Tensor
    scale: Tensor

    def __init__(self, *, rate: int, hop: int, lowest: float, octaves: int, bins: int) -> None:
        super().__init__()
        if hop % 2 ** (octaves - 1):
            raise ValueError(
                f"a hop must be a multiple of {2 ** (octaves - 1)} to be halved for each of {octaves} octaves, got {hop}"
            )
        frequencies = lowest * 2 ** (np.arange(octaves * bins) / bins)
        if frequencies[-1] > rate / 2:
            raise ValueError(
                f"the highest of {octaves} octaves from {lowest:g} Hz is at {frequencies[-1]:.0f} Hz, above half of {rate} Hz; "
                "take fewer octaves or a lower one to begin with"
            )
        self.hop, self.octaves = hop, octaves
        top = kernels(rate, frequencies[-bins], bins)
        # Conjugated: a tone that leads has a positive phase.
        waves = np.concatenate([top.real, -top.imag])
        scale = np.sqrt(widths(rate, frequencies, bins))
        for name, values in {"waves": waves[:, None], "low_pass": half_band()[None, None], "scale": scale}.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x, hop, found = x[:, None], self.hop, []
        half = self.waves.shape[-1] // 2
        for octave in range(self.octaves):
            if octave:
                x, hop = F.conv1d(x, self.low_pass, stride=2, padding=(TAPS - 1) // 2), hop // 2
            found.append(F.conv1d(x, self.waves, stride=hop, padding=half).unflatten(1, (2, -1)))
        spectrum = torch.cat(found[::-1], dim=2)  # [B, 2, bins of all octaves, frames]
        return spectrum.transpose(2, 3) * self.scale
