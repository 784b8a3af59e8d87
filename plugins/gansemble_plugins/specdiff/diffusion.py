"""White forward diffusion of what the discriminators see, of a length that adapts: StandardDiff-GAN and Diffusion-GAN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Batch, Step, Turn
from gansemble.numbers import BatchSize, NonNegative, Seed, Signed
from gansemble_plugins.specdiff.forward_process import ForwardProcess, noisy_items, wide
from gansemble_plugins.specdiff.schedule import SCHEDULE, DiffusionSchedule


class Diffusion:
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) sigma z: Diffusion-GAN (arXiv 2206.02262), t not told.

    The defaults are those of StandardDiff-GAN (arXiv 2402.01753). Diffusion-GAN's own have ``shared_t`` false, and
    ``threshold`` 0 for losses on logits; its schedule is told at
    :class:`gansemble_plugins.specdiff.schedule.DiffusionSchedule`.

    Args:
        sigma: standard deviation of the noise at abar = 0; 1 is full scale.
        schedule: of the diffusion: betas, length, law of the step and pool.
        threshold: half-way between the discriminators' targets for fake and real.
        shared_t: one t for an item's real and fake.
        shared_noise: one z for an item's real and fake.
        batch_size: clips in one step over all processes, supplied by the toolkit.
        seed: of the pool, supplied by the toolkit.

    Shape: real and fake [B, ...], of any domain.

    Raises:
        ValueError: if a number is out of range.
    """

    statistic_turn: Turn = "discriminator"
    statistic_window = "interval"

    def __init__(
        self,
        *,
        sigma: NonNegative = 0.05,
        schedule: DiffusionSchedule = SCHEDULE,
        threshold: Signed = 0.5,
        shared_t: bool = True,
        shared_noise: bool = False,
        batch_size: BatchSize = 16,
        seed: Seed = 0,
    ) -> None:
        if sigma < 0:
            raise ValueError(f"sigma must not be negative, got {sigma:g}")
        self.sigma, self.threshold = sigma, threshold
        self.shared_t, self.shared_noise = shared_t, shared_noise
        self.process = ForwardProcess(schedule, batch_size=batch_size, seed=seed)
        # T, its state and what is logged of it are the process' own.
        self.adapt, self.monitors = self.process.adapt, self.process.monitors
        self.state_dict, self.load_state_dict = self.process.state_dict, self.process.load_state_dict
        self.adapt_every = schedule.every

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> TermContract:
        """White noise asks nothing of any other part."""
        return TermContract()

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Real and fake after t diffusion steps.

        Raises:
            ValueError: if the shapes differ.
        """
        if real.shape != fake.shape:
            raise ValueError(f"real and fake must be alike, got {tuple(real.shape)} and {tuple(fake.shape)}")
        with torch.autocast(real.device.type, enabled=False):
            real, fake = wide(real), wide(fake)
            times = self.process.times(batch.draws)
            if self.shared_t:
                times[1] = times[0]
            streams = ("noise/z_real", "noise/z_real" if self.shared_noise else "noise/z_fake")
            seen_real = self.process.mix(real, self._noise(real, batch, times[0], streams[0]), times[0])
            return seen_real, self.process.mix(fake, self._noise(fake, batch, times[1], streams[1]), times[1])

    @torch.no_grad()
    def _noise(self, like: Tensor, batch: Batch, times: Tensor, stream: str) -> Tensor:
        """sigma z [B, ...]: zero for the items that stay clean, about half of them."""
        noise, rows = torch.zeros_like(like), noisy_items(times[None])
        if rows.numel():
            white = batch.draws.select(rows.tolist()).normal(stream, *like.shape[1:], dtype=like.dtype)
            noise[rows.to(like.device, non_blocking=True)] = self.sigma * white.to(like.device)
        return noise

    def statistic(self, step: Step) -> Tensor:
        """sign(mean score - threshold) of each real item as the discriminators saw it [B]."""
        return self.process.statistic(step, self.threshold)
