"""Spectral normalisation by projection: after each step of the optimiser the largest singular values are cut."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor, nn

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn, zero
from gansemble.numbers import Positive, Range, Steps
from gansemble_plugins.basics.weights import On, WeightMatrices, WeightMatrix

#: Singular values that are followed: the largest, and the one that ``ratio`` compares it with.
FOLLOWED = 2
#: The smallest number a singular value is divided by.
TINY = 1e-20
#: Singular values from the largest down [K], left vectors [out, K] and right vectors [rest, K].
Triple = tuple[Tensor, Tensor, Tensor]


class SpectralNorm:
    """W <- W - max(0, s0 - limit) u0 v0ᵀ after each step of the optimiser (BigGAN, Brock et al. 2019; Esmaeilpour et al. 2020, eq. 2).

    s0 is the largest singular value of W [out, rest], one row for each filter, u0 and v0 are its singular vectors. ``limit``
    is fixed, or ``ratio`` times the second singular value of the moment. A ``limit`` of 1 is spectral normalisation by
    projection: what is within the limit is not touched, whereas spectral norm in the layer divides all of W in each forward pass.

    When a weight is met for the first time, all its singular values are found and all that exceed the limit are cut. From
    then on the first two are followed by the power method, on vectors that are kept from step to step and in checkpoints, to
    which each step adds a row of W, another one each time, as values that were small then can come up. Both are cut where
    they exceed the limit; the equation cuts the first alone. Nothing is drawn. This holds single values that run away,
    which is what the equation was made for. Where many lie at the limit and grow together, as under ``limit: 1`` after a while,
    two directions a step are too few: let ``exact_every`` find and cut all of them now and then.

    Weights under spectral norm are cut as parameters: only ``ratio``, or a limit among unequal singular values, changes
    what such a layer does, as it divides by s0 anyway. Under any other parametrisation, such as weight norm, cutting
    the parameter would not bound the weight, and is refused.

    Args:
        on: the networks acted on, each after its own steps.
        limit: largest singular value allowed (sigma_clamp); give it or ``ratio``.
        ratio: largest ratio of the first to the second singular value allowed (r), at least 1.
        iterations: rounds of the power method in each step.
        exact_every: steps between those in which all singular values are found and cut; null is the first time alone.
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
        limit: Positive | None = None,
        ratio: Annotated[float, Range(at_least=1, at_most=1e6)] | None = None,
        iterations: Annotated[int, Range(at_least=1, at_most=1000)] = 1,
        exact_every: Steps | None = None,
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
        if exact_every is not None and exact_every < 1:
            raise ValueError(f"exact_every must be at least 1 or null, got {exact_every}")
        self.limit, self.ratio = limit, ratio
        self.iterations, self.exact_every = iterations, exact_every
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
        named = {f"{turn}/{matrix.name}": matrix for matrix in self.matrices.of(network, turn)}
        for key, matrix in named.items():
            self._demand_sound(matrix, key)
        step = self.steps[turn]
        every = self.exact_every is not None and step % self.exact_every == 0
        new = {key for key, matrix in named.items() if every or not self._knows(matrix, key)}
        with torch.autocast(next(iter(named.values())).raw.device.type, enabled=False):
            found = {key: _decomposed(named[key].matrix()) for key in named if key in new}
            found |= self._followed({key: matrix for key, matrix in named.items() if key not in new}, step)
            for key, matrix in named.items():
                self._cut(matrix, *found[key])
        self.vectors |= {key: right[:, :FOLLOWED].clone() for key, (_, _, right) in found.items()}
        self._largest[turn] = torch.stack([values[0] for values, _, _ in found.values()]).max()
        self.steps[turn] += 1

    def _knows(self, matrix: WeightMatrix, key: str) -> bool:
        rows = matrix.matrix()
        return key in self.vectors and self.vectors[key].shape == (rows.shape[1], min(FOLLOWED, *rows.shape))

    def _followed(self, named: dict[str, WeightMatrix], step: int) -> dict[str, Triple]:
        """The first singular values as the power method has them, with their vectors."""
        bases = {}
        for key, matrix in named.items():
            rows = matrix.matrix()
            height, width = rows.shape
            probe = rows[step % height, :, None]
            basis = torch.cat([self.vectors[key].to(rows), probe], 1)[:, : min(FOLLOWED + 1, height, width)]
            for _ in range(self.iterations):
                basis = torch.linalg.qr(rows.T @ (rows @ basis)).Q
            bases[key] = (basis, rows @ basis)
        if not bases:
            return {}
        # Within a basis they are roots of a small matrix' eigenvalues, which are found for all weights at once.
        squares, turned = _eigen(torch.stack([_padded(image.T @ image) for _, image in bases.values()]))
        found = {}
        for (key, (basis, image)), square, mixed in zip(bases.items(), squares, turned, strict=True):
            count = min(FOLLOWED, basis.shape[1])
            values, mixed = square[:count].sqrt(), mixed[: basis.shape[1], :count]
            found[key] = (values, image @ mixed / values.clamp_min(TINY), basis @ mixed)
        return found

    def _cut(self, matrix: WeightMatrix, values: Tensor, left: Tensor, right: Tensor) -> None:
        limit: Any = self.limit
        if self.ratio is not None:
            if len(values) < 2:  # there is no second value to be compared with
                return
            limit = self.ratio * values[1]
        excess = (values - limit).clamp_min(0)
        matrix.raw.sub_(matrix.shaped((left * excess) @ right.T).to(matrix.raw.dtype))

    def _demand_sound(self, matrix: WeightMatrix, key: str) -> None:
        """Raises unless cutting the parameter means something for the weight; looked at once."""
        if key in self._sound:
            return
        if matrix.made_of_several or (matrix.parametrised and not _proportional(matrix.effective(), matrix.raw)):
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
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators where it acts on them."""
        needs = frozenset() if parameters["on"] == "generator" else frozenset({"outputs"})
        return TermContract(needs=needs, because={"needs": "on"})


def _eigen(grams: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of symmetric matrices from the largest down, none below zero, and their vectors in columns."""
    # A solver that meets NaN may take the process with it; the weights stay NaN all the same, and training says so.
    values, vectors = torch.linalg.eigh(grams.nan_to_num(0.0, 0.0, 0.0))
    return values.clamp_min(0).flip(-1), vectors.flip(-1)


def _decomposed(rows: Tensor) -> Triple:
    """All singular values, with left and right vectors in columns, by the product of the matrix with itself."""
    # Its rounding is 1e-7 of the largest value squared, which leaves values near the largest as good as theirs.
    short = rows if rows.shape[0] <= rows.shape[1] else rows.T
    squares, near = _eigen(short @ short.T)
    values = squares.sqrt()
    far = short.T @ near / values.clamp_min(TINY)
    return (values, near, far) if short is rows else (values, far, near)


def _padded(gram: Tensor) -> Tensor:
    """A small matrix with rows and columns of zeros, whose eigenvalues are zero, up to the common size."""
    missing = FOLLOWED + 1 - len(gram)
    return torch.nn.functional.pad(gram, (0, missing, 0, missing))


def _proportional(weight: Tensor, raw: Tensor) -> bool:
    """Whether the weight is the parameter times a number, as it is under spectral norm."""
    factor = (weight * raw).sum() / raw.square().sum().clamp_min(TINY)
    return bool((weight - factor * raw).norm() <= 1e-3 * weight.norm())
