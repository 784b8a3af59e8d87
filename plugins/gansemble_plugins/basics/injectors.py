"""White noise on what the discriminators see: instance noise, and forward diffusion of an adapting length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from gansemble.interfaces import Batch, Contract, Step, Turn
from gansemble.noise import ForwardProcess, noisy_items, some_of, wide


class Gaussian:
    """Instance noise (arXiv 1610.04490): independent white noise added to real and fake, fading out linearly.

    Args:
        sigma: standard deviation at the start.
        decay_steps: discriminator steps after which there is no noise, or null for constant noise.

    Shape: real and fake [B, ...], of any domain.

    Raises:
        ValueError: if ``sigma`` is negative or ``decay_steps`` is not positive.
    """

    statistic_turn: Turn = "discriminator"
    statistic_window = "interval"

    def __init__(self, *, sigma: float = 0.1, decay_steps: int | None = None) -> None:
        if sigma < 0:
            raise ValueError(f"sigma must not be negative, got {sigma:g}")
        if decay_steps is not None and decay_steps < 1:
            raise ValueError(f"decay_steps must be positive or null, got {decay_steps}")
        self.sigma, self.decay_steps = sigma, decay_steps
        # Only ``adapt`` tells an injector how far training is; a hundredth of the decay is fine enough.
        self.adapt_every = min(100, max(1, (decay_steps or 10_000) // 100))
        self.steps = 0

    @property
    def level(self) -> float:
        """The present standard deviation."""
        if self.decay_steps is None:
            return self.sigma
        return self.sigma * max(0.0, 1 - self.steps / self.decay_steps)

    @torch.no_grad()
    def _noise(self, like: Tensor, batch: Batch, stream: str) -> Tensor:
        return self.level * batch.draws.normal(stream, *like.shape[1:], dtype=like.dtype).to(like.device)

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Real and fake with noise of their own."""
        real, fake = wide(real), wide(fake)
        if self.level == 0:
            return real, fake
        seen_real = real + self._noise(real, batch, "noise/z_real")
        return seen_real, fake + self._noise(fake, batch, "noise/z_fake")

    def statistic(self, step: Step) -> Tensor:
        """Nothing [B]: only time moves the level."""
        return torch.zeros(step.real.shape[0], device=step.real.device)

    def adapt(self, value: float) -> None:
        """Another ``adapt_every`` steps have passed."""
        self.steps += self.adapt_every

    def monitors(self) -> dict[str, float]:
        """The present standard deviation."""
        return {"sigma": self.level}

    def state_dict(self) -> dict[str, Any]:
        """Steps passed."""
        return {"steps": torch.tensor(self.steps)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the steps passed."""
        self.steps = int(state["steps"])


class Diffusion:
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) sigma z: Diffusion-GAN (arXiv 2206.02262), t not told.

    The defaults are those of StandardDiff-GAN (arXiv 2402.01753). Diffusion-GAN's own are ``beta_first``
    1e-4, ``beta_last`` 2e-2, ``kwav`` 100 and ``shared_t`` false, with ``threshold`` 0 for losses on logits;
    its released code draws from ``priority_shifted``.

    Args:
        sigma: standard deviation of the noise at abar = 0; 1 is full scale.
        beta_first: beta_1.
        beta_last: beta_T, at every T.
        t_min: smallest T [diffusion steps], where training starts.
        t_max: largest T [diffusion steps].
        fixed_t: a T that never adapts, or null.
        target: r_d that holds T; above it T grows.
        every: training steps between updates of T.
        kwav: thousands of clips seen while T goes from smallest to largest.
        law: how likely each diffusion step is: proportional to t, to t - 1, or equal.
        pool: size of the pool items take their t from; half of it is t = 0.
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
        sigma: float = 0.05,
        beta_first: float = 1e-6,
        beta_last: float = 1e-2,
        t_min: int = 10,
        t_max: int = 1000,
        fixed_t: int | None = None,
        target: float = 0.6,
        every: int = 4,
        kwav: float = 500.0,
        law: Literal["priority", "priority_shifted", "uniform"] = "priority",
        pool: int = 64,
        threshold: float = 0.5,
        shared_t: bool = True,
        shared_noise: bool = False,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        if sigma < 0:
            raise ValueError(f"sigma must not be negative, got {sigma:g}")
        self.sigma, self.threshold = sigma, threshold
        self.shared_t, self.shared_noise = shared_t, shared_noise
        self.process = ForwardProcess(
            beta_first=beta_first,
            beta_last=beta_last,
            t_min=t_min,
            t_max=t_max,
            fixed_t=fixed_t,
            law=law,
            pool=pool,
            target=target,
            every=every,
            kwav=kwav,
            batch_size=batch_size,
            seed=seed,
        )
        self.adapt_every = every

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> Contract:
        """White noise asks nothing of any other part."""
        return Contract()

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
            white = some_of(batch.draws, rows).normal(stream, *like.shape[1:], dtype=like.dtype)
            noise[rows.to(like.device, non_blocking=True)] = self.sigma * white.to(like.device)
        return noise

    def statistic(self, step: Step) -> Tensor:
        """sign(mean score - threshold) of each real item as the discriminators saw it [B]."""
        return self.process.statistic(step, self.threshold)

    def adapt(self, value: float) -> None:
        """One update of T by r_d, the mean of the statistic."""
        self.process.adapt(value)

    def monitors(self) -> dict[str, float]:
        """T and p."""
        return self.process.monitors()

    def state_dict(self) -> dict[str, Any]:
        """The process' state."""
        return self.process.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the process' state."""
        self.process.load_state_dict(state)
