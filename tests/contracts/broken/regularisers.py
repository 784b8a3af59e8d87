"""Regularisers with one mistake each."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from gansemble.interfaces import Step, Turn


class Sound:
    """R1 (Mescheder et al. 2018): the squared slope of the scores at real items, a mean over items."""

    turns: ClassVar[frozenset[str]] = frozenset({"discriminator"})
    half = 0.5  # of Mescheder's gamma

    def slope(self, step: Step, x: Tensor, create_graph: bool = True) -> Tensor:
        """The gradient of the scores' sum at ``x`` [B, ...], flat [B, D]."""
        x = x.detach().requires_grad_()
        (outputs,) = step.discriminators((x, step.real_condition))
        total = sum(output.score.sum() for each in outputs.values() for output in each)
        (gradient,) = torch.autograd.grad(total, x, create_graph=create_graph)
        return gradient.flatten(1)

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.half * self.slope(step, step.seen_real).square().sum(1).mean()


class Sums(Sound):
    """Sums over items: twice the batch is twice the penalty."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.half * self.slope(step, step.seen_real).square().sum()


class WithoutGraph(Sound):
    """Takes the slope without a graph: the penalty is shown and never learnt."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.half * self.slope(step, step.seen_real, create_graph=False).square().sum(1).mean()


class InEveryTurn(Sound):
    """Says both turns, but in the generator's nothing of it depends on the generator."""

    turns = frozenset({"generator", "discriminator"})


class MisspeltTurn(Sound):
    """Names the recipe's section instead of the turn: it would never be called."""

    turns = frozenset({"discriminators"})


class NoTurns:
    """Written for another toolkit, where a penalty has no turns."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return sum(parameter.square().mean() for parameter in step.discriminators.parameters())


class InterpolatesByItself(Sound):
    """WGAN-GP (Gulrajani et al. 2017) that draws its places from torch's own generator."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        share = torch.rand(step.real.shape[0], 1, 1, device=step.real.device)
        between = share * step.seen_real + (1 - share) * step.seen_fake
        return (self.slope(step, between).square().sum(1).add(1e-12).sqrt() - 1).square().mean()


class DistanceOfScores(Sound):
    """Asks real and fake scores to be alike by a root mean square, whose slope is infinite for a perfect fake."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        apart = [(real.score - fake.score).square().mean(1).sqrt().mean() for _, real, fake in step.pairs()]
        return torch.stack(apart).mean()


class RunningSlope(Sound, nn.Module):
    """Path length's running mean (Karras et al. 2020) in a plain attribute, which no checkpoint holds."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = 0.0

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        length = self.slope(step, step.seen_real).norm(dim=1)
        self.mean = 0.99 * self.mean + 0.01 * float(length.mean())
        return (length - self.mean).square().mean()


class LearnsWithIt(Sound, nn.Module):
    """Predicts a statistic of the scores by a layer of its own, which no optimiser holds."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.layer(super().__call__(step, turn)[None]).square().mean()


class NoisesTheStep(Sound):
    """Perturbs the fake where it lies (consistency regularisation): the losses after it see the noise."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        step.seen_fake.add_(0.01 * step.batch.draws.normal("perturb", *step.fake.shape[1:]))
        return super().__call__(step, turn)


class RelativeToTheBatch(Sound):
    """Penalises how far slopes are from the batch's mean slope: half a batch has another one."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.slope(step, step.seen_real).norm(dim=1).var()


class OneTurnAsText(Sound):
    """Names its turn without a set around it."""

    turns = "discriminator"  # type: ignore[assignment]


class TurnsOnGradients(Sound):
    """Makes the step's own signal ask for gradients: every later use of it builds a graph."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        x = step.seen_real.requires_grad_()
        (outputs,) = step.discriminators((x, step.real_condition))
        total = sum(output.score.sum() for each in outputs.values() for output in each)
        (gradient,) = torch.autograd.grad(total, x, create_graph=True)
        return self.half * gradient.flatten(1).square().sum(1).mean()


class GoesBackward(Sound):
    """Calls backward itself, as a script does: the loop's own call counts it twice, at another weight."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        value = super().__call__(step, turn)
        value.backward(retain_graph=True)
        return value


class LeavesEval(Sound):
    """Puts the discriminators into eval for its own call, and leaves them there."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        step.discriminators.eval()
        return super().__call__(step, turn)


class Freezes(Sound):
    """Freezes the generator for its own call, and leaves it frozen."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        step.generator.requires_grad_(False)
        return super().__call__(step, turn)


class ClipsWeights(Sound):
    """Clips the discriminators' weights between their forward and their backward."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        for weight in step.discriminators.parameters():
            weight.data.clamp_(-0.01, 0.01)
        return super().__call__(step, turn)


class CentresFeatures(Sound):
    """Centres feature maps where they lie, which feature matching reads later."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        for _, real, _ in step.pairs():
            for each in real.features:
                each.data -= each.data.mean()
        return super().__call__(step, turn)


class ForgetsItsMean(Sound):
    """Path length's running mean, and no state dict at all."""

    mean = 0.0

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        length = self.slope(step, step.seen_real).norm(dim=1)
        self.mean += 0.01 * (float(length.mean()) - self.mean)
        return (length - self.mean).square().mean()


class Observes(Sound):
    """Notes the level of the scores for a file of its own, and teaches nothing."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        self.seen = [float(real.score.detach().mean()) for _, real, _ in step.pairs()]
        return torch.zeros((), device=step.real.device)


class LazySums(Sound):
    """Sums over items, and does so every fourth step only."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        slope = self.slope(step, step.seen_real)
        return slope.square().sum() if step.index % 4 == 0 else torch.zeros((), device=slope.device)


class LazyInPlace(Sound):
    """Scales the step's own signal where it lies, every sixteenth step only."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        if step.index % 16 != 15:
            return torch.zeros((), device=step.real.device)
        step.seen_real.mul_(2)
        return super().__call__(step, turn)


class RestsInAList(Sound):
    """Gives a zero of one element in the steps between, which is no scalar."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return super().__call__(step, turn) if step.index % 4 == 0 else torch.zeros(1)


class ReachesTheGenerator(Sound):
    """Drift of the fakes' scores, of fakes as they are: what it teaches the discriminators goes on into the generator."""

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        (outputs,) = step.discriminators((step.seen_fake, step.fake_condition))
        return torch.stack([output.score.square().mean() for each in outputs.values() for output in each]).mean()
