"""Small networks that stand in for a recipe's own, where a part other than a network is tested."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.interfaces import Condition, DiscriminatorOutput


def a_matrix() -> nn.Parameter:
    """A weight matrix that takes no part in any computation, for regularisers of weights to read."""
    return nn.Parameter(torch.randn(3, 4, generator=torch.Generator().manual_seed(7)))


class StandInGenerator(nn.Module):
    """Gives (made * weight + bias) * (1 + the mean of latent - its own): a generator that learns, for items of any shape.

    Of the condition that the step was made with, it is made * weight + bias; with other latent vectors it differs, and
    it has a gradient to them, as penalties of a generator's paths take. Of a condition of fewer items it makes the first.

    Args:
        made: items [B, ...].
        latent: latent vectors [B, Z] of the step.
    """

    def __init__(self, made: Tensor, latent: Tensor) -> None:
        super().__init__()
        self.made, self.latent = made, latent
        self.weight = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.tensor(0.0))
        self.matrix = a_matrix()

    def forward(self, condition: Condition) -> Tensor:
        count = min((len(each) for each in condition.tensors()), default=len(self.made))
        made = self.made[:count] * self.weight + self.bias
        if condition.latent is None:
            return made
        other = (condition.latent - self.latent[:count]).mean(1)
        return made * (1 + other.view(-1, *[1] * (made.dim() - 1)))


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
