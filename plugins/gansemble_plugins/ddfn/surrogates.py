"""Quantities in the departure's place that need no eigenvalues: O(n^2), with gradients everywhere."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble_plugins.ddfn.departure import answer_type, require_square


def asymmetry(x: Tensor) -> Tensor:
    """A(X) = ½ ‖X - X^T‖_F², the energy of the antisymmetric part of each map, twice.

    For real X, Δ²(X) = A(X) - 2 Σ(Im λ_i)²: A is an upper bound, equal where all eigenvalues are real. Its gradient is
    2 (X - X^T), convex and smooth everywhere. It is 0 for symmetric maps only, not for all normal ones.

    Shape: [..., n, n] -> [...].

    Raises:
        ValueError: if the maps are not square and real.
    """
    require_square(x)
    x = x.to(answer_type(x))
    return 0.5 * (x - x.mT).square().sum((-2, -1))


def lee_upper_bound(x: Tensor) -> Tensor:
    """U(X) = ‖Y‖_F² - |tr(Y²)| with Y = X - (tr X / n) I (Lee 1995): at least Δ², at most A.

    Equal to Δ² where all eigenvalues lie on one line, and to A where tr(Y²) is positive. It has a kink where tr(Y²) = 0,
    which is where white noise lies; there the gradient is that of ‖Y‖².

    Shape: [..., n, n] -> [...].

    Raises:
        ValueError: if the maps are not square and real.
    """
    require_square(x)
    y = centred(x.to(answer_type(x)))
    # Of the symmetric part H and the antisymmetric K: ‖H‖² + ‖K‖² - |‖H‖² - ‖K‖²|. The smaller twice loses no digits.
    symmetric, antisymmetric = 0.25 * (y + y.mT).square().sum((-2, -1)), 0.25 * (y - y.mT).square().sum((-2, -1))
    return 2 * torch.minimum(symmetric, antisymmetric)


def symmetric_part_departure(x: Tensor, *, factor: Literal[1, 2] = 2) -> Tensor:
    """‖X‖_F² - s ‖(P + P^T)/2‖_F², P the map averaged over squares of ``factor`` pixels and s = factor².

    What the paper's approximation is after, without its determinant: eigenvalues of the symmetric part of the map at
    half its size. The squares of a symmetric matrix's eigenvalues add up to its squared norm, so none need be found. At
    full size it is A/2. At half size it holds the energy of the finest detail too, symmetric or not.

    Shape: [..., n, n] -> [...].

    Raises:
        ValueError: if the maps are not square and real, or n is no multiple of ``factor``.
    """
    require_square(x)
    x = x.to(answer_type(x))
    small = averaged(x, factor)
    detail = x - small.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    # Detail, symmetric and antisymmetric part share the energy, so what is left is a sum of two, which loses no digits.
    return detail.square().sum((-2, -1)) + 0.25 * factor**2 * (small - small.mT).square().sum((-2, -1))


def centred(x: Tensor) -> Tensor:
    """X - (tr X / n) I, which has the departure of X [..., n, n]."""
    trace = x.diagonal(dim1=-2, dim2=-1).mean(-1)
    return x - trace[..., None, None] * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def averaged(x: Tensor, factor: int) -> Tensor:
    """Means over squares of ``factor`` pixels [..., n / factor, n / factor].

    Raises:
        ValueError: if n is no multiple of ``factor``.
    """
    n = x.shape[-1]
    if n % factor:
        raise ValueError(f"the side of a map must be a multiple of {factor} to be averaged over squares, got {n}")
    return F.avg_pool2d(x.reshape(-1, 1, n, n), factor).reshape(*x.shape[:-2], n // factor, n // factor)
