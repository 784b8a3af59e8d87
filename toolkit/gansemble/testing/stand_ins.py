"""Small networks that stand in for a recipe's own, where a part other than a network is tested."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.interfaces import Condition, DiscriminatorOutput


def a_matrix() -> nn.Parameter:
    """A weight matrix that takes no part in any computation, for regularisers of weights to read."""
    return nn.Parameter(torch.randn(3, 4, generator=torch.Generator().manual_seed(7)))


class StandInGenerator(nn.Module):
    """Gives made * weight + bias: a generator that learns, for items of any shape."""

    def __init__(self, made: Tensor) -> None:
        super().__init__()
        self.made = made
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.tensor(0.0))
        self.matrix = a_matrix()

    def forward(self, condition: Condition) -> Tensor:
        return self.made * self.weight + self.bias


class StandInCritic(nn.Module):
    """Two feature maps, a score for every number of an item, and class logits; for items of any shape."""

    items_apart = True

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))
        self.head = nn.Parameter(torch.randn(classes))
        self.matrix = a_matrix()

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        low = torch.tanh(x * self.weight[0])
        high = torch.tanh(low * self.weight[1] + x)
        score = (high * self.weight[2]).flatten(1)
        return DiscriminatorOutput(score, (low, high), score.mean(1, keepdim=True) * self.head)
