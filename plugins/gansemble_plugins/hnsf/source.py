"""The excitation: harmonics of a fundamental frequency where there is one, and noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: Length of the noise, which is repeated [samples].
NOISE = 1 << 16


class HarmonicSource(nn.Module):
    """Sine waves at the fundamental frequency and its harmonics, and noise, mixed into one signal by learnt weights.

    In voiced frames e_h(t) = amplitude * sin(2 pi sum of h f0 / rate + phase_h) + n(t) with n of standard deviation
    ``noise``; in unvoiced ones n alone with amplitude / 3 (Wang et al. 2019, eq. 2; the released code starts each
    harmonic but the first at a phase of its own). Harmonics at or beyond half the sample rate are left out.

    The noise is the same at each call, so that a waveform can be made again; the published code draws it.

    Args:
        sample_rate: [Hz].
        hop: samples for which a frame's frequency stands.
        harmonics: how many, the fundamental included.
        amplitude: of each sine.
        noise: standard deviation of the noise beside them.

    Shape:
        - input: f0 [B, 1, L] in Hz, 0 where a frame is unvoiced
        - output: [B, 1, L * hop] within ±1
    """

    phases: Tensor
    noises: Tensor

    def __init__(
        self, sample_rate: int, hop: int, harmonics: int, amplitude: float = 0.1, noise: float = 0.003
    ) -> None:
        super().__init__()
        self.sample_rate, self.hop, self.harmonics = sample_rate, hop, harmonics
        self.amplitude, self.noise = amplitude, noise
        drawn = torch.Generator().manual_seed(0)
        phases = torch.rand(harmonics, generator=drawn)
        phases[0] = 0
        self.register_buffer("phases", phases, persistent=False)
        self.register_buffer("noises", torch.randn(harmonics, NOISE, generator=drawn), persistent=False)
        self.mix = nn.Conv1d(harmonics, 1, 1)

    def forward(self, f0: Tensor) -> Tensor:
        with torch.autocast(f0.device.type, enabled=False):
            excitation = self.excitation(f0.float())
        return torch.tanh(self.mix(excitation))

    def excitation(self, f0: Tensor) -> Tensor:
        """[B, 1, L] -> the sines and their noise [B, H, L * hop], H harmonics."""
        samples = f0.repeat_interleave(self.hop, -1)
        # In double precision and modulo 1: a float32 sum over a minute has lost the phase.
        turns = (samples.double() / self.sample_rate).cumsum(-1).remainder(1)
        number = torch.arange(1, self.harmonics + 1, device=f0.device, dtype=torch.float64)[:, None]
        sines = torch.sin(2 * math.pi * (turns * number + self.phases[:, None])).float()
        voiced = samples > 0
        heard = voiced & (samples * number.float() < self.sample_rate / 2)
        times = torch.arange(samples.shape[-1], device=f0.device) % NOISE
        level = torch.where(voiced, self.noise, self.amplitude / 3)
        return self.amplitude * sines * heard + level * self.noises[:, times]
