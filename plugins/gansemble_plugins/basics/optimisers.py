"""torch's optimisers with keyword parameters that a recipe can check; the fused kernels, on the CPU too.

What TensorFlow's optimisers do otherwise is an option: recipes of methods that were published with them choose it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gansemble.numbers import BelowOne, Floor, NonNegative, Positive, Rate

EpsilonForm = Literal["torch", "tensorflow"]


def adamw(
    parameters: Iterable[nn.Parameter],
    *,
    lr: Rate = 2e-4,
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.999),
    eps: Floor = 1e-8,
    weight_decay: NonNegative = 0.01,
    epsilon_form: EpsilonForm = "torch",
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019); torch's default weight decay, as HiFi-GAN uses it.

    Args:
        lr: learning rate.
        betas: of the running means of the gradient and its square.
        eps: added to the root of the second.
        weight_decay: share of the weights taken off in a step, times the learning rate.
        epsilon_form: see :func:`adam`.
    """
    made = torch.optim.AdamW(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)
    return _with_epsilon(made, epsilon_form)


def adam(
    parameters: Iterable[nn.Parameter],
    *,
    lr: Rate = 1e-4,
    betas: tuple[BelowOne, BelowOne] = (0.5, 0.9),
    eps: Floor = 1e-8,
    epsilon_form: EpsilonForm = "torch",
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015).

    With v the running mean of squared gradients and c = 1 - beta2^t its correction at step t, a step is the corrected
    mean of gradients over sqrt(v / c) + eps, as in the paper's algorithm 1 (``torch``), or over (sqrt(v) + eps) /
    sqrt(c), the paper's faster form with "epsilon hat" (``tensorflow``). The second is the first with an epsilon of
    eps / sqrt(c): larger in the first steps, by 3.2 times at step 1 for beta2 = 0.9, and the same later. It matters to
    weights whose gradients are within some thousand times epsilon.

    Args:
        lr: learning rate.
        betas: of the running means of the gradient and its square.
        eps: added to the root of the second.
        epsilon_form: whether that root is corrected before epsilon is added (``torch``) or after it (``tensorflow``,
            as ``tf.train.AdamOptimizer``).
    """
    return _with_epsilon(torch.optim.Adam(parameters, lr=lr, betas=betas, eps=eps, fused=True), epsilon_form)


def _with_epsilon(optimiser: torch.optim.Optimizer, form: EpsilonForm) -> torch.optim.Optimizer:
    """Adam, or AdamW, with an epsilon of that form.

    For ``tensorflow``, each group's epsilon is divided by sqrt(1 - beta2^t) for the length of a step, so the fused
    kernels serve both forms, and what is saved is the recipe's epsilon. t is read from the state: a resumed run, one
    whose state was cleared, and one whose gradient scaler left steps out go on with the right one. All parameters of a
    group are taken to have made the same number of steps. Once the root is 1 to the last digit, t is read no more,
    because an accelerator would have to be waited for: from step 356 on for beta2 = 0.9, 3,725 for 0.99.
    """
    if form == "torch":
        return optimiser
    settled: dict[int, Tensor] = {}  # by group: the count of steps that needs no more reading
    own: list[float] = []

    def before(stepped: torch.optim.Optimizer, *_: object) -> None:
        own[:] = [group["eps"] for group in stepped.param_groups]
        for index, group in enumerate(stepped.param_groups):
            steps = next((stepped.state[each]["step"] for each in group["params"] if each in stepped.state), None)
            if steps is not None and settled.get(index) is steps:
                continue
            correction = 1 - group["betas"][1] ** (1 if steps is None else int(steps) + 1)
            group["eps"] /= correction**0.5
            if steps is not None and correction == 1:
                settled[index] = steps

    def after(stepped: torch.optim.Optimizer, *_: object) -> None:
        for group, eps in zip(stepped.param_groups, own, strict=True):
            group["eps"] = eps

    optimiser.register_step_pre_hook(before)
    optimiser.register_step_post_hook(after)
    return optimiser


class TensorFlowRmsprop(torch.optim.Optimizer):
    """RMSprop as ``tf.train.RMSPropOptimizer`` without momentum: w <- w - lr g / sqrt(v + eps).

    v, the running mean of squared gradients, begins at 1, which makes the first steps small.

    Args:
        lr, alpha, eps: see :func:`rmsprop`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, alpha: float, eps: float) -> None:
        super().__init__(parameters, {"lr": lr, "alpha": alpha, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; the closure's value where there is one."""
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["square_avg"] = torch.ones_like(weight)
                mean = state["square_avg"].lerp_(weight.grad.square(), 1 - group["alpha"])
                weight.addcdiv_(weight.grad, (mean + group["eps"]).sqrt_(), value=-group["lr"])
        return value


def rmsprop(
    parameters: Iterable[nn.Parameter],
    *,
    lr: Rate = 5e-5,
    alpha: BelowOne = 0.99,
    eps: Floor = 1e-8,
    clip_weights: Positive | None = None,
    epsilon_form: EpsilonForm = "torch",
) -> torch.optim.Optimizer:
    """RMSprop, as the first Wasserstein GAN used it.

    Args:
        lr: learning rate.
        alpha: of the running mean of the squared gradient.
        eps: added to that mean's root (``torch``), or to the mean (``tensorflow``).
        clip_weights: largest magnitude of a weight after each step (Arjovsky et al. 2017: 0.01); null is none.
        epsilon_form: ``tensorflow`` is ``tf.train.RMSPropOptimizer``, whose running mean begins at 1 too; its own
            defaults are an alpha of 0.9 and an eps of 1e-10.

    Raises:
        ValueError: if ``clip_weights`` is not positive.
    """
    if clip_weights is not None and clip_weights <= 0:
        raise ValueError(f"clip_weights must be positive or null, got {clip_weights:g}")
    make: Any = torch.optim.RMSprop if epsilon_form == "torch" else TensorFlowRmsprop
    optimiser: torch.optim.Optimizer = make(parameters, lr=lr, alpha=alpha, eps=eps)
    if clip_weights is not None:
        bound = clip_weights

        def clip(stepped: torch.optim.Optimizer, *_: object) -> None:
            with torch.no_grad():
                for group in stepped.param_groups:
                    for weight in group["params"]:
                        weight.clamp_(-bound, bound)

        optimiser.register_step_post_hook(clip)
    return optimiser


def sgd(parameters: Iterable[nn.Parameter], *, lr: Rate = 0.1, momentum: BelowOne = 0.0) -> torch.optim.Optimizer:
    """Stochastic gradient descent.

    Args:
        lr: learning rate.
        momentum: share of the last step that is kept.
    """
    return torch.optim.SGD(parameters, lr=lr, momentum=momentum)
