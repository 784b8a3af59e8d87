"""Framing without centring, its inverse, and Griffin and Lim's search for a phase."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.features import hann


def analyse(audio: Tensor, n_fft: int, hop: int) -> Tensor:
    """The complex spectrogram [B, L, n_fft / 2 + 1] of [B, T]: frame k begins at sample k * hop; periodic Hann window."""
    shape = hann(n_fft, audio.device, audio.dtype)
    return torch.stft(audio, n_fft, hop, n_fft, shape, center=False, onesided=True, return_complex=True).transpose(1, 2)


def synthesise(spectrum: Tensor, n_fft: int, hop: int, legacy: bool = False) -> Tensor:
    """The signal [B, (L - 1) * hop + n_fft] of windowed frames, added up and divided by the sum of squared windows.

    That sum is nearly nothing at the first samples, which one frame alone sees through the window's rim; dividing by it
    would make clicks of a spectrogram that is not quite a signal's. It is held at its least value elsewhere, which fades
    them in. ``legacy`` leaves the division out, as the released code does: at half-overlapping frames, the signal times
    hann(t)² + hann(t + hop)², a ripple between 0.5 and 1.
    """
    shape = hann(n_fft, spectrum.device, spectrum.real.dtype)
    frames = torch.fft.irfft(spectrum, n=n_fft) * shape
    signal = _add(frames, hop)
    if legacy:
        return signal
    squares = shape.square()
    total = _add(squares.expand(1, frames.shape[1], n_fft), hop)
    least = F.pad(squares, (0, -n_fft % hop)).view(-1, hop).sum(0).min()
    return signal / total.clamp_min(least)


def _add(frames: Tensor, hop: int) -> Tensor:
    """Overlapping frames [B, L, n] added up [B, (L - 1) * hop + n]."""
    count, size = frames.shape[1:]
    length = (count - 1) * hop + size
    return F.fold(frames.transpose(1, 2), (1, length), (1, size), stride=(1, hop))[:, 0, 0]


def griffin_lim(
    magnitudes: Tensor, n_fft: int, hop: int, iterations: int, momentum: float = 0.0, legacy: bool = False
) -> Tensor:
    """A signal [B, (L - 1) * hop + n_fft] whose spectrogram is near ``magnitudes`` [B, L, n_fft / 2 + 1].

    Starts from a phase of zero and draws nothing. With ``momentum``, each step goes on in the direction of the last one
    (Perraudin, Balazs and Søndergaard 2013).
    """
    spectrum = torch.complex(magnitudes, torch.zeros_like(magnitudes))
    last: Tensor | None = None
    for _ in range(iterations):
        found = analyse(synthesise(spectrum, n_fft, hop, legacy), n_fft, hop)
        aim = found if last is None or not momentum else found + momentum * (found - last)
        last = found
        spectrum = magnitudes * (aim / aim.abs().clamp_min(1e-8))
    return synthesise(spectrum, n_fft, hop, legacy)
