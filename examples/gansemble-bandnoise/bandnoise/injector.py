"""Noise within a band, on what the discriminators see."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bandnoise import band
from gansemble.audio.spec import AudioSpec
from gansemble.contract import TermContract
from gansemble.interfaces import Batch


class BandNoise:
    """Gaussian noise within a band, the same in real and fake, below each real item's level. Ours; no paper's.

    White noise z loses the bins outside the band, n = irfft(M rfft(z)) with M = 1 for low_hz <= f < high_hz and 0
    elsewhere, so no phase is turned; then n is scaled to rms(n) = rms(real) 10^(-snr_db / 20), for each item. As the
    noise is one for both, the difference of real and fake stays what it was.

    Args:
        low_hz: lower edge [Hz].
        high_hz: upper edge [Hz], at most half the sample rate.
        snr_db: signal-to-noise ratio of the real item [dB], the signal taken over all frequencies.

    Shape: real, fake [B, C, T] -> the same.

    Raises:
        ValueError: if the band cannot be.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        low_hz: float = band.DEFAULTS["low_hz"],
        high_hz: float = band.DEFAULTS["high_hz"],
        snr_db: float = 20.0,
    ) -> None:
        band.demand(low_hz, high_hz, audio.sample_rate)
        self.edges = (low_hz, high_hz, audio.sample_rate)
        self.factor = 10 ** (-snr_db / 20)

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        # Autocast off: noise of a hundredth does not survive bfloat16.
        with torch.autocast(real.device.type, enabled=False):
            noise = self.noise(real.detach().float(), batch)
            return real.float() + noise, fake.float() + noise

    @torch.no_grad()
    def noise(self, real: Tensor, batch: Batch) -> Tensor:
        """n [B, C, T]; nothing where the real item is silent."""
        # Each item draws its own, from the batch: equal for any number of processes, and after a resume.
        white = torch.fft.rfft(batch.draws.normal("bandnoise", *real.shape[1:]))
        within = band.bins(*self.edges, real.shape[-1])
        masked = torch.zeros_like(white)
        masked[..., within] = white[..., within]
        noise = torch.fft.irfft(masked, real.shape[-1])
        return noise * (_rms(real) * self.factor / _rms(noise).clamp_min(1e-12))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        """Samples, enough of them for the band to hold a bin of their spectrum."""
        low, high, rate = parameters["low_hz"], parameters["high_hz"], parameters["audio"].sample_rate
        if band.faults(low, high, rate):  # the recipe check tells, with the key
            return TermContract(domain="waveform")
        return TermContract(domain="waveform", shortest=band.shortest(low, high, rate), because={"shortest": "high_hz"})


def _rms(x: Tensor) -> Tensor:
    """Of each item, over channels and samples [B, 1, 1]."""
    return x.square().mean((1, 2), keepdim=True).sqrt()
