"""Spectral normalisation by projection: after each step of the optimiser the largest singular values are cut."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gansemble.interfaces import Contract, Step, Turn, zero
from gansemble.random import generator
from gansemble_plugins.basics.weights import Matrix, On, WeightMatrices

#: Singular values that are followed: the largest, and the one that ``ratio`` compares it with.
FOLLOWED = 2
#: Rounds of the power method when a weight is met for the first time.
FIRST = 20
#: The smallest number a singular value is divided by.
TINY = 1e-20


class SpectralNorm:
    """W <- W - max(0, s0 - limit) u0 v0ᵀ after each step of the optimiser (BigGAN, Brock et al. 2019; Esmaeilpour et al. 2020, eq. 2).

    s0 is the largest singular value of W [out, rest], one row for each filter, u0 and v0 are its singular vectors. ``limit``
    is fixed, or ``ratio`` times the second singular value of the moment. A ``limit`` of 1 is spectral normalisation by
    projection: what is within the limit is not touched, whereas spectral norm in the layer divides all of W in each forward pass.

    Where two singular values exceed the limit, both are cut; the equation cuts the first alone, which then would hide
    the other. Singular values are found by the power method on a few vectors at once, kept from step to step and in
    checkpoints, to which each step adds a row of W, another one each time: values that were small when the vectors were
    found can still come up. It starts from fixed vectors and draws nothing. The estimate lies below the true value until the
    method has settled, so a weight that has just grown may exceed the limit for a few steps.

    Weights under spectral norm are cut as parameters: only ``ratio``, or a limit among unequal singular values, changes
    what such a layer does, as it divides by s0 anyway. Under any other parametrisation, such as weight norm, cutting
    the parameter would not bound the weight, and is refused.

    Args:
        on: the networks acted on, each after its own steps.
        limit: largest singular value allowed (sigma_clamp); give it or ``ratio``.
        ratio: largest ratio of the first to the second singular value allowed (r), at least 1.
        iterations: rounds of the power method in each step.
        skip: weights left alone, by name or by a pattern with ``*`` and ``?``.
        embeddings: whether embeddings are acted on.

    Shape: weights [out, ...], of transposed convolutions [in, out, ...]. Its value as a term is 0.

    Raises:
        ValueError: if not one of ``limit`` and ``ratio`` is given, or a number is out of range; in the first step, if the
            network has no such weight, ``skip`` names one that it does not have, or a weight is parametrised otherwise.
    """

    def __init__(
        self,
        *,
        on: On = "discriminators",
        limit: float | None = None,
        ratio: float | None = None,
        iterations: int = 1,
        skip: tuple[str, ...] = (),
        embeddings: bool = False,
    ) -> None:
        if (limit is None) == (ratio is None):
            given = "neither" if limit is None else "both"
            raise ValueError(f"give limit or ratio, and leave the other null; got {given}")
        if limit is not None and limit <= 0:
            raise ValueError(f"limit must be positive, got {limit:g}")
        if ratio is not None and ratio < 1:
            raise ValueError(f"ratio must be at least 1, as the first singular value is the largest, got {ratio:g}")
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {iterations}")
        self.limit, self.ratio, self.iterations = limit, ratio, iterations
        self.matrices = WeightMatrices(on, skip, embeddings)
        self.turns = self.matrices.turns
        self.vectors: dict[str, Tensor] = {}
        self.steps: dict[str, int] = dict.fromkeys(sorted(self.turns), 0)
        self._sound: set[str] = set()
        self._largest: dict[str, Tensor] = {}

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return zero(step.real)

    @torch.no_grad()
    def constrain(self, network: nn.Module, turn: Turn) -> None:
        """Cuts the singular values of the network whose optimiser has just stepped."""
        if turn not in self.turns:
            return
        matrices = self.matrices.of(network, turn)
        for matrix in matrices:
            self._demand_sound(matrix, turn)
        with torch.autocast(matrices[0].raw.device.type, enabled=False):
            bases = [self._basis(matrix, f"{turn}/{matrix.name}", self.steps[turn]) for matrix in matrices]
            self._cut(matrices, bases, turn)
        self.steps[turn] += 1

    def _basis(self, matrix: Matrix, key: str, step: int) -> tuple[Tensor, Tensor]:
        """(V [rest, K], W V [out, K]): orthonormal columns near the space of the first right singular vectors."""
        rows = matrix.rows(matrix.raw).float()
        height, width = rows.shape
        kept, rounds = self.vectors.get(key), self.iterations
        if kept is None or kept.shape[0] != width:
            fixed = torch.randn(width, FOLLOWED, generator=generator("spectral_norm", key))
            kept, rounds = fixed[:, :height], max(FIRST, self.iterations)
        probe = rows[step % height, :, None]
        basis = torch.cat([kept.to(rows), probe], 1)[:, : min(FOLLOWED + 1, height, width)]
        for _ in range(rounds):
            basis = torch.linalg.qr(rows.T @ (rows @ basis)).Q
        return basis, rows @ basis

    def _cut(self, matrices: list[Matrix], bases: list[tuple[Tensor, Tensor]], turn: Turn) -> None:
        # Within each basis the singular values are the roots of a small matrix' eigenvalues, found for all weights at once.
        grams = torch.stack([_padded(image.T @ image) for _, image in bases])
        # A solver that meets NaN may take the process with it; such weights stay NaN, and training says so.
        squares, turned = torch.linalg.eigh(grams.nan_to_num(0.0, 0.0, 0.0))
        values, turned = squares.clamp_min(0).sqrt().flip(1), turned.flip(2)
        self._largest[turn] = values[:, 0].max()
        for matrix, (basis, image), found, mixed in zip(matrices, bases, values, turned, strict=True):
            count = min(FOLLOWED, basis.shape[1])
            mixed = mixed[: basis.shape[1], :count]
            limit = self.ratio * found[1] if self.ratio is not None else self.limit
            right, left = basis @ mixed, image @ mixed / found[:count].clamp_min(TINY)
            excess = (found[:count] - limit).clamp_min(0)
            if self.ratio is None or count == FOLLOWED:  # a single singular value has no second to be compared with
                matrix.raw.sub_(matrix.shaped((left * excess) @ right.T).to(matrix.raw.dtype))
            self.vectors[f"{turn}/{matrix.name}"] = right

    def _demand_sound(self, matrix: Matrix, turn: Turn) -> None:
        """Raises unless cutting the parameter means something for the weight; looked at once."""
        key = f"{turn}/{matrix.name}"
        if key in self._sound:
            return
        old_norm = matrix.tensor.endswith("_v") and hasattr(matrix.layer, f"{matrix.tensor[:-2]}_g")
        if old_norm or (matrix.parametrised and not _proportional(matrix.effective(), matrix.raw)):
            raise ValueError(
                f"spectral_norm cannot bound {matrix.name}: the weight is parametrised (as by weight norm), and cutting its "
                f"parameter's singular values would not cut its own. Build the network without, or add {matrix.name} to skip"
            )
        self._sound.add(key)

    def monitors(self) -> dict[str, float]:
        """The largest singular value of any weight before the last cut, by turn."""
        return {f"largest_{turn}": float(value) for turn, value in self._largest.items()}

    def state_dict(self) -> dict[str, Any]:
        """The vectors by turn and weight, and the steps done."""
        return {"vectors": {key: each.clone() for key, each in self.vectors.items()}, "steps": dict(self.steps)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores them."""
        self.vectors = {key: each.clone() for key, each in state["vectors"].items()}
        self.steps |= {turn: int(state["steps"][turn]) for turn in self.steps if turn in state["steps"]}

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract:
        """Needs discriminators where it acts on them."""
        needs = frozenset() if parameters["on"] == "generator" else frozenset({"verdicts"})
        return Contract(needs=needs, because={"needs": "on"})


def _padded(gram: Tensor) -> Tensor:
    """A small matrix with rows and columns of zeros, whose eigenvalues are zero, up to the common size."""
    missing = FOLLOWED + 1 - len(gram)
    return torch.nn.functional.pad(gram, (0, missing, 0, missing))


def _proportional(weight: Tensor, raw: Tensor) -> bool:
    """Whether the weight is the parameter times a number, as it is under spectral norm."""
    factor = (weight * raw).sum() / raw.square().sum().clamp_min(TINY)
    return bool((weight - factor * raw).norm() <= 1e-3 * weight.norm())
