"""An adversarial objective; a module of its own that needs no plugin around it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


class Huber:
    """Least squares near the targets, absolute difference beyond: a score far off pulls no harder than ``beta``. Ours.

    With h(e) = e² / 2 for |e| < beta and beta (|e| - beta / 2) elsewhere, and LSGAN's targets (Mao et al. 2017):

        D: mean h(D(x) - 1) + mean h(D(G)),    G: mean h(D(G) - 1)

    Args:
        beta: distance from the target where the slope stops growing.

    Shape: scores [B, N] -> a scalar.

    Raises:
        ValueError: if ``beta`` is not positive.
    """

    def __init__(self, *, beta: float = 1.0) -> None:
        if beta <= 0:
            raise ValueError(f"beta must be positive, got {beta:g}")
        self.beta = beta

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """mean h(D(x) - 1) + mean h(D(G))."""
        return self._huber(real_score, 1.0) + self._huber(fake_score, 0.0)

    def generator(self, fake_score: Tensor) -> Tensor:
        """mean h(D(G) - 1)."""
        return self._huber(fake_score, 1.0)

    def _huber(self, score: Tensor, target: float) -> Tensor:
        score = score.float()
        return F.huber_loss(score, score.new_full(score.shape, target), delta=self.beta)
