"""Objectives with one mistake each."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Sound:
    """Least squares (Mao et al. 2017): real scores to 1, fake scores to 0, the generator's to 1."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return (1 - real_score.float()).square().mean() + fake_score.float().square().mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        return (1 - fake_score.float()).square().mean()


class Swapped(Sound):
    """Real scores to 0, fake scores to 1."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return super().discriminator(fake_score, real_score)


class Obliging(Sound):
    """The generator wants its scores at 0, where the discriminators want them."""

    def generator(self, fake_score: Tensor) -> Tensor:
        return fake_score.float().square().mean()


class ForgetsTheFake(Sound):
    """Asks nothing of fake scores, as a term was lost when the line was wrapped."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return (1 - real_score.float()).square().mean()
        +fake_score.float().square().mean()


class SumsOpinions(Sound):
    """Sums over places: a discriminator with more of them weighs more."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return ((1 - real_score.float()).square() + fake_score.float().square()).sum(1).mean()


class SumsItems(Sound):
    """Sums over items: twice the batch is twice the loss."""

    def generator(self, fake_score: Tensor) -> Tensor:
        return (1 - fake_score.float()).square().mean(1).sum()


class LogOfSigmoid(Sound):
    """Takes the logarithm of a sigmoid, which is zero for a score of -1000."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return -(torch.sigmoid(real_score.float()).log().mean() + (1 - torch.sigmoid(fake_score.float())).log().mean())

    def generator(self, fake_score: Tensor) -> Tensor:
        return -torch.sigmoid(fake_score.float()).log().mean()


class Probabilities(Sound):
    """Cross-entropy of scores taken for probabilities: it raises for every score outside 0 to 1."""

    def generator(self, fake_score: Tensor) -> Tensor:
        return F.binary_cross_entropy(fake_score.float(), torch.ones_like(fake_score).float())


class ClampsInPlace(Sound):
    """Limits the scores where they lie, before the statistic reads them."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return (1 - real_score.clamp_(-1, 1).float()).mean() + (1 + fake_score.clamp_(-1, 1).float()).mean()


class OneValueAnItem(Sound):
    """Leaves the mean over items to somebody else: [B]."""

    def generator(self, fake_score: Tensor) -> Tensor:
        return (1 - fake_score.float()).square().mean(1)


class DetachedScore(Sound):
    """Detaches the generator's scores, as the discriminators' side does."""

    def generator(self, fake_score: Tensor) -> Tensor:
        return (1 - fake_score.detach().float()).square().mean()


class SmoothsAtRandom(Sound):
    """Draws soft labels from torch's own generator, which makes no two runs alike."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        soft = 1 - 0.1 * torch.rand_like(real_score)
        return (soft - real_score).float().square().mean() + fake_score.float().square().mean()


class KeepsABaseline(Sound):
    """Subtracts a running mean of fake scores: the same scores give another loss the next time."""

    def __init__(self) -> None:
        self.baseline = 0.0

    def generator(self, fake_score: Tensor) -> Tensor:
        value = super().generator(fake_score)
        self.baseline = 0.9 * self.baseline + 0.1 * float(value)
        return value - self.baseline


class StaysInHalf(Sound):
    """Sums in the scores' own precision, which is bfloat16 under autocast."""

    def generator(self, fake_score: Tensor) -> Tensor:
        return (1 - fake_score).square().mean()


class LearnsItsTarget(nn.Module):
    """Its target is a parameter, which no optimiser holds."""

    def __init__(self) -> None:
        super().__init__()
        self.target = nn.Parameter(torch.ones(()))

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return (self.target - real_score.float()).square().mean() + fake_score.float().square().mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        return (self.target - fake_score.float()).square().mean()


class TargetOnCpu(Sound):
    """Makes its targets on the CPU, wherever the scores are: no GPU runs it."""

    def generator(self, fake_score: Tensor) -> Tensor:
        return F.mse_loss(fake_score.float(), torch.ones(fake_score.shape))
