"""A regulariser of the discriminators."""

from typing import ClassVar

import torch
from torch import Tensor

from gansemble.interfaces import Contract, Step, Turn


class AcmeRegulariser:
    """Mean of squared scores of real signals, which keeps them from drifting (Karras et al. 2018, section A.1).

    Summed over discriminators; a mean over items.
    """

    turns: ClassVar[frozenset[str]] = frozenset({"discriminator"})

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        scores = [verdict.score for verdicts in step.verdict_real.values() for verdict in verdicts]
        return torch.stack([score.float().square().mean() for score in scores]).sum()

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract:
        """Needs a discriminator."""
        return Contract(needs=frozenset({"verdicts"}))
