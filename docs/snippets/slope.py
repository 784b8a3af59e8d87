"""A gradient penalty that calls the discriminators itself, in every n-th step."""

from typing import ClassVar

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn, zero


class Slope:
    """every / 2 · mean ‖∇ΣD(x)‖² at real items x (R1, Mescheder et al. 2018), and zero in the steps between.

    Args:
        every: steps from one penalty to the next.
    """

    turns: ClassVar[frozenset[Turn]] = frozenset({"discriminator"})

    def __init__(self, *, every: int = 4) -> None:
        self.every = every

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        if step.index % self.every:
            return zero(step.real)
        x = step.seen_real.detach().requires_grad_()
        (found,) = step.discriminators((x, step.real_condition))
        scores = [output.score.float().mean(1).sum() for outputs in found.values() for output in outputs]
        (slope,) = torch.autograd.grad(torch.stack(scores).sum(), x, create_graph=True)
        return self.every / 2 * slope.flatten(1).square().sum(1).mean()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators; batch norm would make an item's slope that of the batch."""
        return TermContract(needs=frozenset({"outputs"}), clashes=frozenset({"batch_norm"}))
