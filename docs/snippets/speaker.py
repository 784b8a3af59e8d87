"""A discriminator that is told a class: a score of the waveform, and how well it goes with its speaker."""

import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput


class Speaker(nn.Module):
    """Scores [B, T / 16] of waveforms [B, 1, T], with a projection of the class (Miyato and Koyama 2018).

    Args:
        classes: number of speakers.
    """

    items_apart = True

    def __init__(self, *, classes: int = 10) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 8, 15, 4, 7), nn.Conv1d(8, 8, 15, 4, 7)
        self.post, self.classes = nn.Conv1d(8, 1, 3, padding=1), nn.Embedding(classes, 8)

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        low = F.leaky_relu(self.first(x), 0.1)
        high = F.leaky_relu(self.second(low), 0.1)
        score = self.post(high)
        if condition.label is not None:
            score = score + (self.classes(condition.label)[:, :, None] * high).sum(1, keepdim=True)
        return DiscriminatorOutput(score.flatten(1), (low, high))

    @staticmethod
    def contract(parameters: dict[str, object]) -> DiscriminatorContract:
        """Judges waveforms of labelled clips."""
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            gives=frozenset({"features"}),
            needs=frozenset({"labels"}),
            classes=parameters["classes"],  # type: ignore[arg-type]
            because={"classes": "classes"},
        )
