"""Regularisers of discriminators that no paper owns: gradient penalties and drift."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from gansemble.interfaces import Contract, Step, Turn

DISCRIMINATOR: frozenset[Turn] = frozenset({"discriminator"})


class GradientPenalty:
    """Keeps the norm of a score's gradient with respect to what is judged at a target (Gulrajani et al. 2017, eq. 3).

    mean over items of (‖∇D(x)‖ - target)², norm over all axes behind the batch, summed over (sub-)discriminators, whose
    several opinions on an item are averaged first. Computed in float32 with autocast off: second derivatives of half
    precision are noise. A discriminator's ``gradient_scale``, where it has one, multiplies the gradient before its norm
    is taken, such as that of a normalisation which belongs to the discriminator but is done outside it.

    Args:
        target: the norm that costs nothing; 0 at real items is R1 (Mescheder et al. 2018).
        at: where the gradient is taken: between real and fake, on a straight line with one uniform factor for each
            item; at real; or at fake items.
        sided: ``one`` leaves norms below the target alone.

    Shape: reads step.seen_real and step.seen_fake [B, ...] -> a scalar.
    """

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR

    def __init__(
        self,
        *,
        target: float = 1.0,
        at: Literal["between", "real", "fake"] = "between",
        sided: Literal["two", "one"] = "two",
    ) -> None:
        if target < 0:
            raise ValueError(f"target must be at least 0, got {target:g}")
        self.target, self.at, self.sided = target, at, sided

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        with torch.autocast(step.seen_real.device.type, enabled=False), torch.enable_grad():
            x = self._place(step).requires_grad_()
            condition = step.fake_condition if self.at == "fake" else step.real_condition
            (found,) = step.discriminators((x, condition))
            return torch.stack([self._cost(step, name, x, verdicts) for name, verdicts in found.items()]).sum()

    def _place(self, step: Step) -> Tensor:
        real, fake = step.seen_real.detach().float(), step.seen_fake.detach().float()
        if self.at != "between":
            return (real if self.at == "real" else fake).clone()
        share = step.batch.draws.uniform("gradient_penalty").view(-1, *[1] * (real.dim() - 1))
        return real + share * (fake - real)

    def _cost(self, step: Step, name: str, x: Tensor, verdicts: Any) -> Tensor:
        scale = getattr(step.discriminators.parts[name], "gradient_scale", None)  # type: ignore[union-attr,index]
        costs = []
        for verdict in verdicts:
            score = verdict.score.float().mean(1).sum()
            (gradient,) = torch.autograd.grad(score, x, create_graph=True)
            gradient = gradient if scale is None else gradient * scale
            # 1e-12: the root's own gradient is infinite at zero.
            norm = (gradient.square().flatten(1).sum(1) + 1e-12).sqrt()
            off = norm - self.target
            costs.append((off.clamp_min(0) if self.sided == "one" else off).square().mean())
        return torch.stack(costs).sum()

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract:
        """Needs discriminators without batch norm, which makes an item's gradient that of the whole batch; fp16 would
        overflow its second derivatives."""
        return Contract(
            needs=frozenset({"verdicts"}), clashes=frozenset({"batch_norm"}), precisions=frozenset({"no", "bf16"})
        )


class Drift:
    """mean of squared scores of real items, which keeps a critic's free offset near zero (Karras et al. 2018, section A.1).

    Summed over (sub-)discriminators.

    Shape: scores [B, N] -> a scalar.
    """

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        scores = [verdict.score for verdicts in step.verdict_real.values() for verdict in verdicts]
        return torch.stack([score.float().square().mean() for score in scores]).sum()

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract:
        """Needs discriminators."""
        return Contract(needs=frozenset({"verdicts"}))
