"""The spectrum that upsampling leaves in a signal before anything is learnt, and how much of it a set holds."""

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
    """One clip [T] of each of so many generators with fresh Glorot-uniform weights and no biases, T = 16 x the strides'
    product: a latent vector uniform in ±1, a dense layer to 16 samples, a transposed convolution for each stride, which
    halves the channels down to ``dim`` and then makes one; ReLU between them and tanh at the end."""
    channels = [dim * 2 ** (len(strides) - 1 - i) for i in range(len(strides))] + [1]
    for number in range(generators):
        draws = random.generator(seed, "untrained", number)
        z = torch.rand(1, LATENT, generator=draws) * 2 - 1
        dense = _glorot(draws, (LATENT, BASE * channels[0]), LATENT + BASE * channels[0])
        x = F.relu(z @ dense).view(1, channels[0], BASE)
        for index, stride in enumerate(strides):
            fans = kernel * (channels[index] + channels[index + 1])
            weight = _glorot(draws, (channels[index], channels[index + 1], kernel), fans)
            first, length = max(0, kernel - stride) // 2, stride * x.shape[-1]
            wide = F.pad(F.conv_transpose1d(x, weight, stride=stride), (0, max(0, stride - kernel)))
            x = wide[..., first : first + length]
            x = F.relu(x) if index < len(strides) - 1 else torch.tanh(x)
        yield x[0, 0]


def _glorot(draws: torch.Generator, shape: tuple[int, ...], fans: int) -> Tensor:
    return (torch.rand(shape, generator=draws) * 2 - 1) * math.sqrt(6 / fans)


def magnitudes(clips: Iterable[Tensor | np.ndarray]) -> np.ndarray:
    """The mean magnitude spectrum [513], float64, of clips scaled to an RMS of 1: over frames of each clip (Hann 1024,
    hop 512, zeros after the last sample), then over clips; divided by white noise's, which is thus 1 everywhere."""
    total, count = np.zeros(WINDOW // 2 + 1), 0
    for clip in clips:
        audio = torch.as_tensor(clip, dtype=torch.float64)
        audio = audio / audio.square().mean().sqrt()
        hop = WINDOW // 2
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
    """The mean spectrum [513] of untrained generators' clips, its least value moved to 0 and its largest to 1."""
    found = magnitudes(clip for clip in untrained(generators, strides, kernel, dim) if bool(clip.any()))
    return (found - found.min()) / (found.max() - found.min())


def match(spectrum: np.ndarray, weights: np.ndarray) -> float:
    """The mean of a spectrum, weighted: 1 for white noise."""
    return float((spectrum * weights).sum() / weights.sum())
