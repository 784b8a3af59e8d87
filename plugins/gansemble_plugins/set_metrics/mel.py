"""Log-mel images as the SC09 classifier of WaveGAN sees them: frames padded at the end, triangles linear in mel."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.features import full_precision, hann

MELS = 128
LOWEST_HZ = 40.0
HIGHEST_HZ = 7800.0
FLOOR = 1e-6
#: The published analysis is of this rate; beyond it windows and hops are doubled.
RATE = 16000
HOP = 128


def doublings(sample_rate: int) -> int:
    """By how much 16 kHz windows and hops grow, a power of two, so that a bin is never wider than it was there."""
    return 2 ** max(0, math.ceil(math.log2(sample_rate / RATE)))


def highest(sample_rate: int) -> float:
    """The upper edge of the mel bands [Hz]."""
    return min(HIGHEST_HZ, 0.4875 * sample_rate)


def mel(hertz: Tensor) -> Tensor:
    """Hertz in HTK's mel."""
    return 1127.0 * torch.log1p(hertz / 700.0)


@lru_cache(maxsize=16)
def mel_matrix(sample_rate: int, n_fft: int) -> Tensor:
    """Triangles of height 1 from 40 Hz up, linear in mel, float64 [n_fft / 2 + 1, 128], as TensorFlow makes them."""
    bins = mel(torch.linspace(0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64))
    low, high = mel(torch.tensor([LOWEST_HZ, highest(sample_rate)], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, MELS + 2, dtype=torch.float64)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    matrix = torch.minimum(rising, falling).clamp_min(0.0)
    matrix[0] = 0.0
    return matrix


def frames(samples: int, hop: int) -> int:
    """Frames of a signal padded at its end: one for every started hop."""
    return -(-samples // hop)


def log_mel(audio: Tensor, sample_rate: int, n_fft: int, hop: int) -> Tensor:
    """ln(mel + 1e-6) of magnitudes [B, L, 128] of [B, T], L = T / hop rounded up; zeros follow the last sample."""
    count = frames(audio.shape[-1], hop)
    padded = F.pad(audio, (0, max(0, (count - 1) * hop + n_fft - audio.shape[-1])))
    window = hann(n_fft, audio.device, audio.dtype)
    spectrum = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    magnitudes = spectrum[..., :count].abs().transpose(1, 2)  # [B, L, bins]
    matrix = mel_matrix(sample_rate, n_fft).to(audio.device, audio.dtype)
    with full_precision():
        return torch.log(magnitudes @ matrix + FLOOR)


def patches(audio: Tensor, sample_rate: int, side: int = 32) -> Tensor:
    """The classifier's image averaged over at most ``side`` x ``side`` patches, as points [B, D]."""
    image = _in_pieces(audio, sample_rate, 1024)
    return F.adaptive_avg_pool2d(image[:, None], (min(side, image.shape[1]), side)).flatten(1)


def fine(audio: Tensor, sample_rate: int) -> Tensor:
    """Log-mel images of twice the classifier's window and of samples as 16-bit integers, as points [B, D]."""
    return _in_pieces(32768 * audio, sample_rate, 2048).flatten(1)


def _in_pieces(audio: Tensor, sample_rate: int, n_fft: int) -> Tensor:
    """As :func:`log_mel`, sixteen clips at a time, which a processor's cache holds and twice as fast."""
    scale = doublings(sample_rate)
    return torch.cat([log_mel(piece, sample_rate, n_fft * scale, HOP * scale) for piece in audio.split(16)])
