"""Directions of latent space along which a generator's clips change most, for a visitor who moves along them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gansemble.interfaces import Condition
from gansemble.parts.device import device_of

#: Latent vectors for each number of a latent vector that the first layer's response is measured with.
FOR_EACH = 4
#: Largest number of the first layer's outputs that are looked at.
OUTPUTS = 4096
BATCH = 64


@dataclass(frozen=True)
class Directions:
    """Directions that are at right angles to each other.

    Args:
        vectors: of length 1, [K, Z], K directions of a latent space of Z dimensions.
        principal: whether they are those along which the first layer changes most, in that order; else drawn.
    """

    vectors: Tensor
    principal: bool


class _Enough(Exception):
    """The layer that was asked for has answered."""


@dataclass
class _Watch:
    """Notes what layers with weights give, in the order in which a network calls them."""

    found: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    last: nn.Module | None = None

    def __call__(self, module: nn.Module, given: object, made: object) -> None:
        if isinstance(made, Tensor) and made.shape[0] > 1:
            self.found.append((module, made.flatten(1)))
        if module is self.last:
            raise _Enough


@torch.no_grad()
def directions(generator: nn.Module, latent: int, count: int, label: int | None = None, seed: int = 0) -> Directions:
    """The directions along which the first layer that reads the latent vector changes most, as Shen and Zhou (2021, "Closed-Form
    Factorization of Latent Semantics in GANs", arXiv 2007.06600) find them: the eigenvectors of AᵀA with the largest
    eigenvalues, where the layer is x ↦ Ax + b.

    A is not read from a layer's weights, whose shape and place differ, but fitted to what the layer makes of random latent
    vectors, by least squares; for an affine layer that is the same. Where no such layer is found, directions are drawn.

    Args:
        generator: in eval mode; reads a latent vector, and perhaps a label.
        latent: size Z of the latent vector.
        count: how many are wanted; there are at most Z.
        label: class or pitch index, for a generator that reads one; the same for all.
        seed: of the latent vectors, and of directions that are drawn.
    """
    draws = torch.Generator().manual_seed(seed)
    count = min(count, latent)
    z = torch.randn(FOR_EACH * latent + BATCH, latent, generator=draws)
    layer = _first_layer(generator, z[:2], label)
    response = None if layer is None else _responses(generator, layer, z, label)
    if response is None or not bool(response.isfinite().all()):
        drawn, _ = torch.linalg.qr(torch.randn(latent, count, generator=draws))
        return Directions(drawn.T.contiguous(), False)
    slope = torch.linalg.lstsq(z - z.mean(0), response - response.mean(0)).solution  # [Z, F]: the transpose of A
    vectors = torch.linalg.eigh(slope @ slope.T).eigenvectors.flip(1)[:, :count].T  # eigh sorts upwards
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return Directions(vectors * largest.sign(), True)  # a direction and its opposite are the same: one of them is fixed


def _first_layer(generator: nn.Module, pair: Tensor, label: int | None) -> nn.Module | None:
    """The first layer with a matrix of weights whose output differs between two latent vectors; None where there is none."""
    watch = _Watch()
    _run(generator, watch, pair, label)
    for module, made in watch.found:
        if not torch.equal(made[0], made[1]):
            return module
    return None


def _responses(generator: nn.Module, layer: nn.Module, z: Tensor, label: int | None) -> Tensor | None:
    """What a layer makes of latent vectors, [N, F]; None where it is not called with them."""
    found = []
    for batch in z.split(BATCH):
        watch = _Watch(last=layer)
        _run(generator, watch, batch, label)
        own = [made for module, made in watch.found if module is layer]
        if not own or len(own[0]) != len(batch):
            return None
        every = -(-own[0].shape[1] // OUTPUTS)
        found.append(own[0][:, ::every].float().cpu())
    return torch.cat(found)


def _run(generator: nn.Module, watch: _Watch, z: Tensor, label: int | None) -> None:
    device = device_of(generator)
    labels = None if label is None else torch.full((len(z),), label, device=device)
    layers = [each for each in generator.modules() if any(w.dim() > 1 for w in each.parameters(recurse=False))]
    hooks = [layer.register_forward_hook(watch) for layer in layers]
    try:
        generator(Condition(z.to(device), labels))
    except _Enough:
        pass
    finally:
        for hook in hooks:
            hook.remove()
