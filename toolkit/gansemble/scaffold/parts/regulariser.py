"""A regulariser of the discriminators."""

from typing import ClassVar

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn


class AcmeRegulariser:
    """Mean of squared scores of real signals, which keeps them from drifting (Karras et al. 2018, section A.1).

    Summed over discriminators; a mean over items.
    """

    turns: ClassVar[frozenset[str]] = frozenset({"discriminator"})

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        scores = [output.score for outputs in step.real_output.values() for output in outputs]
        return torch.stack([score.float().square().mean() for score in scores]).sum()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs a discriminator."""
        return TermContract(needs=frozenset({"outputs"}))
