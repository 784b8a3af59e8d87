"""The spectrum that upsampling layers give a signal before anything is learnt, and how much of it clips have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble import random
from gansemble.audio.features import hann

WINDOW = 1024
LATENT, BASE = 100, 16


def untrained(generators: int, strides: Sequence[int], kernel: int, dim: int, seed: int = 0) -> Iterable[Tensor]:
    """Yields one clip [T] of each of several generators of waveforms with random weights.

    Each maps a latent vector, uniform in ±1, by a dense layer to 16 samples, then by one transposed convolution for
    each stride to T = 16 x the product of the strides. The number of channels is halved from layer to layer down to
    ``dim``; the last layer makes one. Between layers there is a ReLU, at the end tanh. Weights are Glorot-uniform,
    without biases.

    Args:
        generators: how many.
        strides: of the transposed convolutions, in their order.
        kernel: size of each of them [samples].
        dim: channels before the last layer.
        seed: of the weights and latent vectors.
    """
    channels = [dim * 2 ** (len(strides) - 1 - i) for i in range(len(strides))] + [1]
    for number in range(generators):
        draws = random.generator(seed, "untrained", number)
        z = torch.rand(1, LATENT, generator=draws) * 2 - 1
        dense = _glorot(draws, (LATENT, BASE * channels[0]), LATENT + BASE * channels[0])
        x = F.relu(z @ dense).view(1, channels[0], BASE)
        for index, stride in enumerate(strides):
            fans = kernel * (channels[index] + channels[index + 1])
            weight = _glorot(draws, (channels[index], channels[index + 1], kernel), fans)
            # A transposed convolution gives stride (T - 1) + kernel samples; the middle stride T of them are kept.
            first, length = max(0, kernel - stride) // 2, stride * x.shape[-1]
            wide = F.pad(F.conv_transpose1d(x, weight, stride=stride), (0, max(0, stride - kernel)))
            x = wide[..., first : first + length]
            x = F.relu(x) if index < len(strides) - 1 else torch.tanh(x)
        yield x[0, 0]


def _glorot(draws: torch.Generator, shape: tuple[int, ...], fans: int) -> Tensor:
    return (torch.rand(shape, generator=draws) * 2 - 1) * math.sqrt(6 / fans)


def magnitudes(clips: Iterable[Tensor | np.ndarray]) -> np.ndarray:
    """The mean magnitude spectrum of clips, divided by that of white noise of the same level; float64 [513].

    Each clip is scaled to an RMS of 1. Magnitudes are averaged over its frames (Hann window of 1024 samples, hop 512,
    zeros after the last sample), then over clips. White noise has 1 at every frequency.

    Args:
        clips: float [T] each, not silent.
    """
    total, count = np.zeros(WINDOW // 2 + 1), 0
    for clip in clips:
        audio = torch.as_tensor(clip, dtype=torch.float64)
        audio = audio / audio.square().mean().sqrt()
        hop = WINDOW // 2
        # One frame for each started hop behind the first window: -(-a // b) is a / b rounded up.
        frames = max(1, -(-(len(audio) - WINDOW) // hop) + 1)
        padded = F.pad(audio, (0, (frames - 1) * hop + WINDOW - len(audio)))
        spectrum = torch.stft(padded, WINDOW, hop, window=_window(), center=False, return_complex=True)
        total += spectrum.abs().mean(1).numpy()
        count += 1
    # The magnitude of a complex normal number of variance v is sqrt(v pi / 4) on average.
    return total / count / math.sqrt(float(_window().square().sum()) * math.pi / 4)


def _window() -> Tensor:
    return hann(WINDOW, torch.device("cpu"), torch.float64)


@lru_cache(maxsize=8)
def envelope(generators: int, strides: tuple[int, ...], kernel: int, dim: int) -> np.ndarray:
    """The mean spectrum [513] of untrained generators' clips, shifted and scaled to the range 0 to 1.

    Args:
        generators: how many, as for :func:`untrained`.
        strides: of the transposed convolutions.
        kernel: size of each of them [samples].
        dim: channels before the last layer.
    """
    found = magnitudes(clip for clip in untrained(generators, strides, kernel, dim) if bool(clip.any()))
    return (found - found.min()) / (found.max() - found.min())


def match(spectrum: np.ndarray, weights: np.ndarray) -> float:
    """The mean of a spectrum [513], weighted by ``weights`` [513]; 1 for the spectrum of white noise."""
    return float((spectrum * weights).sum() / weights.sum())
