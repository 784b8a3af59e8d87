"""An exponential moving average (EMA) of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """Keeps a copy of a network, the shadow, whose weights are an exponential moving average of the network's.

    After each generator step: shadow <- decay * shadow + (1 - decay) * weights. Buffers are copied, not averaged.

    Args:
        network: the network to follow, not wrapped for several processes.
        decay: per generator step.
        start: number of training steps before which the shadow is an exact copy of the network.
    """

    def __init__(self, network: nn.Module, decay: float, start: int = 0) -> None:
        self.decay, self.start = decay, start
        self.shadow = copy.deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, network: nn.Module, done: int = 0) -> None:
        """Moves the shadow's weights towards the network's.

        Args:
            network: as it is after the step.
            done: number of training steps done.
        """
        share = 1.0 if done < self.start else 1 - self.decay  # lerp: shadow + share * (weights - shadow)
        torch._foreach_lerp_(list(self.shadow.parameters()), [p.detach() for p in network.parameters()], share)
        for mine, theirs in zip(self.shadow.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict[str, Tensor]:
        """The shadow's weights and buffers."""
        return self.shadow.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores the shadow's weights and buffers."""
        self.shadow.load_state_dict(state)
