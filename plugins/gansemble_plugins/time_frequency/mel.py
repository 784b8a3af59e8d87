"""The mel spectrogram that a vocoder reads, from a picture's magnitudes."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from gansemble.audio.features import full_precision, mel_of_magnitude
from gansemble.audio.spec import AudioSpec
from gansemble_plugins.time_frequency.transforms import Scalogram, Spectrogram, times_of

#: Points of a bin that its mean is taken over.
POINTS = 8
#: With what power of its bandwidth a band's magnitude goes, from one resolution to another: 0.5 is right for noise, and had the
#: least error of 0.4 to 0.75 on environmental sounds; 1 would be right for sines.
POWER = 0.5


def log_mel(magnitudes: Tensor, transform: Scalogram | Spectrogram, sample_rate: int, spec: AudioSpec) -> Tensor:
    """Magnitudes [B, L, F] -> ln mel [B, mels, frames] by ``spec``'s frames, bins and floor.

    Straight in time between frames, and in frequency between bands; each band is brought from its own resolution to that of
    ``spec``'s bins. What lies outside the transform's bands is silence.
    """
    count = math.floor(transform.length / sample_rate * spec.sample_rate / spec.hop)
    if count < 1:
        raise ValueError(
            f"a clip of {transform.length} samples has no frame of {spec.hop} samples at {spec.sample_rate} Hz"
        )
    own = times_of(transform, magnitudes) / sample_rate
    steps = torch.arange(count, device=magnitudes.device, dtype=magnitudes.dtype)
    wanted = (steps * spec.hop + spec.hop / 2) / spec.sample_rate
    place = ((wanted - own[0]) / (transform.hop / sample_rate)).clamp(0, transform.frames - 1)
    below = place.floor().clamp(0, max(0, transform.frames - 2)).long()
    above = (below + 1).clamp_max(transform.frames - 1)
    timed = torch.lerp(magnitudes[:, below], magnitudes[:, above], (place - below)[:, None])
    weights = _weights(transform, sample_rate, spec)
    with full_precision():
        bins = timed @ weights.to(timed.dtype).to(timed.device).T
    return mel_of_magnitude(bins.transpose(1, 2), spec)


@lru_cache(maxsize=8)
def _weights(transform: Scalogram | Spectrogram, sample_rate: int, spec: AudioSpec) -> Tensor:
    """From bands to the magnitudes of ``spec``'s bins [bins, F]."""
    with torch.inference_mode(False):
        centres, widths = _bands(transform, sample_rate)
        width = 2 * spec.sample_rate / spec.window
        scale = (width / widths) ** POWER * (spec.window / 4)  # a Hann window adds up to half its length
        return _to_bins(centres, spec) * scale


def _bands(transform: Scalogram | Spectrogram, sample_rate: int) -> tuple[Tensor, Tensor]:
    """(centres, widths) [F] of bands [Hz]: a width is the area under a sine's magnitudes over its peak."""
    if isinstance(transform, Scalogram):
        centres = torch.tensor(transform.bank.frequencies, dtype=torch.float64, device="cpu")
        return centres, centres * (math.sqrt(2 * math.pi) / transform.bank.w0)
    centres = torch.arange(transform.bands, dtype=torch.float64, device="cpu") * (sample_rate / transform.n_fft)
    return centres, torch.full_like(centres, 2 * sample_rate / transform.window)


def _to_bins(centres: Tensor, spec: AudioSpec) -> Tensor:
    """The mean over each of ``spec``'s bins of what lies straight between bands [bins, F]."""
    bins = spec.n_fft // 2 + 1
    width = spec.sample_rate / spec.n_fft
    offsets = (torch.arange(POINTS, dtype=torch.float64, device="cpu") + 0.5) / POINTS - 0.5
    points = ((torch.arange(bins, dtype=torch.float64, device="cpu")[:, None] + offsets) * width).flatten()
    within = (points >= centres[0]) & (points <= centres[-1])
    above = torch.searchsorted(centres, points).clamp(1, len(centres) - 1)
    share = (points - centres[above - 1]) / (centres[above] - centres[above - 1])
    weights = torch.zeros(len(points), len(centres), dtype=torch.float64, device="cpu")
    rows = torch.arange(len(points), device="cpu")
    weights[rows, above - 1] = torch.where(within, 1 - share, 0.0)
    weights[rows, above] = torch.where(within, share, 0.0)
    return weights.view(bins, POINTS, -1).mean(1)
