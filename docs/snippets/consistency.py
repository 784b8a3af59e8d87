"""A term that has two versions of the real items judged in one call."""

from typing import ClassVar

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn


class Consistency:
    """Mean squared difference of the scores of real items and of the same a little louder or softer."""

    turns: ClassVar[frozenset[Turn]] = frozenset({"discriminator"})

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        x, told = step.seen_real, step.real_condition
        gain = 0.9 + 0.2 * step.batch.draws.uniform("consistency", 1)  # [B, 1], the same after a resume
        louder = x * gain.view(-1, *[1] * (x.dim() - 1))
        plain, changed = step.discriminators((x, told), (louder, told))
        pairs = [pair for name in plain for pair in zip(plain[name], changed[name], strict=True)]
        return torch.stack([(one.score - other.score).float().square().mean() for one, other in pairs]).sum()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators."""
        return TermContract(needs=frozenset({"outputs"}))
