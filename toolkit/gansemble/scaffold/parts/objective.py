"""An adversarial objective."""

from torch import Tensor


class AcmeObjective:
    """Least squares (Mao et al. 2017, eq. 9) with one-sided label smoothing.

    Args:
        target: what real scores are pulled to by the discriminators; the generator pulls fake ones to 1.

    Shape: scores [B, N] -> a scalar.
    """

    def __init__(self, *, target: float = 0.9) -> None:
        self.target = target

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        """mean (real - target)² + mean fake²."""
        return (real_score.float() - self.target).square().mean() + fake_score.float().square().mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        """mean (fake - 1)²."""
        return (fake_score.float() - 1).square().mean()
