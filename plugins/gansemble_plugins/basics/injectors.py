"""White noise on what the discriminators see: instance noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gansemble.interfaces import Batch, Step, Turn
from gansemble.numbers import NonNegative, Steps


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

    def __init__(self, *, sigma: NonNegative = 0.1, decay_steps: Steps | None = None) -> None:
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
        real, fake = _at_least_single(real), _at_least_single(fake)
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


def _at_least_single(x: Tensor) -> Tensor:
    """Faint noise is lost in half precision."""
    return x if x.dtype == torch.float64 else x.float()
