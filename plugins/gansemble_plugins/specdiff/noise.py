"""The injected noise made visible for one clip: spectra of clip, envelope and noise, levels, and SNR at every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from gansemble.audio.features import hann, log_mel, stft
from gansemble.random import generator
from gansemble_plugins.specdiff.filter import Compat, log_magnitude, noise_level, response, smooth
from gansemble_plugins.specdiff.forward_process import alpha_bar
from gansemble_plugins.specdiff.injector import SpectralDiffusion

Form = Literal["inverse", "envelope", "none"]
#: Lengths T of the diffusion that the table and the pictures of the SNR show.
LENGTHS = (10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class ShapedNoise:
    """The noise of one form for one clip.

    Args:
        compat: the toolkit's or the released form.
        shaping: of the noise.
        samples: unmixed noise [T], as it stands in the mix at abar = 0.
        law: RMS that follows from the filters alone; sigma for white noise.
    """

    compat: Compat
    shaping: Form
    samples: Tensor
    law: float

    @property
    def name(self) -> str:
        """Of its column in the tables."""
        return f"{self.compat}_{self.shaping}"

    @property
    def rms(self) -> float:
        """Of the samples."""
        return rms(self.samples)


def rms(signal: Tensor) -> float:
    """Root mean square of a signal [T]."""
    return float(signal.square().mean().sqrt())


def shaped_noises(clip: Tensor, like: SpectralDiffusion, seed: int = 0) -> list[ShapedNoise]:
    """Noise of each shaping in both forms for a clip [T] of whole frames, from one and the same white noise.

    Args:
        clip: real audio.
        like: the injector whose audio section, sigma, lifter and floor are taken.
        seed: of the white noise.
    """
    mel, rows = log_mel(clip[None], like.audio), torch.zeros(1, dtype=torch.int64)
    white = torch.randn(clip.shape, generator=generator(seed, "noise made visible"), dtype=clip.dtype)[None]
    made = []
    for compat in get_args(Compat):
        for shaping in get_args(Form):
            part = SpectralDiffusion(
                audio=like.audio, shaping=shaping, compat=compat, sigma=like.sigma, lifter=like.lifter, floor=like.floor
            )
            law = like.sigma
            if compat == "official" and shaping != "none":
                law = float(
                    noise_level(response(mel, like.audio, like.lifter, like.floor, shaping, compat), like.audio)
                )
            made.append(ShapedNoise(compat, shaping, part.shape(white, mel, rows)[0], law))
    return made


def mean_spectrum(signal: Tensor, like: SpectralDiffusion) -> Tensor:
    """Mean power of a signal [T] in each bin [F] [dB]; the powers add up to the signal's mean square."""
    audio = like.audio
    power = stft(signal[None], audio.n_fft, audio.hop, audio.window)[0].abs().square().mean(1)
    return decibels(power * _one_sided(like, power))


def mean_envelope(clip: Tensor, like: SpectralDiffusion, compat: Compat) -> Tensor:
    """Mean power of the envelope that the filters are made of, in each bin [F] [dB], on :func:`mean_spectrum`'s scale."""
    magnitudes = smooth(log_magnitude(log_mel(clip[None], like.audio), like.audio, compat), like.lifter, compat).exp()
    power = magnitudes[0].square().mean(0)
    return decibels(power * _one_sided(like, power))


def _one_sided(like: SpectralDiffusion, power: Tensor) -> Tensor:
    """What squared magnitudes [F] of the STFT are multiplied by so that their sum over bins is the mean square."""
    audio = like.audio
    energy = hann(audio.window, torch.device("cpu"), torch.float64).square().sum()
    sides = torch.full_like(power, 2.0)
    sides[0] = sides[-1] = 1.0  # DC and Nyquist have no mirror image
    return sides / float(energy * audio.n_fft)


def decibels(power: Tensor) -> Tensor:
    """10 log10 of powers, those below -200 dB as -200."""
    return 10 * power.clamp_min(1e-20).log10()


def snr(abar: float, signal: float, noise: float) -> float:
    """Ratio of signal to noise in x_t [dB]: 10 log10(abar / (1 - abar)) + 20 log10(signal / noise).

    Args:
        abar: share of the signal's power left after t steps.
        signal: RMS of the clean clip.
        noise: RMS of the unmixed noise.

    Returns:
        Infinity without noise or at abar = 1; minus infinity for silence in noise; NaN for silence without noise.
    """
    wanted, unwanted = abar * signal**2, (1 - abar) * noise**2
    if unwanted == 0:
        return math.inf if wanted > 0 else math.nan
    return 10 * math.log10(wanted / unwanted) if wanted > 0 else -math.inf


def snr_rows(clip: Tensor, noises: list[ShapedNoise], like: SpectralDiffusion) -> Iterator[dict[str, float]]:
    """T, t, abar_t and the SNR of each form [dB], for t = 1 to T and every T of ``LENGTHS``."""
    schedule, signal = like.process.schedule, rms(clip)
    levels = {noise.name: noise.rms for noise in noises}
    for length in LENGTHS:
        for t, abar in enumerate(alpha_bar(length, schedule.beta_first, schedule.beta_last).tolist()[1:], 1):
            yield {"T": length, "t": t, "abar": abar} | {
                f"{name}_db": snr(abar, signal, level) for name, level in levels.items()
            }


def likeness(first: Tensor, second: Tensor) -> float:
    """Correlation over bins of two spectra [F] [dB]; NaN where one is flat."""
    pair = torch.stack([first, second])
    return float(torch.corrcoef(pair)[0, 1]) if float(pair.std(1).min()) > 0 else math.nan
