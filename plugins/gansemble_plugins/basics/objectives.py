"""Adversarial objectives on score maps [B, N] of one sub-discriminator.

The loop adds them up over sub-discriminators, each times its discriminator's weight; nothing is averaged over
sub-discriminators, as HiFi-GAN does it.
"""

from typing import ClassVar

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


class Relativistic:
    """Each real score is compared with a fake one (Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024).

    RpGAN: only the difference within a pair counts, so a generator cannot win by one score that every fake shares. Item i of
    the reals is paired with item i of the fakes, and an opinion with the same place's. In its own turn the generator is given
    the scores of real items too. R3GAN adds ``r1`` and ``r2``.

    Shape: scores [B, N] of both -> a scalar.

    Raises:
        ValueError: if the numbers of real and fake scores differ.
    """

    #: In the generator's turn it is called with (fake_score, real_score).
    needs_real_output: ClassVar[bool] = True

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """mean(softplus(-(D(x) - D(G))))."""
        return F.softplus(-_difference(real_score, fake_score)).mean()

    def generator(self, fake_score: Tensor, real_score: Tensor) -> Tensor:
        """mean(softplus(-(D(G) - D(x))))."""
        return F.softplus(-_difference(fake_score, real_score)).mean()


def _difference(one: Tensor, other: Tensor) -> Tensor:
    if one.shape != other.shape:
        raise ValueError(
            f"real and fake scores are compared pair by pair and must be of one shape, got {list(one.shape)} and "
            f"{list(other.shape)}; use another objective where their numbers differ"
        )
    return one.float() - other.float()
