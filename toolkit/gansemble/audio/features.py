"""The one implementation of framing, mel basis and log floor.

Frames are those mel vocoders agree on: reflect padding of (n_fft - hop) / 2 on both sides, no centring, so that L frames stand for
exactly L * hop samples and frame k is centred on sample k * hop + hop / 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.audio.torchaudio import functional


@contextmanager
def full_precision() -> Iterator[None]:
    """float32 products with all their bits, whatever networks are allowed: TF32's ten lose what lies 60 dB down."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@lru_cache(maxsize=64)
def hann(window: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The periodic Hann window [window]."""
    return torch.hann_window(window, periodic=True, device=device, dtype=dtype)


@lru_cache(maxsize=64)
def mel_basis(spec: AudioSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Slaney mel filters [mels, n_fft / 2 + 1], equal to librosa's within 1e-5."""
    filters = functional.melscale_fbanks(
        n_freqs=spec.n_fft // 2 + 1,
        f_min=float(spec.fmin),
        f_max=spec.top,
        n_mels=spec.mels,
        sample_rate=spec.sample_rate,
        norm="slaney",
        mel_scale="slaney",
    )
    return filters.T.contiguous().to(device=device, dtype=dtype)


@lru_cache(maxsize=16)
def mel_pseudo_inverse(spec: AudioSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The mel basis' pseudo-inverse [n_fft / 2 + 1, mels], computed once per specification in float64."""
    basis = mel_basis(spec, torch.device("cpu"), torch.float64)
    return torch.linalg.pinv(basis).to(device=device, dtype=dtype)


def pad_frames(audio: Tensor, n_fft: int, hop: int) -> Tensor:
    """Reflect-pads [B, T] by (n_fft - hop) / 2 on both sides.

    Raises:
        ValueError: if the audio is too short to reflect.
    """
    pad = (n_fft - hop) // 2
    if audio.shape[-1] <= pad:
        raise ValueError(
            f"audio must be longer than {pad} samples to be framed (n_fft {n_fft}, hop {hop}), got {audio.shape[-1]}"
        )
    return reflect(audio, pad, pad)


def reflect(x: Tensor, left: int, right: int) -> Tensor:
    """[..., T] with its first and last samples mirrored in front and behind, the edges not repeated.

    What ``F.pad(mode="reflect")`` gives, whose gradient on a GPU is not the same twice.

    Raises:
        ValueError: if there are too few samples.
    """
    if max(left, right) >= x.shape[-1]:
        raise ValueError(f"reflecting {max(left, right)} samples needs more than as many, got {x.shape[-1]}")
    return torch.cat([x[..., 1 : left + 1].flip(-1), x, x[..., x.shape[-1] - 1 - right : -1].flip(-1)], -1)


def stft(audio: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
    """The complex spectrogram [B, n_fft / 2 + 1, T / hop] of [B, T], Hann window, frames as above."""
    padded = pad_frames(audio, n_fft, hop)
    shape = hann(window, audio.device, audio.dtype)
    return torch.stft(padded, n_fft, hop, window, shape, center=False, onesided=True, return_complex=True)


def magnitude(spectrum: Tensor, power_floor: float) -> Tensor:
    """sqrt(re^2 + im^2 + power_floor), whose gradient is finite at zero."""
    return torch.sqrt(spectrum.real.square() + spectrum.imag.square() + power_floor)


def mel_of_magnitude(magnitudes: Tensor, spec: AudioSpec) -> Tensor:
    """ln(max(basis @ magnitude, log_floor)) [B, mels, L] of [B, n_fft / 2 + 1, L]."""
    with full_precision():
        mel = torch.matmul(mel_basis(spec, magnitudes.device, magnitudes.dtype), magnitudes)
    return torch.log(mel.clamp_min(spec.log_floor))


def log_mel(audio: Tensor, spec: AudioSpec) -> Tensor:
    """The natural-log mel spectrogram [B, mels, T / hop] of mono audio [B, 1, T] or [B, T], with the framing and floor above.

    Computed in the audio's precision, at least float32, with autocast off: half precision loses the log floor.

    Raises:
        ValueError: if the audio has several channels or is too short for one frame.
    """
    if audio.dim() == 3:
        if audio.shape[1] != 1:
            raise ValueError(f"a mel spectrogram is of mono audio [B, 1, T], got {tuple(audio.shape)}")
        audio = audio.squeeze(1)
    with torch.autocast(audio.device.type, enabled=False):
        wide = audio if audio.dtype == torch.float64 else audio.float()
        spectrum = stft(wide, spec.n_fft, spec.hop, spec.window)
        return mel_of_magnitude(magnitude(spectrum, spec.power_floor), spec)


def overlap_add(frames: Tensor, hop: int, window: Tensor, length: int, trim: int) -> Tensor:
    """The least-squares signal [B, length] of windowed frames [B, n_fft, L], ``trim`` samples cut from the start.

    ``torch.istft(center=False)`` refuses a Hann window, because the first sample's window sum is zero; there the sum
    is clamped instead, and the samples it concerns are trimmed by the frames' padding.
    """
    n_fft, count = frames.shape[1], frames.shape[2]
    total = (count - 1) * hop + n_fft
    shape = F.pad(window, ((n_fft - window.numel()) // 2, (n_fft - window.numel() + 1) // 2))
    signal = F.fold(frames * shape[:, None], (1, total), (1, n_fft), stride=(1, hop))[:, 0, 0]
    weights = shape.square().expand(1, count, n_fft).transpose(1, 2)
    norm = F.fold(weights, (1, total), (1, n_fft), stride=(1, hop))[0, 0, 0]
    return signal[:, trim : trim + length] / norm[trim : trim + length].clamp_min(1e-11)


def istft(spectrum: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
    """The inverse of :func:`stft`: [B, n_fft / 2 + 1, L] -> [B, L * hop], sample-aligned."""
    frames = torch.fft.irfft(spectrum, n=n_fft, dim=1)
    shape = hann(window, frames.device, frames.dtype)
    return overlap_add(frames, hop, shape, spectrum.shape[-1] * hop, (n_fft - hop) // 2)
