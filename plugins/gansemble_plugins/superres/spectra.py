"""Power spectrograms, and the band of a spectrogram's bins."""

from __future__ import annotations

import torch
from torch import Tensor

from gansemble.audio.features import hann, reflect
from gansemble.interfaces import Step


def signals(step: Step) -> tuple[Tensor, Tensor]:
    """step.real and step.fake [B, C, T], in at least float32, as mono signals [B * C, T]; no gradient to the real ones.

    Raises:
        ValueError: if their shapes differ.
    """
    if step.real.shape != step.fake.shape:
        raise ValueError(
            f"fake must have the real audio's shape {tuple(step.real.shape)}, got {tuple(step.fake.shape)}"
        )
    real, fake = (x if x.dtype == torch.float64 else x.float() for x in (step.real.detach(), step.fake))
    return real.reshape(-1, real.shape[-1]), fake.reshape(-1, fake.shape[-1])


def power_spectrum(
    audio: Tensor, n_fft: int, hop: int, pad_mode: str, window: Tensor | None = None, center: bool = True
) -> Tensor:
    """|X|^2 [N, n_fft / 2 + 1, L] of [N, T]: re^2 + im^2, whose gradient is finite at silence.

    Frames are centred with n_fft / 2 samples of padding, or begin at the first sample. The window is a periodic Hann of
    n_fft samples unless given; a shorter one is centred in the frame.

    Raises:
        ValueError: if the audio is too short to reflect.
    """
    if center and pad_mode == "reflect" and audio.shape[-1] <= n_fft // 2:
        raise ValueError(
            f"audio must be longer than {n_fft // 2} samples to be reflected (n_fft {n_fft}), got {audio.shape[-1]}"
        )
    shape = hann(n_fft, audio.device, audio.dtype) if window is None else window
    if center and pad_mode == "reflect":
        audio, center = reflect(audio, n_fft // 2, n_fft // 2), False
    spectrum = torch.stft(
        audio, n_fft, hop, shape.numel(), shape, center=center, pad_mode=pad_mode, return_complex=True
    )
    return spectrum.real.square() + spectrum.imag.square()


def bins(n_fft: int, sample_rate: int, low: float, high: float | None) -> slice:
    """The bins of a spectrum from ``low`` up to ``high`` [Hz], without the latter's.

    Cut at bin int((n_fft / 2 + 1) * f / nyquist), as NU-Wave 2 cuts its LSD-HF and LSD-LF, so that two bands that meet
    share no bin and leave none out.

    Raises:
        ValueError: if there is none.
    """
    nyquist, count = sample_rate / 2, n_fft // 2 + 1
    if low < 0 or (high is not None and high > nyquist):
        raise ValueError(f"a band must lie within 0 and {nyquist:g} Hz, got {low:g} to {high or nyquist:g} Hz")
    first, end = (int(count * frequency / nyquist) for frequency in (low, nyquist if high is None else high))
    if first >= end:
        raise ValueError(
            f"low must lie at least a bin of {sample_rate / n_fft:g} Hz (n_fft {n_fft}) below high, "
            f"got {low:g} to {nyquist if high is None else high:g} Hz"
        )
    return slice(first, end)
