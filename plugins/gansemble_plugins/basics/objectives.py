"""Adversarial objectives on score maps [B, N] of one sub-discriminator.

The loop adds them up over sub-discriminators, each times its discriminator's weight; nothing is averaged over
sub-discriminators, as HiFi-GAN does it.
"""

import torch.nn.functional as F
from torch import Tensor


class LeastSquares:
    """LSGAN (Mao et al. 2017; HiFi-GAN, eqs. 1 and 2): real scores to 1, fake scores to 0, the generator's to 1."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """mean((1 - D(x))^2) + mean(D(G)^2)."""
        return (1 - real_score.float()).square().mean() + fake_score.float().square().mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        """mean((1 - D(G))^2)."""
        return (1 - fake_score.float()).square().mean()


class Hinge:
    """Hinge loss (Lim and Ye 2017): scores beyond the margin of one cost nothing."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """mean(max(0, 1 - D(x))) + mean(max(0, 1 + D(G)))."""
        return F.relu(1 - real_score.float()).mean() + F.relu(1 + fake_score.float()).mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        """-mean(D(G))."""
        return -fake_score.float().mean()


class Wasserstein:
    """Wasserstein critic (Arjovsky et al. 2017, eqs. 2 and 3); wants a regulariser that bounds the critic's slope."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """mean(D(G)) - mean(D(x))."""
        return fake_score.float().mean() - real_score.float().mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        """-mean(D(G))."""
        return -fake_score.float().mean()


class NonSaturating:
    """The logistic loss with the non-saturating generator (Goodfellow et al. 2014, section 3); scores are logits."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """mean(softplus(-D(x))) + mean(softplus(D(G)))."""
        return F.softplus(-real_score.float()).mean() + F.softplus(fake_score.float()).mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        """mean(softplus(-D(G)))."""
        return F.softplus(-fake_score.float()).mean()
