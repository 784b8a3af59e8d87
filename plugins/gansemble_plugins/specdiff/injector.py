"""SpecDiff-GAN's noise injection: diffusion with noise shaped by the inverse of the real audio's envelope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.contract import TermContract
from gansemble.interfaces import Batch, Step, Turn
from gansemble.numbers import BatchSize, Floor, NonNegative, Seed, Signed, Width
from gansemble_plugins.specdiff.filter import noise_level, response, shape_noise
from gansemble_plugins.specdiff.forward_process import ForwardProcess, noisy_items, wide
from gansemble_plugins.specdiff.schedule import SCHEDULE, DiffusionSchedule


class SpectralDiffusion:
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps with eps = G^+ M G z, for real and fake audio alike.

    G is the STFT, G^+ its least-squares inverse, z white, and M a minimum-phase filter per frame, made from
    the conditioning mel spectrogram of the real audio: the inverse of its envelope, so that noise fills what
    is quiet. T adapts to the discriminators' confidence on real audio (see
    :class:`gansemble_plugins.specdiff.forward_process.ForwardProcess`).

    ``principled`` scales each item's noise to RMS ``sigma``, aligns the filter with its frames and keeps
    items apart. ``official`` is the released code: half-strength envelope, a filter half a hop early, noise
    of unscaled level, p(t) ∝ t - 1 (``law: priority`` is read as ``priority_shifted``), and division by the largest sample of the batch. The plugin's README
    lists every difference.

    Args:
        audio: the audio specification, supplied by the toolkit.
        shaping: of the noise: the envelope's inverse, the envelope, or white.
        compat: this toolkit's or the released form.
        sigma: RMS of the noise at abar = 0; 1 is full scale. The official form only uses it for white noise.
        lifter: cepstral coefficients kept of the envelope.
        floor: added to the envelope's linear magnitude, bounding the inverse.
        schedule: of the diffusion: betas, length, law of the step and pool.
        threshold: half-way between the discriminators' targets for fake and real.
        shared_t: one t for an item's real and fake.
        shared_noise: one z for an item's real and fake.
        batch_size: clips in one step over all processes, supplied by the toolkit.
        seed: of the pool, supplied by the toolkit.

    Shape: real and fake [B, 1, T], ``batch.signals["mel"]`` [B, mels, T / hop].

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        shaping: Literal["inverse", "envelope", "none"] = "inverse",
        compat: Literal["principled", "official"] = "principled",
        sigma: NonNegative = 0.05,
        lifter: Width = 24,
        floor: Floor = 0.01,
        schedule: DiffusionSchedule = SCHEDULE,
        threshold: Signed = 0.5,
        shared_t: bool = True,
        shared_noise: bool = False,
        batch_size: BatchSize = 16,
        seed: Seed = 0,
    ) -> None:
        if audio.n_fft % 2:
            raise ValueError(f"audio.n_fft must be even for a spectral envelope, got {audio.n_fft}")
        if not 1 <= lifter <= audio.n_fft // 2:
            raise ValueError(f"lifter must be 1 to n_fft / 2 = {audio.n_fft // 2} coefficients, got {lifter}")
        if sigma < 0 or floor <= 0:
            raise ValueError(f"sigma must not be negative and floor must be positive, got {sigma:g} and {floor:g}")
        self.audio, self.shaping, self.compat = audio, shaping, compat
        self.sigma, self.lifter, self.floor = sigma, lifter, floor
        self.threshold, self.shared_t, self.shared_noise = threshold, shared_t, shared_noise
        official = compat == "official"
        if official and schedule.law == "priority":
            schedule = replace(schedule, law="priority_shifted")
        self.process = ForwardProcess(schedule, batch_size=batch_size, seed=seed)
        # T, its state and what is logged of it are the process' own.
        self.adapt, self.monitors = self.process.adapt, self.process.monitors
        self.state_dict, self.load_state_dict = self.process.state_dict, self.process.load_state_dict
        self.adapt_every = schedule.every
        self.statistic_turn: Turn = "generator" if official else "discriminator"
        self.statistic_window = "last" if official else "interval"
        self.needs_real_output = official and schedule.fixed_t is None  # costs a forward pass

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> TermContract:
        """Shaped noise reads the mel spectrogram, and its frames must fit into the segment."""
        if parameters.get("shaping") == "none":
            return TermContract(domain="waveform")
        audio = parameters.get("audio")
        shortest = (audio.n_fft - audio.hop) // 2 + 1 if isinstance(audio, AudioSpec) else None
        return TermContract(needs=frozenset({"mel"}), domain="waveform", shortest=shortest)

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Real and fake after t diffusion steps; gradients reach the fake, never the filter.

        Raises:
            ValueError: if the shapes or the mel spectrogram do not fit.
        """
        if real.shape != fake.shape or real.dim() != 3 or real.shape[1] != 1:
            raise ValueError(f"real and fake must both be [B, 1, T], got {tuple(real.shape)} and {tuple(fake.shape)}")
        with torch.autocast(real.device.type, enabled=False):
            real, fake = wide(real), wide(fake)
            times = self.process.times(batch.draws)
            if self.shared_t:
                times[1] = times[0]
            noise = self._noise(real, batch, noisy_items(times))
            seen_real = self.process.mix(real, noise[0], times[0])
            seen_fake = self.process.mix(fake, noise[1], times[1])
            if self.compat == "official" and self.shaping != "none":
                return _by_peak(seen_real), _by_peak(seen_fake)
            return seen_real, seen_fake

    @torch.no_grad()
    def _noise(self, real: Tensor, batch: Batch, rows: Tensor) -> Tensor:
        """eps for real and fake [2, B, 1, T]: zero for the items that stay clean, about half of them."""
        mel = None if self.shaping == "none" else self._mel(batch, real.shape[-1])
        noise = real.new_zeros(2, *real.shape)
        if rows.numel() == 0:
            return noise
        draws, here = batch.draws.select(rows.tolist()), rows.to(real.device, non_blocking=True)
        streams = ("noise/z_real", "noise/z_real" if self.shared_noise else "noise/z_fake")
        white = torch.cat([draws.normal(name, real.shape[-1], dtype=real.dtype) for name in streams])
        noise[:, here, 0] = self.shape(white.to(real.device), mel, here).unflatten(0, (2, -1))
        return noise

    def shape(self, white: Tensor, mel: Tensor | None, rows: Tensor) -> Tensor:
        """Shaped noise [2 R, T] of white noise [2 R, T], R rows of it for real audio and R for fake."""
        if self.shaping == "none" or mel is None:
            return self.sigma * white
        chosen = mel[rows].to(white.dtype)
        filters = response(chosen, self.audio, self.lifter, self.floor, self.shaping, self.compat)
        if self.compat == "principled":
            filters = filters * (self.sigma / noise_level(filters, self.audio))[:, None, None]
        return shape_noise(white, filters.repeat(2, 1, 1), self.audio, self.compat)

    def _mel(self, batch: Batch, samples: int) -> Tensor:
        """The batch's mel spectrogram, checked to be that of the audio."""
        mel = batch.signals.get("mel")
        if mel is None:
            raise ValueError("spectral_diffusion must be given a mel spectrogram, got none: the generator reads no mel")
        bands, frames = mel.shape[1:]
        if bands != self.audio.mels:
            raise ValueError(f"the mel spectrogram must have audio.mels = {self.audio.mels} bands, got {bands}")
        if frames * self.audio.hop != samples:
            covered = f"{frames} frames of {self.audio.hop} = {frames * self.audio.hop} samples"
            raise ValueError(f"the mel spectrogram must cover the audio's {samples} samples exactly, got {covered}")
        return mel

    def statistic(self, step: Step) -> Tensor:
        """sign(mean score - threshold) of each real item as the discriminators saw it [B]."""
        return self.process.statistic(step, self.threshold)


def _by_peak(x: Tensor) -> Tensor:
    """The batch divided by its largest sample, through which gradients flow, as released; silence stays."""
    peak = x.abs().max()
    return x / torch.where(peak > 0, peak, torch.ones_like(peak))
