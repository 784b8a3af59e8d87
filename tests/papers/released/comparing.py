"""What the tests of released codes for TensorFlow share: a tensor of ours beside kept numbers, and gradients by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from . import oracles

#: Larger arrays are kept as summaries.
WHOLE = 32


def assert_close(
    ours: Tensor, kept: Mapping[str, np.ndarray], name: str, tolerance: float = 1e-9, count: int = 12
) -> None:
    """Against a kept array, or the summary of a large one with ``count`` entries; relative to its largest number."""
    theirs, found = kept[name], ours.detach().numpy()
    if found.size > WHOLE:
        found = oracles.summary(found, count)
        assert found[0] == theirs[0], name  # the size, which is no measure of the others
        found, theirs = found[1:], theirs[1:]
    assert found.shape == theirs.shape, name
    assert np.abs(found - theirs).max() <= tolerance * np.abs(theirs).max(), name


def gradients(network: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """Of a loss, by parameter; zeros for what takes no part."""
    names, parameters = zip(*network.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
    return dict(zip(names, found, strict=True))


def fill(made: Mapping[str, nn.Module], seed: int) -> None:
    """Makes networks float64, with weights from a seed, drawn by the names of all of them together."""
    named = {f"{side}.{key}": each for side, net in made.items() for key, each in net.double().named_parameters()}
    drawn = oracles.weights({key: tuple(each.shape) for key, each in named.items()}, seed)
    for key, parameter in named.items():
        parameter.data.copy_(torch.from_numpy(drawn[key]))
