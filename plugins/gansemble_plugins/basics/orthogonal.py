"""Orthogonal regularisation: filters of a layer at right angles to one another."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn
from gansemble_plugins.basics.weights import On, WeightMatrices, WeightMatrix


class Orthogonal:
    """Sum over weights W of how far W Wᵀ is from the identity, or from any diagonal matrix.

    With one row for each filter, W [out, rest], and ∘ the product entry by entry:

        full (Brock et al. 2017; Esmaeilpour et al. 2020, eq. 12):            ‖W Wᵀ - I‖²
        off_diagonal (BigGAN, Brock et al. 2019; the same, eq. 13):           ‖W Wᵀ ∘ (1 - I)‖²

    in Frobenius' norm. The second says nothing of the filters' lengths. Its gradient is 4 (W Wᵀ ∘ (1 - I)) W. BigGAN's weight,
    to be given in the recipe, is 1e-4 (beta); the released code adds 2 beta (...) W to the gradients, half of what the equation
    asks for, so its runs are those of a weight of 5e-5 here. The later paper prints equation 13 without the sign ∘; a product
    of matrices would be another number. Where there are more filters than entries in one, their angles
    cannot all be right, and the value has a floor above zero. It does not depend on the batch. Computed in float32 with autocast
    off.

    ``weights`` decides what W is where a layer's weight is computed from a parameter, as under spectral norm: ``original``
    is the parameter, as in BigGAN's code; ``effective`` is the weight the layer uses, which keeps the value from falling by
    mere shrinking, and costs a division by the norm in the graph. Where nothing is parametrised they are the same.

    Args:
        form: whether the diagonal counts.
        on: the networks acted on, each in its own turn.
        skip: weights left alone, by name or by a pattern with ``*`` and ``?``.
        embeddings: whether embeddings are acted on, which BigGAN leaves alone.
        weights: the parameters, or the weights made of them.

    Shape: weights [out, ...], of transposed convolutions [in, out, ...] -> a scalar.

    Raises:
        ValueError: in the first step, if the network has no such weight or ``skip`` names one that it does not have.
    """

    def __init__(
        self,
        *,
        form: Literal["off_diagonal", "full"] = "off_diagonal",
        on: On = "generator",
        skip: tuple[str, ...] = (),
        embeddings: bool = False,
        weights: Literal["original", "effective"] = "original",
    ) -> None:
        self.form, self.weights = form, weights
        self.matrices = WeightMatrices(on, skip, embeddings)
        self.turns = self.matrices.turns

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        network = step.generator if turn == "generator" else step.discriminators
        with torch.autocast(step.real.device.type, enabled=False):
            return torch.stack([self._cost(matrix) for matrix in self.matrices.of(network, turn)]).sum()

    def _cost(self, matrix: WeightMatrix) -> Tensor:
        weight = matrix.effective() if self.weights == "effective" else matrix.raw
        rows = matrix.rows(weight).float()
        gram = rows @ rows.T
        # Subtracted before squaring: ‖gram‖² less its diagonal's would leave rounding where the filters are orthogonal.
        if self.form == "full":
            return (gram - torch.eye(len(gram), device=gram.device)).square().sum()
        return (gram - torch.diag(gram.diagonal())).square().sum()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators where it acts on them."""
        needs = frozenset() if parameters["on"] == "generator" else frozenset({"outputs"})
        return TermContract(needs=needs, because={"needs": "on"})
