"""Where networks are, and where they are put when nobody says: the one choice of a device."""

from __future__ import annotations

import torch
from torch import nn


def default_device() -> torch.device:
    """The first GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """Where a network's parameters are; the processor for one without any."""
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device
