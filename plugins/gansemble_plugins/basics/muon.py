"""Muon (Jordan et al. 2024): momentum whose matrices are made orthogonal, and AdamW for everything else.

K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse, J. Bernstein: "Muon: An optimizer for hidden layers in neural
networks", https://kellerjordan.github.io/posts/muon/, 2024. ``torch.optim.Muon`` takes matrices alone, so the step is
written here; a test compares both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from gansemble.numbers import BelowOne, Floor, NonNegative, Range, Rate
from gansemble.recipe.parameter_names import chooses_nothing, chosen

#: Coefficients of the quintic iteration, from the authors' code.
QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor, iterations: int) -> Tensor:
    """A matrix [R, C] with its singular values brought near 1, by Newton and Schulz's iteration.

    X <- a X + (b A + c A A) X with A = X Xᵀ, from X = M / |M|. The coefficients reach 1 quickly rather than exactly: after
    five iterations the singular values are between 0.7 and 1.2, as the authors choose. In float32, where theirs is in
    bfloat16. Of zeros it makes zeros.

    Args:
        matrix: M.
        iterations: at least 1.
    """
    a, b, c = QUINTIC
    x = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(iterations):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if matrix.shape[0] > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):
    """Steps groups of matrices by Muon, and those of other parameters by AdamW; see :func:`muon`.

    Args:
        groups: torch's parameter groups, each with all its settings; ``matrices`` says which are which.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; the closure's value where there is one."""
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        for group in self.param_groups:
            move = self._orthogonal if group["matrices"] else self._adamw
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    move(weight, weight.grad, group)
        return value

    def _orthogonal(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """B <- m B + (1 - m) G; w <- w - lr s O(m B + (1 - m) G), or of B without Nesterov, for a weight [R, ...]."""
        state, momentum = self.state[weight], group["momentum"]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        mean = state["momentum"].lerp_(gradient, 1 - momentum)
        update = (gradient.lerp(mean, momentum) if group["nesterov"] else mean).flatten(1)
        rows, columns = update.shape
        scale = {"original": max(1.0, rows / columns) ** 0.5, "match_rms_adamw": 0.2 * max(rows, columns) ** 0.5}
        made = orthogonalised(update.float(), group["iterations"]).to(weight.dtype)
        weight.add_(made.view_as(weight), alpha=-group["lr"] * scale[group["scale"]])

    def _adamw(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Adam's step (Kingma and Ba 2015, algorithm 1); the decay of weights has been taken off before."""
        state, (first, second) = self.state[weight], group["betas"]
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(weight), "square": torch.zeros_like(weight)}
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - first)
        square = state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (square.sqrt() / math.sqrt(1 - second ** state["step"])).add_(group["eps"])
        weight.addcdiv_(mean, root, value=-group["lr"] / (1 - first ** state["step"]))


def muon(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    lr: Rate = 0.02,
    momentum: BelowOne = 0.95,
    nesterov: bool = True,
    iterations: Annotated[int, Range(at_least=1, at_most=1000)] = 5,
    scale: Literal["original", "match_rms_adamw"] = "original",
    weight_decay: NonNegative = 0.0,
    adamw: tuple[str, ...] = (),
    adamw_lr: Rate = 3e-4,
    betas: tuple[BelowOne, BelowOne] = (0.9, 0.95),
    eps: Floor = 1e-8,
) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024) for weights of 2 or more dimensions, AdamW for everything else.

    A weight [R, ...], such as of a convolution, is taken as a matrix [R, C] of its first dimension and the rest. One with a
    single row or column, such as the gains of weight norm, has nothing to make orthogonal and is AdamW's. The authors leave
    embeddings and the first and last layers to AdamW as well: name them in ``adamw``. Schedules change both rates alike.

    Args:
        lr: learning rate of matrices.
        momentum: share of the mean of gradients that is kept in a step.
        nesterov: look ahead by a step of that mean.
        iterations: of Newton and Schulz, in each step.
        scale: of the step of a matrix of R rows and C columns: sqrt(max(1, R / C)), as the authors', or 0.2 sqrt(max(R, C)),
            which is as large as AdamW's, so that its rates can be taken over (Liu et al. 2025).
        weight_decay: share of the weights taken off in a step, times the learning rate.
        adamw: beginnings of the names of further parameters for AdamW, such as ``generator.conv_post``; ``*`` stands for any
            text.
        adamw_lr: learning rate of AdamW.
        betas: of AdamW's running means of the gradient and its square.
        eps: added to the root of the second.

    Raises:
        ValueError: if ``adamw`` names nothing, or a number is out of its range.
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be at least 0 and below 1, got {momentum:g}")
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    for name, rate in (("lr", lr), ("adamw_lr", adamw_lr), ("weight_decay", weight_decay)):
        if rate < 0:
            raise ValueError(f"{name} must be at least 0, got {rate:g}")
    given = dict(named_parameters)
    for pattern in adamw:
        if not chosen([pattern], given):
            raise ValueError(f"adamw: {chooses_nothing(pattern, given)}")
    apart = set(chosen(adamw, given))
    matrices = [each for name, each in given.items() if name not in apart and _is_matrix(each)]
    known = {id(each) for each in matrices}
    others = [each for each in given.values() if id(each) not in known]
    shared = {"weight_decay": weight_decay}
    muons = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "iterations": iterations, "scale": scale}
    adams = {"lr": adamw_lr, "betas": betas, "eps": eps}
    groups: list[dict[str, Any]] = [
        {"params": matrices, "matrices": True, **muons, **shared},
        {"params": others, "matrices": False, **adams, **shared},
    ]
    return Muon([group for group in groups if group["params"]])


def _is_matrix(weight: Tensor) -> bool:
    return weight.dim() > 1 and weight.shape[0] > 1 and weight[0].numel() > 1
