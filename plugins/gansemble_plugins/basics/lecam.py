"""LeCam regularisation: scores held near the other side's running mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from gansemble import numbers
from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn
from gansemble.numbers import BelowOne


class LeCam:
    """mean((D(x) - a_F)²) + mean((D(G) - a_R)²), with a_R and a_F running means of scores (Tseng et al. 2021).

    It holds real scores near the mean score of fakes, and fake ones near that of reals, which bounds a weighted LeCam
    divergence from above and keeps a discriminator with little data from growing certain. Each sub-discriminator has running
    means of its own, and the terms are summed:

        a <- decay a + (1 - decay) (mean score of the step),

    over the whole step's items, whatever the number of processes and micro-batches. A step's term uses the means up to
    the step before; the first step has means of 0, and the second those of the first step.

    ``sided: two`` is the paper's equation. ``one`` is the released code's: max(0, D(x) - a_F)² and max(0, a_R - D(G))², so
    that only scores on their right side are drawn back; its running means begin at a parameter of theirs instead.

    Args:
        decay: of the running means (gamma).
        start: steps without the term, in which the running means are those of the last step alone.
        sided: which scores are drawn back.

    Shape: scores [B, N] of both sides -> a scalar.

    Raises:
        ValueError: if ``decay`` is not from 0 to 1 (without 1), or ``start`` is negative.
    """

    turns: ClassVar[frozenset[Turn]] = frozenset({"discriminator"})
    adapt_every = 1
    statistic_turn: Turn = "discriminator"
    statistic_window = "interval"

    def __init__(
        self, *, decay: BelowOne = 0.99, start: numbers.Step = 0, sided: Literal["two", "one"] = "two"
    ) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be from 0 to below 1, got {decay:g}")
        if start < 0:
            raise ValueError(f"start must be at least 0, got {start}")
        self.decay, self.start, self.sided = decay, start, sided
        self.steps = 0
        self.means: list[float] = []  # of real and fake, one sub-discriminator after the other

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        costs = []
        for place, (_, real, fake) in enumerate(step.pairs()):
            of_real, of_fake = self.means[2 * place : 2 * place + 2] or (0.0, 0.0)
            above, below = real.score.float() - of_fake, of_real - fake.score.float()
            if self.sided == "one":
                above, below = above.clamp_min(0), below.clamp_min(0)
            costs.append(above.square().mean() + below.square().mean())
        value = torch.stack(costs).sum()
        return value if self.steps >= self.start else torch.zeros_like(value)

    def statistic(self, step: Step) -> Tensor:
        """Each item's mean score [B, 2 S]: real and fake of the first sub-discriminator, then of the next."""
        scores = [output.score for _, *pair in step.pairs() for output in pair]
        return torch.stack([score.detach().float().mean(1) for score in scores], 1)

    def adapt(self, value: Sequence[float]) -> None:
        """One step of the running means, by the step's mean scores (2 S of them).

        Raises:
            ValueError: if their number is not that of the steps before.
        """
        new = [float(each) for each in value]
        if self.means and len(new) != len(self.means):
            raise ValueError(f"expected {len(self.means)} mean scores, real and fake in turn, got {len(new)}")
        decay = self.decay if self.means and self.steps >= self.start else 0.0
        self.means = [decay * old + (1 - decay) * each for old, each in zip(self.means or new, new, strict=True)]
        self.steps += 1

    def monitors(self) -> dict[str, float]:
        """The running means, averaged over sub-discriminators."""
        if not self.means:
            return {}
        count = len(self.means) / 2
        return {"real": sum(self.means[::2]) / count, "fake": sum(self.means[1::2]) / count}

    def state_dict(self) -> dict[str, Any]:
        """The running means, and the steps they are of."""
        return {"means": list(self.means), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores them."""
        self.means, self.steps = [float(each) for each in state["means"]], int(state["steps"])

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators."""
        return TermContract(needs=frozenset({"outputs"}))
