"""Regularisers of discriminators that no paper owns: gradient penalties and drift."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Condition, Step, Turn, zero
from gansemble.numbers import NonNegative, Steps

DISCRIMINATOR: frozenset[Turn] = frozenset({"discriminator"})


def squared_slopes(step: Step, x: Tensor, condition: Condition) -> Iterator[Tensor]:
    """‖∇D(x)‖² of each item [B], of every (sub-)discriminator in turn, differentiable once more.

    Several opinions on an item are averaged before the gradient is taken, and the norm is over all axes behind the batch. A
    discriminator's ``gradient_scale``, where it has one, multiplies the gradient, such as that of a normalisation which
    belongs to the discriminator but is done outside it.

    Args:
        step: whose discriminators judge.
        x: what is judged [B, ...], float32, a leaf that requires a gradient.
        condition: what they are told of it.
    """
    (found,) = step.discriminators((x, condition))
    for name, outputs in found.items():
        scale = getattr(step.discriminators.parts[name], "gradient_scale", None)  # type: ignore[union-attr,index]
        for output in outputs:
            score = output.score.float().mean(1).sum()
            (gradient,) = torch.autograd.grad(score, x, create_graph=True)
            gradient = gradient if scale is None else gradient * scale
            yield gradient.square().flatten(1).sum(1)


def penalise(step: Step, x: Tensor, condition: Condition, cost: Callable[[Tensor], Tensor]) -> Tensor:
    """Sum over (sub-)discriminators of the mean over items of ``cost(‖∇D(x)‖²)``, in float32 with autocast off."""
    # Second derivatives of half precision are noise.
    with torch.autocast(x.device.type, enabled=False), torch.enable_grad():
        x = x.requires_grad_()
        return torch.stack([cost(squares).mean() for squares in squared_slopes(step, x, condition)]).sum()


def slope_contract() -> TermContract:
    """Needs discriminators without batch norm, which makes an item's gradient that of the whole batch; fp16 would overflow
    the second derivatives."""
    return TermContract(
        needs=frozenset({"outputs"}), clashes=frozenset({"batch_norm"}), precisions=frozenset({"no", "bf16"})
    )


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
        target: NonNegative = 1.0,
        at: Literal["between", "real", "fake"] = "between",
        sided: Literal["two", "one"] = "two",
    ) -> None:
        if target < 0:
            raise ValueError(f"target must be at least 0, got {target:g}")
        self.target, self.at, self.sided = target, at, sided

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        condition = step.fake_condition if self.at == "fake" else step.real_condition
        return penalise(step, self._place(step), condition, self._cost)

    def _place(self, step: Step) -> Tensor:
        real, fake = step.seen_real.detach().float(), step.seen_fake.detach().float()
        if self.at != "between":
            return (real if self.at == "real" else fake).clone()
        share = step.batch.draws.uniform("gradient_penalty").view(-1, *[1] * (real.dim() - 1))
        return real + share * (fake - real)

    def _cost(self, squares: Tensor) -> Tensor:
        # 1e-12: the root's own gradient is infinite at zero.
        off = (squares + 1e-12).sqrt() - self.target
        return (off.clamp_min(0) if self.sided == "one" else off).square()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators without batch norm; see slope_contract."""
        return slope_contract()


class ZeroCentred:
    """gamma / 2 times the mean over items of ‖∇D(x)‖² at given items, in every ``every``-th step, times ``every``.

    Args:
        gamma: the penalty's strength.
        every: steps from one to the next.

    Raises:
        ValueError: if ``gamma`` is negative or ``every`` is not positive.
    """

    def __init__(self, gamma: float, every: int) -> None:
        if gamma < 0:
            raise ValueError(f"gamma must be at least 0, got {gamma:g}")
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.gamma, self.every = gamma, every

    def __call__(self, step: Step, seen: Tensor, condition: Condition) -> Tensor:
        """The penalty at ``seen`` [B, ...], or a zero where the step is left out."""
        if step.index % self.every:
            return zero(seen)
        factor = self.every * self.gamma / 2
        return penalise(step, seen.detach().float().clone(), condition, lambda squares: factor * squares)


class R1:
    """gamma / 2 times the mean over real items of ‖∇D(x)‖² (Mescheder et al. 2018, section 4.1).

    Summed over (sub-)discriminators, whose several opinions on an item are averaged first; computed in float32 with autocast
    off. It is taken at what the discriminators see, behind a noise injector. Lazy regularisation (StyleGAN2, Karras et al.
    2020, appendix B): only every ``every``-th step has the penalty, and that one ``every`` times, so the mean over steps
    stays what it was. The optimiser's own moments are left as they are, which StyleGAN2 adapts.

    Args:
        gamma: the penalty's strength.
        every: steps from one to the next; StyleGAN2 uses 16.

    Shape: reads step.seen_real [B, ...] -> a scalar.

    Raises:
        ValueError: if ``gamma`` is negative or ``every`` is not positive.
    """

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR

    def __init__(self, *, gamma: NonNegative = 10.0, every: Steps = 1) -> None:
        self.penalty = ZeroCentred(gamma, every)

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.penalty(step, step.seen_real, step.real_condition)

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators without batch norm; see slope_contract."""
        return slope_contract()


class R2:
    """gamma / 2 times the mean over fake items of ‖∇D(G)‖² (Mescheder et al. 2018, section 4.1); else as R1.

    R3GAN (Huang et al. 2024) uses it beside R1.

    Args:
        gamma: the penalty's strength.
        every: steps from one to the next.

    Shape: reads step.seen_fake [B, ...] -> a scalar.

    Raises:
        ValueError: if ``gamma`` is negative or ``every`` is not positive.
    """

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR

    def __init__(self, *, gamma: NonNegative = 10.0, every: Steps = 1) -> None:
        self.penalty = ZeroCentred(gamma, every)

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return self.penalty(step, step.seen_fake, step.fake_condition)

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators without batch norm; see slope_contract."""
        return slope_contract()


class Drift:
    """mean of squared scores of real items, which keeps a critic's free offset near zero (Karras et al. 2018, section A.1).

    Summed over (sub-)discriminators.

    Shape: scores [B, N] -> a scalar.
    """

    turns: ClassVar[frozenset[Turn]] = DISCRIMINATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        scores = [output.score for outputs in step.real_output.values() for output in outputs]
        return torch.stack([score.float().square().mean() for score in scores]).sum()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs discriminators."""
        return TermContract(needs=frozenset({"outputs"}))
