"""Phases of short-time spectra: where they are counted from, and how those of overlapping frames are made to agree."""

import math

import torch
from torch import Tensor

from gansemble.audio.features import hann, magnitude, overlap_add
from gansemble.audio.spec import AudioSpec

#: How far the fast Griffin-Lim algorithm goes beyond each projection (Perraudin et al. 2013, section 4: 0.99).
MOMENTUM = 0.99


def centre_turn(n_fft: int, device: torch.device) -> Tensor:
    """The phase [F, 1] at a frame's start of what has phase zero at its centre, n_fft / 2 samples on: pi at odd bins."""
    return (torch.arange(n_fft // 2 + 1, device=device) % 2 * math.pi)[:, None]


def made_consistent(spectrum: Tensor, magnitudes: Tensor, audio: AudioSpec, rounds: int) -> Tensor:
    """A spectrum of the same magnitudes whose overlapping frames agree better: fast Griffin-Lim (Perraudin, Balazs and
    Sondergaard 2013).

    Each round goes to the nearest spectrum of a signal, beyond it by ``MOMENTUM`` times the step since the last one, and back
    to the magnitudes. Frames are overlapped without padding, so that any number of them will do.

    Args:
        spectrum: complex; its phases are what is begun with.
        magnitudes: its magnitudes.
        audio: the recipe's audio section, whose frames these are.
        rounds: how many; none gives the spectrum itself.

    Shape:
        - spectrum, magnitudes: [B, F, L], F = n_fft / 2 + 1 frequency bins and L frames
        - output: [B, F, L], complex
    """
    n_fft, hop = audio.n_fft, audio.hop
    window = hann(audio.window, magnitudes.device, magnitudes.dtype)
    length = (spectrum.shape[-1] - 1) * hop + n_fft
    before: Tensor | None = None
    for _ in range(rounds):
        signal = overlap_add(torch.fft.irfft(spectrum, n=n_fft, dim=1), hop, window, length, 0)
        nearest = torch.stft(signal, n_fft, hop, audio.window, window, center=False, return_complex=True)
        beyond = nearest if before is None else nearest + MOMENTUM * (nearest - before)
        spectrum, before = beyond * (magnitudes / magnitude(beyond, audio.power_floor)), nearest
    return spectrum
