"""The paper's "fast approximation" (eq. 9 to 11) as printed. It approximates nothing about the map, and nothing uses it."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gansemble_plugins.ddfn.departure import require_square
from gansemble_plugins.ddfn.surrogates import averaged


class Literal(NamedTuple):
    """sign · exp(log_determinant + log_constant) is the right-hand side of the paper's eq. 11, never multiplied out.

    Args:
        sign: of the determinant [...], 0 where it is 0.
        log_determinant: ln |det f| [...].
        log_constant: ln(2^(k/2) ∏_{i=1..k} Γ(i/2)).
    """

    sign: Tensor
    log_determinant: Tensor
    log_constant: float


def literal_approximation(x: Tensor) -> Literal:
    """2^(k/2) ∏_{i=1..k} Γ(i/2) · det(f), f = (P + P^T)/2, P the map averaged over squares of 2 x 2 pixels, k = n/2.

    The paper puts this in the place of Σ|λ_i|². It is not: the left-hand side of its eq. 11 is a mean over random
    symmetric Gaussian matrices, which no given map enters, and on log spectrograms ln |det f| goes with Σ|λ_i|² or
    against it as the pixels' range has it (README). It is kept for whoever wants to see that. The printed V ("Minkowski
    function") is read as Γ, with which eq. 10 is the density of eigenvalues that it is said to be. How P is made, and what
    becomes of the sign, the paper does not say.

    Shape: [..., n, n] -> [...], float64; NaN for a map that is not finite.

    Raises:
        ValueError: if the maps are not square and real, or n is odd.
    """
    require_square(x)
    with torch.autocast(x.device.type, enabled=False):
        small = averaged(x.double(), 2)
        f = 0.5 * (small + small.mT)
        finite = torch.isfinite(f).flatten(-2).all(-1)
        sign, log_determinant = torch.linalg.slogdet(torch.where(finite[..., None, None], f, torch.zeros_like(f)))
    nan = torch.full_like(sign, torch.nan)
    k = f.shape[-1]
    constant = 0.5 * k * math.log(2) + sum(math.lgamma(i / 2) for i in range(1, k + 1))
    return Literal(torch.where(finite, sign, nan), torch.where(finite, log_determinant, nan), constant)
