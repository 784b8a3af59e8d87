"""An adversarial objective."""

from torch import Tensor


class AcmeObjective:
    """Least squares (Mao et al. 2017, eq. 9) with one-sided label smoothing.

    Args:
        target: what the discriminators' loss pulls the scores of real clips to; the generator's pulls those of fakes to
            1.

    Shape:
        - real_score, fake_score: [B, N], N scores for each of B clips
        - output: a scalar
    """

    def __init__(self, *, target: float = 0.9) -> None:
        self.target = target

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """The discriminators' loss: mean (real - target)² + mean fake²."""
        return (real_score.float() - self.target).square().mean() + fake_score.float().square().mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        """The generator's loss: mean (fake - 1)²."""
        return (fake_score.float() - 1).square().mean()
