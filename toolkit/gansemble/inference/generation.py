"""Walks through the latent space of a generator that makes clips of its own."""

from __future__ import annotations

import torch
from torch import Tensor


def between(first: Tensor, last: Tensor, count: int, law: str) -> list[Tensor]:
    """``count`` latent vectors from the first to the last: on the sphere for normal ones, straight for uniform ones."""
    shares = torch.linspace(0, 1, count).tolist()
    if law != "normal":
        return [first + share * (last - first) for share in shares]
    cosine = torch.dot(first, last) / (first.norm() * last.norm()).clamp_min(1e-12)
    angle = torch.arccos(cosine.clamp(-1, 1))
    if float(angle) < 1e-4:
        return [first + share * (last - first) for share in shares]
    return [(torch.sin((1 - s) * angle) * first + torch.sin(s * angle) * last) / torch.sin(angle) for s in shares]
