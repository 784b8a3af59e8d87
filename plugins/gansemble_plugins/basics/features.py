"""Conditioning signals of clean audio, frame by frame: energy, and fundamental frequency."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.features import stft
from gansemble.audio.spec import AudioSpec
from gansemble.contract import FeatureContract
from gansemble.numbers import Hertz, InnerShare


class Energy:
    """The natural logarithm of each frame's energy, the L2 norm of its magnitude spectrum (Ren et al. 2021, FastSpeech 2,
    section 2.3, without their quantisation).

    Args:
        audio: the recipe's audio section, whose frames and floor are taken.

    Shape:
        - input: audio [B, 1, T] of B clips
        - output: [B, 1, L], L = T / hop frames
    """

    def __init__(self, *, audio: AudioSpec) -> None:
        self.audio = audio

    def __call__(self, audio: Tensor) -> Tensor:
        with torch.autocast(audio.device.type, enabled=False):
            spectrum = stft(audio[:, 0].float(), self.audio.n_fft, self.audio.hop, self.audio.window)
            power = spectrum.real.square() + spectrum.imag.square()
            return 0.5 * torch.log(power.sum(1, keepdim=True).clamp_min(self.audio.log_floor**2))

    @staticmethod
    def contract(parameters: dict[str, object]) -> FeatureContract:
        """One number a frame."""
        return FeatureContract(channels=1)


class FundamentalFrequency:
    """The fundamental frequency [Hz] of each frame by YIN (de Cheveigné and Kawahara 2002), 0 where it is unvoiced.

    A frame's period is the first dip of the cumulative mean normalised difference (their eq. 8) below ``threshold``, or
    else the lowest dip, interpolated by a parabola. The authors have no unvoiced frames; here a frame is unvoiced where
    more than ``voicing`` of its power is aperiodic, as they read the height of a dip (their step 4).

    Args:
        audio: the recipe's audio section; frame k is centred on sample k * hop + hop / 2, like the mel spectrogram's.
        fmin: the lowest frequency looked for [Hz].
        fmax: the highest [Hz].
        threshold: of the normalised difference, for the first dip; the authors take 0.1.
        voicing: the largest normalised difference of a voiced frame.

    Shape:
        - input: audio [B, 1, T] of B clips
        - output: [B, 1, L], L = T / hop frames

    Raises:
        ValueError: if the range is empty or reaches beyond a quarter of the sample rate, or a threshold is not in (0, 1).
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        fmin: Hertz = 65.0,
        fmax: Hertz = 600.0,
        threshold: InnerShare = 0.1,
        voicing: InnerShare = 0.4,
    ) -> None:
        if not 0 < fmin < fmax <= audio.sample_rate / 4:
            raise ValueError(
                f"fmin must be above 0 and below fmax, that at most {audio.sample_rate / 4:g} Hz, got {fmin:g} and {fmax:g}"
            )
        for name, value in (("threshold", threshold), ("voicing", voicing)):
            if not 0 < value < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {value}")
        self.rate, self.hop, self.threshold, self.voicing = audio.sample_rate, audio.hop, threshold, voicing
        self.shortest = math.floor(audio.sample_rate / fmax)  # periods [samples]
        self.longest = math.ceil(audio.sample_rate / fmin)
        # Differences are summed over two of the longest periods, and reach one further.
        self.summed = 2 * self.longest
        self.frame = self.summed + self.longest + 1

    def __call__(self, audio: Tensor) -> Tensor:
        with torch.autocast(audio.device.type, enabled=False):
            return self._track(audio[:, 0].float())

    def _track(self, audio: Tensor) -> Tensor:
        frames = audio.shape[-1] // self.hop
        before = (self.frame - self.hop) // 2
        behind = max(0, (frames - 1) * self.hop + self.frame - before - audio.shape[-1])
        framed = F.pad(audio, (max(0, before), behind))[..., max(0, -before) :].unfold(-1, self.frame, self.hop)
        normalised = self._normalised_difference(framed[:, :frames])  # [B, L, longest + 2]
        left, here, right = normalised[..., :-2], normalised[..., 1:-1], normalised[..., 2:]
        dips = (here <= left) & (here < right)
        dips[..., : self.shortest - 1] = False  # place i stands for a period of i + 1 samples
        deep = dips & (here < self.threshold)
        lowest = here.masked_fill(~dips, math.inf).argmin(-1, keepdim=True)
        first = torch.where(deep.any(-1, keepdim=True), deep.float().argmax(-1, keepdim=True), lowest)
        a, b, c = (each.gather(-1, first)[..., 0] for each in (left, here, right))
        voiced = dips.any(-1) & (b < self.voicing)
        # The vertex of the parabola through three neighbours, at most half a sample away.
        shift = 0.5 * (a - c) / (a - 2 * b + c).clamp_min(1e-12)
        period = first[..., 0] + 1 + shift.clamp(-0.5, 0.5)
        return torch.where(voiced, self.rate / period, torch.zeros_like(period))[:, None]

    def _normalised_difference(self, framed: Tensor) -> Tensor:
        """Equations 6 and 8: [B, L, frame] -> [B, L, longest + 2], of the periods 0 to longest + 1."""
        size, lags = self.summed, self.longest + 2
        fast = 1 << (self.frame + size - 1).bit_length()
        # sum (x_j - x_{j+t})^2 = sum x_j^2 + sum x_{j+t}^2 - 2 sum x_j x_{j+t}, each over j = 0 .. size - 1.
        head = torch.fft.rfft(framed[..., :size], fast)
        product = torch.fft.irfft(head.conj() * torch.fft.rfft(framed, fast), fast)[..., :lags]
        energy = F.pad(framed.double().square().cumsum(-1), (1, 0))
        moving = (energy[..., size : size + lags] - energy[..., :lags]).float()
        difference = (moving[..., :1] + moving - 2 * product).clamp_min(0)
        lag = torch.arange(lags, device=framed.device, dtype=difference.dtype)
        mean = difference.cumsum(-1).clamp_min(1e-9)
        normalised = difference * lag / mean
        return torch.where(lag > 0, normalised, torch.ones_like(normalised))

    @staticmethod
    def contract(parameters: dict[str, object]) -> FeatureContract:
        """One number a frame."""
        return FeatureContract(channels=1)
