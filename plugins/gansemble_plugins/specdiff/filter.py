"""The spectral envelope filter M of a mel spectrogram, and noise shaped by it: eps = STFT^-1(M STFT(z))."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.features import full_precision, hann, istft, mel_basis, mel_pseudo_inverse, stft
from gansemble.audio.spec import AudioSpec

Shaping = Literal["inverse", "envelope"]
Compat = Literal["principled", "official"]

#: Magnitudes this far below their frame's largest (-80 dB) are clamped: the pseudo-inverse goes to zero and
#: below, and one deep notch would bend all 24 cepstral coefficients.
RANGE = 1e-4


@lru_cache(maxsize=16)
def held_pseudo_inverse(spec: AudioSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The mel pseudo-inverse [F, mels] whose bins outside the bands repeat the nearest band's centre.

    Minimum-norm solutions fade to zero over the outer halves of the first and the last triangle and stay
    there, so the edge value is taken at those triangles' centres, not at fmin and fmax. It overshoots by 2 dB
    at the last, so every bin is scaled to give back a flat spectrum exactly.
    """
    basis = mel_basis(spec, torch.device("cpu"), torch.float64)
    centres = basis.argmax(1)[basis.amax(1) > 0]
    bins = torch.arange(basis.shape[1]).clamp(int(centres.min()), int(centres.max()))
    inverse = mel_pseudo_inverse(spec, torch.device("cpu"), torch.float64)[bins]
    flat = (inverse @ basis.sum(1)).clamp_min(0.5)
    return (inverse / flat[:, None]).to(device=device, dtype=dtype)


def log_magnitude(mel: Tensor, spec: AudioSpec, compat: Compat) -> Tensor:
    """Log magnitudes [B, L, F] of a log-mel spectrogram [B, mels, L], through the pseudo-inverse.

    The released code clamps at the mel's own floor, which also fills the bins above fmax.
    """
    inverse = mel_pseudo_inverse if compat == "official" else held_pseudo_inverse
    with full_precision():
        magnitudes = mel.exp().transpose(1, 2) @ inverse(spec, mel.device, mel.dtype).T
    if compat == "official":
        return magnitudes.clamp_min(spec.log_floor).log()
    floor = (magnitudes.amax(-1, keepdim=True) * RANGE).clamp_min(spec.log_floor)
    return torch.maximum(magnitudes, floor).log()


def smooth(log_magnitudes: Tensor, lifter: int, compat: Compat) -> Tensor:
    """The envelope of log magnitudes [..., F]: cepstral coefficients 0 to ``lifter - 1`` only.

    The cepstrum is that of the even spectrum of 2 F - 2 bins. The released code transforms the F one-sided
    bins and drops the coefficients' mirror images, which halves the envelope's deviation from its mean.
    """
    bins = log_magnitudes.shape[-1]
    if compat == "official":
        cepstrum = torch.fft.ifft(log_magnitudes, dim=-1)
        return torch.fft.fft(F.pad(cepstrum[..., :lifter], (0, bins - lifter)), dim=-1).real
    cepstrum = torch.fft.irfft(log_magnitudes, dim=-1)
    quefrency = torch.arange(2 * bins - 2, device=cepstrum.device)
    kept = torch.minimum(quefrency, 2 * bins - 2 - quefrency) < lifter
    return torch.fft.rfft(cepstrum * kept, dim=-1).real


def minimum_phase(magnitudes: Tensor) -> Tensor:
    """The complex logarithm [..., F] of the minimum-phase response with these magnitudes [..., F].

    The cepstrum folded onto positive quefrencies is causal, and so is its exponential; the negated logarithm
    is that of the inverse filter.
    """
    cepstrum = torch.fft.irfft(magnitudes.log(), dim=-1)
    middle = cepstrum.shape[-1] // 2
    fold = torch.zeros(cepstrum.shape[-1], device=cepstrum.device, dtype=cepstrum.dtype)
    fold[1:middle] = 2
    fold[0] = fold[middle] = 1
    return torch.fft.rfft(cepstrum * fold, dim=-1)


def response(mel: Tensor, spec: AudioSpec, lifter: int, floor: float, shaping: Shaping, compat: Compat) -> Tensor:
    """M [B, F, L], the envelope's minimum-phase filter or its inverse, from log mels [B, mels, L]."""
    envelope = smooth(log_magnitude(mel, spec, compat), lifter, compat).exp() + floor
    logarithm = minimum_phase(envelope)
    return torch.exp(-logarithm if shaping == "inverse" else logarithm).transpose(1, 2)


@lru_cache(maxsize=16)
def overlaps(spec: AudioSpec, frames: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """How much of the mean square each pair of frames makes [L, L]; the entries add up to 1.

    Overlap-add gives frame k the share g_k[n] = w_k^2[n] / sum_j w_j^2[n] of sample n; this is the mean of
    g_j g_k.
    """
    window = hann(spec.window, torch.device("cpu"), torch.float64).square()
    before, total = (spec.n_fft - spec.window) // 2, (frames - 1) * spec.hop + spec.n_fft
    shares = torch.zeros(frames, total, dtype=torch.float64)
    for frame in range(frames):
        start = frame * spec.hop + before
        shares[frame, start : start + spec.window] = window
    trim = (spec.n_fft - spec.hop) // 2
    shares = shares[:, trim : trim + frames * spec.hop]
    shares = shares / shares.sum(0).clamp_min(1e-11)
    return (shares @ shares.T / shares.shape[1]).to(device=device, dtype=dtype)


def noise_level(filters: Tensor, spec: AudioSpec) -> Tensor:
    """RMS [B] of unit white noise after the filters [B, F, L].

    Where filters change slowly this is the mean power gain over frames and all n_fft bins; neighbouring
    frames that differ partly cancel, by up to 8 % on speech, so the gains of all pairs of frames are weighed
    by their overlap.
    """
    parts = torch.view_as_real(filters.transpose(1, 2)).flatten(2)  # [B, L, 2 F]
    sides = torch.full_like(parts[0, 0], 2 / spec.n_fft)
    sides[:2] = sides[-2:] = 1 / spec.n_fft  # DC and Nyquist have no mirror image
    with full_precision():
        products = (parts * sides) @ parts.transpose(1, 2)  # [B, L, L]
    return (products * overlaps(spec, parts.shape[1], parts.device, parts.dtype)).sum((1, 2)).sqrt()


def shape_noise(noise: Tensor, filters: Tensor, spec: AudioSpec, compat: Compat) -> Tensor:
    """Noise [B, T] filtered frame by frame with M [B, F, L] and put together by least squares [B, T].

    The released code analyses uncentred and synthesises centred frames, so its filter comes half a hop early.
    """
    shaped = filters * stft(noise, spec.n_fft, spec.hop, spec.window)
    if compat == "principled":
        return istft(shaped, spec.n_fft, spec.hop, spec.window)
    window = hann(spec.window, noise.device, noise.dtype)
    return torch.istft(
        shaped, spec.n_fft, spec.hop, spec.window, window, center=True, onesided=True, length=noise.shape[-1]
    )
