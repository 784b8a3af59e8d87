"""Short-time Fourier transform and log-mel spectrogram: the one implementation of framing, mel basis and log floor.

Framing is the convention of mel vocoders: the audio is reflect-padded by (n_fft - hop) / 2 samples on both sides and
then framed without further centring. L frames therefore stand for exactly L * hop samples, and frame k is centred on
sample k * hop + hop / 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.spec import AudioSpec


@contextmanager
def full_precision() -> Iterator[None]:
    """Context manager in which float32 matrix products keep their full precision, whatever the networks are allowed.

    TF32 has a mantissa of ten bits, about 60 dB: quiet bands beside loud ones would be lost in it.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@lru_cache(maxsize=64)
def hann(window: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The periodic Hann window [window], for a length in samples; cached."""
    return torch.hann_window(window, periodic=True, device=device, dtype=dtype)


@lru_cache(maxsize=64)
def mel_basis(spec: AudioSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The mel filter bank [M, F], with M = ``spec.mels`` bands and F = n_fft / 2 + 1 frequency bins; cached.

    By default, Slaney's mel scale and area normalisation, equal to librosa's filters within 1e-5; or HTK's scale and peaks
    of one: see the specification's ``mel_filters``.
    """
    # Here, not above: every network that works on spectra imports this module, to be checked or described, too.
    from gansemble.audio.torchaudio import functional

    filters = functional.melscale_fbanks(
        n_freqs=spec.n_fft // 2 + 1,
        f_min=float(spec.fmin),
        f_max=spec.top,
        n_mels=spec.mels,
        sample_rate=spec.sample_rate,
        norm="slaney" if spec.mel_filters == "slaney" else None,
        mel_scale=spec.mel_filters,
    )
    return filters.T.contiguous().to(device=device, dtype=dtype)


@lru_cache(maxsize=16)
def mel_pseudo_inverse(spec: AudioSpec, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The pseudo-inverse [F, M] of :func:`mel_basis` [M, F], computed in float64; cached."""
    basis = mel_basis(spec, torch.device("cpu"), torch.float64)
    return torch.linalg.pinv(basis).to(device=device, dtype=dtype)


def pad_frames(audio: Tensor, n_fft: int, hop: int) -> Tensor:
    """Reflect-pads audio by (n_fft - hop) / 2 samples on both sides, so that T samples give floor(T / hop) frames.

    Args:
        audio: [B, T].
        n_fft: frame length [samples].
        hop: frame shift [samples].

    Returns:
        Padded audio [B, T + n_fft - hop], where n_fft - hop is even.

    Raises:
        ValueError: if the audio is not longer than the padding.
    """
    pad = (n_fft - hop) // 2
    if audio.shape[-1] <= pad:
        raise ValueError(
            f"audio must be longer than {pad} samples to be framed (n_fft {n_fft}, hop {hop}), got {audio.shape[-1]}"
        )
    return reflect(audio, pad, pad)


def reflect(x: Tensor, left: int, right: int) -> Tensor:
    """Mirrors the first and last samples of a signal at its ends; the edge samples themselves are not repeated.

    Gives the values of ``torch.nn.functional.pad(mode="reflect")``, whose gradient on a GPU is not deterministic.

    Args:
        x: the signal.
        left: samples added in front.
        right: samples added behind.

    Shape:
        - input: [..., T], T samples
        - output: [..., left + T + right]

    Raises:
        ValueError: if the signal is not longer than either padding.
    """
    if max(left, right) >= x.shape[-1]:
        raise ValueError(f"reflecting {max(left, right)} samples needs more than as many, got {x.shape[-1]}")
    return torch.cat([x[..., 1 : left + 1].flip(-1), x, x[..., x.shape[-1] - 1 - right : -1].flip(-1)], -1)


def stft(audio: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
    """The complex short-time spectrum of audio, with a Hann window and this module's framing.

    Args:
        audio: the signal.
        n_fft: FFT length [samples].
        hop: frame shift [samples].
        window: length of the Hann window [samples], centred in the FFT's.

    Shape:
        - input: [B, T], B signals of T samples
        - output: [B, F, L], F = n_fft / 2 + 1 frequency bins and L = floor(T / hop) frames

    Raises:
        ValueError: if the audio is not longer than (n_fft - hop) / 2 samples.
    """
    # T + n_fft - hop padded samples hold floor((T - hop) / hop) + 1 = floor(T / hop) frames.
    padded = pad_frames(audio, n_fft, hop)
    shape = hann(window, audio.device, audio.dtype)
    return torch.stft(padded, n_fft, hop, window, shape, center=False, onesided=True, return_complex=True)


def magnitude(spectrum: Tensor, power_floor: float) -> Tensor:
    """The magnitude sqrt(re^2 + im^2 + power_floor) of a complex spectrum, in its shape.

    The floor keeps the gradient of the square root finite where the spectrum is zero.
    """
    return torch.sqrt(spectrum.real.square() + spectrum.imag.square() + power_floor)


def mel_of_magnitude(magnitudes: Tensor, spec: AudioSpec) -> Tensor:
    """The natural-log mel spectrogram ln(max(basis @ magnitudes, log_floor)) of magnitude spectra.

    Shape:
        - input: [B, F, L], F = n_fft / 2 + 1 frequency bins and L frames
        - output: [B, M, L], M = ``spec.mels`` bands
    """
    with full_precision():
        mel = torch.matmul(mel_basis(spec, magnitudes.device, magnitudes.dtype), magnitudes)
    return torch.log(mel.clamp_min(spec.log_floor))


def log_amplitude_of_mel(mel: Tensor, spec: AudioSpec) -> Tensor:
    """The natural-log amplitude spectrum ln(max(|pseudo-inverse @ exp(mel)|, log_floor)) that a log-mel spectrogram implies.

    The least-squares estimate of what the mel filters summed up (Lv et al. 2024, FreeV, arXiv 2406.08196, section 2.2: the
    mel times the pseudo-inverse of the filter bank). What it makes negative is mirrored, as in the published code. Above
    ``fmax``, where no filter reaches, it is the floor.

    Args:
        mel: natural-log mel spectrogram of this specification.
        spec: whose filters are inverted, and whose ``log_floor`` is the least amplitude.

    Shape:
        - input: [B, M, L], M = ``spec.mels`` bands and L frames
        - output: [B, F, L], F = n_fft / 2 + 1 frequency bins
    """
    with torch.autocast(mel.device.type, enabled=False), full_precision():
        wide = mel if mel.dtype == torch.float64 else mel.float()
        amplitude = torch.matmul(mel_pseudo_inverse(spec, wide.device, wide.dtype), wide.exp()).abs()
        return torch.log(amplitude.clamp_min(spec.log_floor))


def log_mel(audio: Tensor, spec: AudioSpec) -> Tensor:
    """The natural-log mel spectrogram of mono audio, with this module's framing and the specification's floors.

    Computed in the audio's precision, at least float32, and with autocast off, as half precision loses the log floor.

    Args:
        audio: mono, full scale ±1.
        spec: sample rate, framing, bands and floors.

    Shape:
        - input: [B, 1, T] or [B, T], B signals of T samples
        - output: [B, M, L], M = ``spec.mels`` bands and L = floor(T / hop) frames

    Raises:
        ValueError: if the audio has several channels or is too short for one frame.

    Example::

        from gansemble.audio.spec import AudioSpec

        spec = AudioSpec()  # 22,050 Hz, hop 256, 80 bands
        log_mel(torch.zeros(1, 22050), spec).shape  # torch.Size([1, 80, 86])
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
    """The signal whose windowed frames are nearest to given ones in the least-squares sense.

    Frames are multiplied by the window, added up at their places, and divided by the sum of the squared windows there.
    ``torch.istft(center=False)`` refuses a Hann window, because that sum is zero at the first sample; here the sum is
    clamped instead, and the samples concerned belong to the padding, which ``trim`` cuts off.

    Args:
        frames: what the windowed signal should be.
        hop: frame shift [samples].
        window: [W], at most as long as a frame; it is centred in it.
        length: samples wanted.
        trim: samples cut from the start.

    Shape:
        - input: [B, N, L], L frames of N = n_fft samples
        - output: [B, length]
    """
    n_fft, count = frames.shape[1], frames.shape[2]
    total = (count - 1) * hop + n_fft  # the last frame begins at (count - 1) * hop
    shape = F.pad(window, ((n_fft - window.numel()) // 2, (n_fft - window.numel() + 1) // 2))
    signal = F.fold(frames * shape[:, None], (1, total), (1, n_fft), stride=(1, hop))[:, 0, 0]
    weights = shape.square().expand(1, count, n_fft).transpose(1, 2)
    norm = F.fold(weights, (1, total), (1, n_fft), stride=(1, hop))[0, 0, 0]
    return signal[:, trim : trim + length] / norm[trim : trim + length].clamp_min(1e-11)


def istft(spectrum: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
    """The inverse of :func:`stft`, aligned with its input to the sample.

    Args:
        spectrum: complex.
        n_fft: FFT length [samples].
        hop: frame shift [samples].
        window: length of the Hann window [samples].

    Shape:
        - input: [B, F, L], F = n_fft / 2 + 1 frequency bins and L frames
        - output: [B, L * hop]
    """
    frames = torch.fft.irfft(spectrum, n=n_fft, dim=1)
    shape = hann(window, frames.device, frames.dtype)
    # The start that is cut off is the padding of pad_frames.
    return overlap_add(frames, hop, shape, spectrum.shape[-1] * hop, (n_fft - hop) // 2)
