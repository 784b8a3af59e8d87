"""Interpolates between latent vectors of a generator that makes clips of its own."""

from __future__ import annotations

import torch
from torch import Tensor


def between(first: Tensor, last: Tensor, count: int, law: str) -> list[Tensor]:
    """Latent vectors on the way from one to another, both ends included.

    Vectors of the normal law are interpolated along a great circle, since nearly all of them lie close to a sphere and
    their straight mean would be untypically short. Uniform ones are interpolated along a straight line.

    Args:
        first, last: latent vectors [Z].
        count: how many.
        law: that the vectors are drawn from: ``normal``, or another name for uniform.

    Returns:
        ``count`` latent vectors [Z].
    """
    shares = torch.linspace(0, 1, count).tolist()
    if law != "normal":
        return [first + share * (last - first) for share in shares]
    cosine = torch.dot(first, last) / (first.norm() * last.norm()).clamp_min(1e-12)
    angle = torch.arccos(cosine.clamp(-1, 1))
    if float(angle) < 1e-4:  # the formula below divides by sin(angle); an arc this short is straight
        return [first + share * (last - first) for share in shares]
    return [(torch.sin((1 - s) * angle) * first + torch.sin(s * angle) * last) / torch.sin(angle) for s in shares]
