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


@torch.no_grad()
def agreeing_phases(magnitudes: Tensor, phases: Tensor, audio: AudioSpec, rounds: int) -> Tensor:
    """Phases under which overlapping frames of these magnitudes agree better: fast Griffin-Lim (Perraudin, Balazs and
    Sondergaard 2013), begun with given ones.

    Each round goes to the nearest spectrum of a signal, beyond it by ``MOMENTUM`` times the step since the last one, and back
    to the magnitudes. Frames are overlapped without padding, so that any number of them will do.

    No gradient goes through it: that of so many rounds, each with the phase of what is all but zero, is mostly noise, and
    costs as much again as the rounds.

    Args:
        magnitudes: of the spectrum; they are held.
        phases: what is begun with.
        audio: the recipe's audio section, whose frames these are.
        rounds: how many.

    Shape:
        - magnitudes, phases: [B, F, L], F = n_fft / 2 + 1 frequency bins and L frames
        - output: [B, F, L], within ±pi if there is a round
    """
    if not rounds:
        return phases
    n_fft, hop = audio.n_fft, audio.hop
    window = hann(audio.window, magnitudes.device, magnitudes.dtype)
    length = (magnitudes.shape[-1] - 1) * hop + n_fft
    spectrum, before = torch.polar(magnitudes, phases), torch.zeros(())
    for round_ in range(rounds):
        signal = overlap_add(torch.fft.irfft(spectrum, n=n_fft, dim=1), hop, window, length, 0)
        nearest = torch.stft(signal, n_fft, hop, audio.window, window, center=False, return_complex=True)
        beyond = nearest + MOMENTUM * (nearest - before) if round_ else nearest
        spectrum, before = beyond * (magnitudes / magnitude(beyond, audio.power_floor)), nearest
    return spectrum.angle()
