"""A regulariser of the discriminators."""

from typing import ClassVar

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn


class AcmeRegulariser:
    """Mean of the squared scores of real clips, which keeps scores from drifting (Karras et al. 2018, section A.1).

    It is a mean over the batch and over the scores of a discriminator, and a sum over discriminators.

    Shape:
        - scores in step.real_output: [B, N], N scores for each of B clips
        - output: a scalar
    """

    turns: ClassVar[frozenset[str]] = frozenset({"discriminator"})

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        scores = [output.score for outputs in step.real_output.values() for output in outputs]
        return torch.stack([score.float().square().mean() for score in scores]).sum()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs the outputs of discriminators."""
        return TermContract(needs=frozenset({"outputs"}))
