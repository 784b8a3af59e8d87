"""Log-mel spectrograms as WaveGAN's classifier of SC09 has them: padded at the end, mel triangles of height 1."""

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
    """The factor, a power of two, by which windows and hops are longer than at 16 kHz.

    It is the least one with which an FFT bin is no wider [Hz] than at 16 kHz.
    """
    # The least power of two that is at least sample_rate / 16 kHz.
    return 2 ** max(0, math.ceil(math.log2(sample_rate / RATE)))


def highest(sample_rate: int) -> float:
    """The upper edge of the highest mel band [Hz]: 7800, or 0.4875 of the sample rate if that is less."""
    return min(HIGHEST_HZ, 0.4875 * sample_rate)


def mel(hertz: Tensor) -> Tensor:
    """Frequencies [Hz] on HTK's mel scale."""
    return 1127.0 * torch.log1p(hertz / 700.0)


@lru_cache(maxsize=16)
def mel_matrix(sample_rate: int, n_fft: int) -> Tensor:
    """Weights of the mel bands, float64 [n_fft / 2 + 1, 128], as TensorFlow computes them.

    Bands are triangles of height 1 between 40 Hz and :func:`highest`, linear on the mel scale.

    Args:
        sample_rate: [Hz].
        n_fft: length of the FFT [samples].
    """
    bins = mel(torch.linspace(0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64))
    low, high = mel(torch.tensor([LOWEST_HZ, highest(sample_rate)], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, MELS + 2, dtype=torch.float64)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    matrix = torch.minimum(rising, falling).clamp_min(0.0)
    matrix[0] = 0.0
    return matrix


def frames(samples: int, hop: int) -> int:
    """Number of frames of a signal that is padded at its end: its length by the hop, rounded up."""
    return -(-samples // hop)


def log_mel(audio: Tensor, sample_rate: int, n_fft: int, hop: int) -> Tensor:
    """Log-mel spectrogram ln(mel + 1e-6) of magnitudes; zeros follow the last sample.

    Args:
        audio: waveforms [B, T].
        sample_rate: [Hz].
        n_fft: length of FFT and Hann window [samples].
        hop: from frame to frame [samples].

    Shape:
        - input: [B, T], B clips of T samples
        - output: [B, L, 128], L = T / hop rounded up
    """
    count = frames(audio.shape[-1], hop)
    padded = F.pad(audio, (0, max(0, (count - 1) * hop + n_fft - audio.shape[-1])))
    window = hann(n_fft, audio.device, audio.dtype)
    spectrum = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    magnitudes = spectrum[..., :count].abs().transpose(1, 2)  # [B, L, bins]
    matrix = mel_matrix(sample_rate, n_fft).to(audio.device, audio.dtype)
    with full_precision():
        return torch.log(magnitudes @ matrix + FLOOR)


def patches(audio: Tensor, sample_rate: int, side: int = 32) -> Tensor:
    """The classifier's log-mel image, averaged over at most ``side`` x ``side`` patches, as one point for each clip.

    Shape:
        - input: waveforms [B, T]
        - output: [B, min(side, L) x side], L frames
    """
    image = _in_pieces(audio, sample_rate, 1024)
    return F.adaptive_avg_pool2d(image[:, None], (min(side, image.shape[1]), side)).flatten(1)


def fine(audio: Tensor, sample_rate: int) -> Tensor:
    """A finer log-mel image as one point for each clip: twice the classifier's window, samples as 16-bit integers.

    Shape:
        - input: waveforms [B, T]
        - output: [B, L x 128], L frames
    """
    return _in_pieces(32768 * audio, sample_rate, 2048).flatten(1)


def _in_pieces(audio: Tensor, sample_rate: int, n_fft: int) -> Tensor:
    """Like :func:`log_mel`, sixteen clips at a time: that fits into a processor's cache and is twice as fast."""
    scale = doublings(sample_rate)
    return torch.cat([log_mel(piece, sample_rate, n_fft * scale, HOP * scale) for piece in audio.split(16)])
