"""The departure from normality of square real maps, exactly: ||X||^2 less the squared moduli of the eigenvalues."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gansemble_plugins.ddfn.eigenvalues import decompose

KAPPA_MAX = 1e6


def departure_from_normality_squared(x: Tensor, *, kappa_max: float = KAPPA_MAX, device: str | None = None) -> Tensor:
    """Δ²(X) = ‖X‖_F² - Σ|λ_i(X)|² of each square real map (Henrici 1962; the paper's eq. 5).

    It is the squared norm of the strictly upper part of the Schur form, 0 exactly for normal matrices. Rounding may
    leave a value a little below 0; it is not clamped, as that would end the gradient there.

    Eigenvalues are computed in float64 with autocast off, whatever comes in. A map with a number that is not finite is
    never handed to LAPACK, which may end the process at one; its value and gradient are NaN. The gradient is
    2 X - 2 Re(W conj(Λ) W^-1)^T for X = W Λ W^-1. Where W has no inverse, or one so large that its condition number in
    the 1-norm is above ``kappa_max``, it is 2 X - 2 X^T, the gradient of a matrix whose eigenvalues are real. There are
    no second derivatives.

    Args:
        x: maps [..., n, n], of a floating-point type.
        kappa_max: condition number of the eigenvectors up to which the gradient is taken from them; inf: whenever they
            have an inverse.
        device: where eigenvalues are computed, such as ``cpu``, which is faster than many a GPU for small maps; None is
            where the maps are.

    Returns:
        [...], float64 for float64 maps and float32 for others, on the maps' device.

    Raises:
        ValueError: if the maps are not square, have no entries or are not real floating-point numbers, or if
            ``kappa_max`` is below 1.
    """
    if not kappa_max >= 1:
        raise ValueError(
            f"kappa_max must be at least 1, the condition number of orthogonal eigenvectors, got {kappa_max:g}"
        )
    require_square(x)
    with torch.autocast(x.device.type, enabled=False):
        maps = x.to(device or x.device, torch.float64)
        n = maps.shape[-1]
        flat = maps.reshape(-1, n, n)
        if maps.requires_grad and torch.is_grad_enabled():
            value: Tensor = _Departure.apply(flat, kappa_max)  # type: ignore[no-untyped-call]
        else:
            value = _from_eigenvalues(*_screened(flat), vectors=False)[0]
        return value.reshape(maps.shape[:-2]).to(x.device, answer_type(x))


def require_square(x: Tensor) -> None:
    """Demands square real maps.

    Raises:
        ValueError: if ``x`` is not [..., n, n] of real floating-point numbers with n at least 1.
    """
    if x.dim() < 2 or x.shape[-1] != x.shape[-2] or x.shape[-1] == 0:
        raise ValueError(
            f"only square maps [..., n, n] have eigenvalues, got shape {tuple(x.shape)}; resize, crop or pad them first "
            "(squares.py)"
        )
    if not x.is_floating_point():
        raise ValueError(f"maps must be real floating-point numbers, got {x.dtype}")


def answer_type(x: Tensor) -> torch.dtype:
    """What values of maps are given in: float64 for float64 maps, float32 for all others."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _screened(x: Tensor) -> tuple[Tensor, Tensor]:
    """Maps [N, n, n] with those that are not finite replaced by zero, and which are finite [N]."""
    finite = torch.isfinite(x).flatten(1).all(1)
    return torch.where(finite[:, None, None], x, torch.zeros_like(x)), finite


def _from_eigenvalues(x: Tensor, finite: Tensor, vectors: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Δ² [N] of screened maps, NaN where they were not finite; their eigenvalues, and eigenvectors where wanted."""
    eigenvalues, columns = decompose(x, vectors)
    value = x.square().sum((-2, -1)) - eigenvalues.abs().square().sum(-1)
    return value.masked_fill(~finite, torch.nan), eigenvalues, columns


class _Departure(torch.autograd.Function):
    """One eigen-decomposition serves value and gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kappa_max: float) -> Tensor:
        screened, finite = _screened(x)
        value, eigenvalues, vectors = _from_eigenvalues(screened, finite, vectors=True)
        ctx.save_for_backward(screened, finite, eigenvalues, vectors)
        ctx.kappa_max = kappa_max
        return value

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        x, finite, eigenvalues, vectors = ctx.saved_tensors
        if not slope.any():  # a hinge that is satisfied: spare the inverse
            return torch.zeros_like(x), None
        gradient = 2 * (x - of_moduli(x, eigenvalues, vectors, ctx.kappa_max))
        gradient = gradient.masked_fill(~finite[:, None, None], torch.nan)
        return slope[:, None, None] * gradient, None


def of_moduli(x: Tensor, eigenvalues: Tensor, vectors: Tensor, kappa_max: float) -> Tensor:
    """Half the gradient of Σ|λ_i|² [N, n, n]: Re(W conj(Λ) W^-1)^T, or X^T where W cannot be inverted well."""
    inverse, info = torch.linalg.inv_ex(vectors)
    kappa = torch.linalg.matrix_norm(vectors, 1) * torch.linalg.matrix_norm(inverse, 1)
    good = (info == 0) & torch.isfinite(kappa) & (kappa <= kappa_max)  # NaN is no good either
    ours = ((vectors * eigenvalues.conj()[:, None, :]) @ inverse).real.mT
    return torch.where(good[:, None, None], ours, x.mT)
