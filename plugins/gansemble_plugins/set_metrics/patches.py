"""The 64 log-mel bands of VGGish, cut into patches of 0.96 s (Hershey et al. 2017, *CNN Architectures for Large-Scale Audio
Classification*; Gemmeke et al. 2017, *Audio Set*)."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.features import hann
from gansemble_plugins.set_metrics.mel import mel

RATE, WINDOW, HOP, N_FFT, BANDS = 16000, 400, 160, 512, 64
LOWEST_HZ, HIGHEST_HZ, OFFSET = 125.0, 7500.0, 0.01
FRAMES = 96
#: Samples that the frames of one patch are computed from.
SAMPLES = WINDOW + (FRAMES - 1) * HOP
DEFINITION = (
    "16 kHz, Hann windows of 25 ms every 10 ms, FFT of 512, magnitudes, 64 triangles of height 1 from 125 to 7500 Hz on "
    "HTK's mel scale, ln(mel + 0.01)"
)


@lru_cache(maxsize=1)
def bands() -> Tensor:
    """Weights of the mel bands, float64 [257, 64]; nothing of 0 Hz."""
    bins = mel(torch.linspace(0.0, RATE / 2, N_FFT // 2 + 1, dtype=torch.float64))
    low, high = mel(torch.tensor([LOWEST_HZ, HIGHEST_HZ], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, BANDS + 2, dtype=torch.float64)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    matrix = torch.minimum(rising, falling).clamp_min(0.0)
    matrix[0] = 0.0
    return matrix


def log_mel(audio: Tensor) -> Tensor:
    """ln(mel + 0.01) of magnitudes, computed in float64: in float32 quiet bands beside loud ones are off by up to 2e-4.

    Shape:
        - input: [T] at 16 kHz, at least 400 samples
        - output: float32 [L, 64] with L = 1 + (T - 400) / 160, rounded down
    """
    # A frame is of 400 samples with zeros behind them, which torch.stft would put on both sides of it.
    frames = audio.double().unfold(0, WINDOW, HOP) * hann(WINDOW, audio.device, torch.float64)
    magnitudes = torch.fft.rfft(frames, N_FFT).abs()
    return torch.log(magnitudes @ bands().to(audio.device) + OFFSET).float()


def patches(audio: Tensor, length: int = FRAMES) -> Tensor:
    """Log-mel frames in patches side by side; frames after the last whole patch are left out, short audio is padded.

    Args:
        audio: [T] at 16 kHz.
        length: of a patch [frames].

    Shape:
        - input: [T]
        - output: [L, length, 64], L of at least 1
    """
    needed = WINDOW + (length - 1) * HOP
    image = log_mel(F.pad(audio, (0, max(0, needed - len(audio)))))
    return image[: len(image) // length * length].reshape(-1, length, BANDS)
