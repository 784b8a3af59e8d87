"""Unpaired restoration with cycle consistency (Zhu et al. 2017): two generators, each with discriminators of its own."""

import torch.nn.functional as F
from torch import Tensor, nn

from gansemble import hookimpl
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition, zero


@hookimpl
def gansemble_register(register):
    register("generator", "two_ways", "two_ways:TwoWays", "restores, and damages, with a network for each")
    register("loss", "cycle", "two_ways:Cycle", "what goes there and back is what it was")
    register("regulariser", "damaged_domain", "two_ways:DamagedDomain", "the adversarial game of the damaging network")


def network(channels: int, blocks: int) -> nn.Sequential:
    layers = [nn.Conv1d(1, channels, 15, padding=7)]
    for block in range(blocks):
        layers += [nn.LeakyReLU(0.2), nn.Conv1d(channels, channels, 3, padding=2**block, dilation=2**block)]
    return nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Conv1d(channels, 1, 15, padding=7))


class TwoWays(nn.Module):
    """Two networks, each adding to its input: ``restore`` damaged recordings, and ``damage`` clean ones.

    Args:
        channels: of both networks.
        blocks: dilated convolutions of each.
    """

    def __init__(self, *, channels: int = 32, blocks: int = 6) -> None:
        super().__init__()
        self.restoring, self.damaging = network(channels, blocks), network(channels, blocks)
        self.context_frames = 14 + 2**blocks  # of the restoring network, on either side [samples]

    def forward(self, condition: Condition) -> Tensor:
        """The clean domain of damaged recordings; of ``clean`` ones, where there are such, their damaged versions."""
        if "clean" in condition.signals:
            return condition.signal("clean") + self.damaging(condition.signal("clean"))
        return condition.signal("degraded") + self.restoring(condition.signal("degraded"))

    @staticmethod
    def contract(parameters):
        return GeneratorContract(reads=frozenset({"degraded"}), domain="waveform", shape=(1, None))


class Cycle:
    """|damage(restore(b)) - b| + |restore(damage(a)) - a| + identity |restore(a) - a|, means, of unrelated a and b.

    Args:
        identity: weight of the identity term, 0.5 in the paper.
    """

    turns = frozenset({"generator"})

    def __init__(self, *, identity: float = 0.5) -> None:
        self.identity = identity

    def __call__(self, step, turn):
        damage = lambda x: step.generator(Condition(signals={"clean": x}))  # noqa: E731
        restore = lambda x: step.generator(Condition(signals={"degraded": x}))  # noqa: E731
        there = F.l1_loss(damage(step.fake), step.batch.signals["degraded"])
        back = F.l1_loss(restore(damage(step.real)), step.real)
        return there + back + self.identity * F.l1_loss(restore(step.real), step.real)


class DamagedDomain:
    """Least squares between damaged recordings and what ``damage`` makes of clean ones, judged by one discriminator.

    The discriminator has ``weight: 0`` in the recipe, so that it takes no part in the game of the restoring network.

    Args:
        judge: name of that discriminator.
    """

    turns = frozenset({"generator", "discriminator"})

    def __init__(self, *, judge: str) -> None:
        self.judge = judge

    def __call__(self, step, turn):
        condition = Condition(signals={"degraded": step.batch.signals["degraded"]})
        made = step.generator(Condition(signals={"clean": step.real}))
        if turn == "generator":
            (found,) = step.discriminators((made, condition))
            return sum(((each.score - 1) ** 2).mean() for each in found[self.judge]) + zero(made)
        real, fake = step.discriminators((step.batch.signals["degraded"], condition), (made.detach(), condition))
        return sum(
            ((a.score - 1) ** 2).mean() + (b.score**2).mean()
            for a, b in zip(real[self.judge], fake[self.judge], strict=True)
        )
