"""The device that networks are on, and the one they are put on when the caller names none."""

from __future__ import annotations

import torch
from torch import nn


def default_device() -> torch.device:
    """The current CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """The device of a network's parameters; the CPU for a network without any."""
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device
