"""Bounds of the squared departure from normality, for checks and logs; none is trained with."""

from __future__ import annotations

import torch
from torch import Tensor

from gansemble_plugins.ddfn.departure import require_square
from gansemble_plugins.ddfn.surrogates import centred


def commutator_norm_squared(x: Tensor) -> Tensor:
    """‖X X^T - X^T X‖_F² of each real map, in float64 with autocast off.

    Shape: [..., n, n] -> [...].

    Raises:
        ValueError: if the maps are not square and real.
    """
    require_square(x)
    with torch.autocast(x.device.type, enabled=False):
        x = x.double()
        return (x @ x.mT - x.mT @ x).square().sum((-2, -1))


def kress_lower_bound(x: Tensor, *, centre: bool = True) -> Tensor:
    """‖Y‖² - sqrt(‖Y‖⁴ - ½ ‖Y Y^T - Y^T Y‖²) (Kress, de Vries and Wegmann 1974), at most Δ²; float64.

    Args:
        x: maps [..., n, n].
        centre: whether Y is X - (tr X / n) I, which has the same departure and gives the better bound, or X.

    Raises:
        ValueError: if the maps are not square and real.
    """
    require_square(x)
    y = centred(x.double()) if centre else x.double()
    energy = y.square().sum((-2, -1))
    return energy - (energy.square() - 0.5 * commutator_norm_squared(y)).clamp_min(0).sqrt()


def elsner_lower_bound(x: Tensor) -> Tensor:
    """‖X X^T - X^T X‖² / (6 ‖X‖²) (Elsner and Paardekooper 1987), at most Δ² and weaker than Kress's bound; float64.

    Shape: [..., n, n] -> [...]; 0 for a map of zeros.

    Raises:
        ValueError: if the maps are not square and real.
    """
    energy = x.double().square().sum((-2, -1))
    return commutator_norm_squared(x) / (6 * energy).clamp_min(torch.finfo(torch.float64).tiny)


def henrici_upper_bound(x: Tensor) -> Tensor:
    """sqrt((n³ - n) / 12) ‖X X^T - X^T X‖_F (Henrici 1962), at least Δ²; far too large to be of use beyond tests; float64.

    Shape: [..., n, n] -> [...].

    Raises:
        ValueError: if the maps are not square and real.
    """
    n = x.shape[-1]
    return ((n**3 - n) / 12) ** 0.5 * commutator_norm_squared(x).sqrt()
