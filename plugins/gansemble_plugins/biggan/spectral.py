"""Spectral normalisation (Miyato et al. 2018): a weight divided by its largest singular value."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Power iterations before the first step, so that it is not taken with a random estimate.
STARTING = 15
#: Below this a vector or singular value counts as zero.
LEAST = 1e-12


def in_full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Outside autocast, on devices that have it."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


class SpectralNormalisation(nn.Module):
    """W / sigma, a parametrisation of a weight W [out, ...] read as a matrix [out, the rest].

    sigma = u^T W v, where u and v are the left and right singular vectors as one power iteration from the kept u finds
    them; gradients go through W alone, as published. The new u is kept in training mode while gradients are recorded:
    in each forward pass that can be learnt from. In eval mode and under ``torch.no_grad`` nothing is kept, so that
    folding a network, or measuring its batch statistics, changes no weight.

    Args:
        weight: W, from whose first value u starts.
    """

    vector: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        u = matrix.new_empty(len(matrix))
        if not u.is_meta:  # there is nothing to find there, and much to wait for
            u = F.normalize(u.normal_(), dim=0, eps=LEAST)
            for _ in range(STARTING):
                u, _ = _iterate(matrix, u)
        self.register_buffer("vector", u)

    def forward(self, weight: Tensor) -> Tensor:
        learning = self.training and torch.is_grad_enabled()
        with in_full_precision(weight):
            matrix = weight.flatten(1)
            with torch.no_grad():
                u, v = _iterate(matrix, self.vector)
                if learning:
                    self.vector.copy_(u)
            sigma = (u * (matrix @ v[:, None])[:, 0]).sum()
            return weight / sigma.clamp_min(LEAST)


def _iterate(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """One power iteration: v = W^T u / |W^T u|, u = W v / |W v|."""
    v = F.normalize((u[None] @ matrix)[0], dim=0, eps=LEAST)
    return F.normalize((matrix @ v[:, None])[:, 0], dim=0, eps=LEAST), v
