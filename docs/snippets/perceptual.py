"""A perceptual loss: what a pretrained network hears in the fake and in the real item."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from gansemble import File, Frozen, hookimpl
from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn


@hookimpl
def gansemble_register(register):
    register("loss", "perceptual", f"{__name__}:Perceptual", "L1 of a pretrained network's features")


class Perceptual(nn.Module):
    """mean |F(x) - F(G)| of a pretrained network's features F.

    Args:
        weights: state dict of the network, written by ``torch.save``.
        width: channels of its layers.
    """

    turns: ClassVar[frozenset[str]] = frozenset({"generator"})

    def __init__(self, *, weights: File, width: int = 512) -> None:
        super().__init__()
        first, second = nn.Conv1d(1, width, 64, stride=32), nn.Conv1d(width, 2 * width, 5, stride=2)
        network = nn.Sequential(first, nn.ELU(), second)
        network.load_state_dict(torch.load(weights, weights_only=True))
        self.features = Frozen(network)

    def forward(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake [B, 1, T]."""
        with torch.autocast(step.fake.device.type, enabled=False):
            with torch.no_grad():
                target = self.features(step.real.float())
            return (self.features(step.fake.float()) - target).abs().mean()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Waveform domain; each fake against its own real item."""
        return TermContract(domain="waveform", needs=frozenset({"pairs"}))
