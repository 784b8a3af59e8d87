"""An exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """shadow <- decay * shadow + (1 - decay) * weights, after every generator step; buffers are copied.

    Args:
        network: the bare network to follow.
        decay: per step.
        start: steps before which the shadow is the network itself.
    """

    def __init__(self, network: nn.Module, decay: float, start: int = 0) -> None:
        self.decay, self.start = decay, start
        self.shadow = copy.deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, network: nn.Module, done: int = 0) -> None:
        """Moves the shadow towards the network, after so many steps."""
        share = 1.0 if done < self.start else 1 - self.decay
        torch._foreach_lerp_(list(self.shadow.parameters()), [p.detach() for p in network.parameters()], share)
        for mine, theirs in zip(self.shadow.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Tensor]:
        """The shadow's weights."""
        return self.shadow.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores the shadow's weights."""
        self.shadow.load_state_dict(state)
