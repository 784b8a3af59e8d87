"""Losses and regularisers that rest in most steps, keep a state, read one thing only, or count in both turns."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import TermContract
from gansemble.interfaces import Condition, Step, Turn, zero

GENERATOR: frozenset[Turn] = frozenset({"generator"})
DISCRIMINATOR: frozenset[Turn] = frozenset({"discriminator"})


def slopes(step: Step, x: Tensor) -> Tensor:
    """Squared slope of the scores at x [B, ...], of each item [B]."""
    x = x.detach().requires_grad_()
    (outputs,) = step.discriminators((x, step.real_condition))
    total = sum(output.score.sum() for each in outputs.values() for output in each)
    (gradient,) = torch.autograd.grad(total, x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


class LazyFirst:
    """R1 in the first of every four steps, four times as strong."""

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return 4 * slopes(step, step.seen_real).mean() if step.index % 4 == 0 else zero(step.real)


class LazyLast:
    """R1 in the last of every sixteen steps."""

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return slopes(step, step.seen_real).mean() if step.index % 16 == 15 else zero(step.real)


class LazyByBatch:
    """R1 in every hundredth step, read from the batch, with a graph in the steps between as well."""

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return slopes(step, step.seen_real).mean() * (1.0 if step.batch.step % 100 == 0 else 0.0)


class LateStart:
    """A mean absolute difference from step 5,000 on."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return (step.real - step.fake).abs().mean() if step.index >= 5000 else zero(step.fake)


class LazyMean:
    """How far scores of real items are from their running mean, every fourth step; the loop hands it the mean."""

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR
    adapt_every = 1
    statistic_turn: Turn = "discriminator"
    statistic_window = "last"

    def __init__(self) -> None:
        self.mean = 0.0

    def scores(self, step: Step) -> Tensor:
        """Of each real item [B]."""
        return torch.stack([real.score.mean(1) for _, real, _ in step.pairs()]).mean(0)

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return zero(step.real) if step.index % 4 else (self.scores(step) - self.mean).square().mean()

    def statistic(self, step: Step) -> Tensor:
        return self.scores(step)

    def adapt(self, value: float) -> None:
        self.mean += 0.01 * (value - self.mean)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean = state["mean"]


class LazyPool:
    """The distance between the means of real and fake levels of all items, every third step."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR

    def item_values(self, step: Step, turn: Turn) -> Tensor:
        return torch.stack([x.square().flatten(1).mean(1) for x in (step.real, step.fake)], 1)

    def pool(self, values: Tensor, step: Step, turn: Turn) -> Tensor:
        if step.index % 3:
            return zero(values)
        real, fake = values.mean(0)
        return (real - fake).square()

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.pool(self.item_values(step, turn), step, turn)


class SeldomAnything:
    """What is beyond full scale, which ordinary items are not: zero, with a graph."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return F.relu(step.fake.abs() - 1).mean()


class OtherInEachTurn:
    """Relativistic scores in both turns, and in the discriminators' alone a penalty, every second step."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR | DISCRIMINATOR
    needs_real_output = True

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        sign = 1.0 if turn == "generator" else -1.0
        apart = [F.softplus(sign * (real.score - fake.score)).mean() for _, real, fake in step.pairs()]
        value = torch.stack(apart).mean()
        lazily = turn == "discriminator" and step.index % 2 == 0
        return value + slopes(step, step.seen_real).mean() if lazily else value


class FeaturesOnly:
    """Feature matching."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR
    needs_real_output = True

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        pairs = [pair for _, real, fake in step.pairs() for pair in zip(real.features, fake.features, strict=True)]
        return torch.stack([(real.detach() - fake).abs().mean() for real, fake in pairs]).mean()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        return TermContract(needs=frozenset({"features"}))


class WeighedBySignals:
    """A difference that counts more where the mel spectrogram, a feature and the degraded audio say so."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        signals = step.batch.signals
        loud = signals["mel"].mean((1, 2)).sigmoid() + signals["loudness"].mean((1, 2)).log1p()
        harder = (signals["degraded"] - step.batch.audio).abs().mean((1, 2))
        return ((loud + harder)[:, None, None] * (step.real - step.fake).abs()).mean()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        return TermContract(needs=frozenset({"mel", "loudness", "degraded"}))


class FrozenNetwork(nn.Module):
    """Features of a network with fixed weights, kept in buffers, which no checkpoint holds."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR

    def __init__(self) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(0)
        self.register_buffer("weight", torch.randn(4, 1, 16, generator=drawn), persistent=False)

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        with torch.autocast(step.fake.device.type, enabled=False):
            real, fake = (F.conv1d(x.float(), self.weight, stride=8) for x in (step.real, step.fake))
        return (real - fake).abs().mean()


class PathLength:
    """How far the slopes of fakes to their latent vectors are from their running mean (Karras et al. 2020), lazily."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR
    adapt_every = 4
    statistic_turn: Turn = "generator"
    statistic_window = "last"

    def __init__(self) -> None:
        self.mean = 0.0

    def lengths(self, step: Step) -> Tensor:
        """Of each fake [B]."""
        told = step.fake_condition
        assert told.latent is not None
        with torch.enable_grad(), torch.autocast(step.fake.device.type, enabled=False):
            z = told.latent.detach().requires_grad_()
            made = step.generator(Condition(z, told.label, told.signals))
            noise = step.batch.draws.normal("paths", *made.shape[1:]) / made[0].numel() ** 0.5
            (slope,) = torch.autograd.grad((made * noise).sum(), z, create_graph=True)
        return slope.square().sum(1).add(1e-12).sqrt()

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return zero(step.fake) if step.index % 4 else (self.lengths(step) - self.mean).square().mean()

    def statistic(self, step: Step) -> Tensor:
        return self.lengths(step).detach()

    def adapt(self, value: float) -> None:
        self.mean += 0.01 * (value - self.mean)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean = state["mean"]


class ModeSeeking:
    """Distance of latent vectors over that of what is made of them (Mao et al. 2019), a ratio for each item."""

    turns: ClassVar[frozenset[Turn]] = GENERATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        told = step.fake_condition
        assert told.latent is not None
        z = step.batch.draws.uniform("modes", told.latent.shape[1])
        with torch.autocast(step.fake.device.type, enabled=False):
            other = step.generator(Condition(z, told.label, told.signals))
            apart = (other - step.fake.float()).abs().flatten(1).mean(1)
            return ((z - told.latent).abs().mean(1) / (apart + 1e-3)).mean()
