"""Weights from a seed for torch networks, under the names that the released codes give them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from .oracles import noise, weights

#: What weight norm and spectral norm called their tensors before torch had parametrisations, longest first.
OLD_NAMES = (
    ("parametrizations.weight.original0", "weight_g"),
    ("parametrizations.weight.original1", "weight_v"),
    ("parametrizations.weight.original", "weight_orig"),
)


def old_name(name: str) -> str:
    """Our parameter's name as a released network with the same module names calls it."""
    for new, old in OLD_NAMES:
        if name.endswith(new):
            return name.removesuffix(new) + old
    return name


def fill(network: nn.Module, seed: int, rename: Callable[[str], str] = old_name) -> nn.Module:
    """The network in float64 with weights from a seed, drawn by the names that ``rename`` makes of its own."""
    network = network.double()
    parameters = {rename(name): parameter for name, parameter in network.named_parameters()}
    drawn = weights({name: tuple(parameter.shape) for name, parameter in parameters.items()}, seed)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(drawn[name]))
    return network


def start(size: int, seed: int) -> torch.Tensor:
    """A random unit vector, where spectral norm's power iteration begins."""
    vector = torch.from_numpy(noise(seed, size))
    return vector / vector.norm()
