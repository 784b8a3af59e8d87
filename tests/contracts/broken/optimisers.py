"""Optimisers with one mistake each."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MOMENTUM = 0.9


class Sound(torch.optim.Optimizer):
    """Momentum with Adam's correction of the start: v <- m v + (1 - m) g, w <- w - lr v / (1 - m^t).

    Args:
        lr: the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = 0.05) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.move(weight, weight.grad, group)

    def move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """One weight's step."""
        state = self.state[weight]
        if not state:
            state |= {"step": 0, "velocity": torch.zeros_like(weight)}
        state["step"] += 1
        state["velocity"].lerp_(gradient, 1 - MOMENTUM)
        weight -= group["lr"] / (1 - MOMENTUM ** state["step"]) * state["velocity"]


def TwoRates(parameters: Iterable[nn.Parameter], *, lr: float = 0.05, vector_lr: float = 0.01) -> torch.optim.Optimizer:
    """Matrices, which it must be given, at one rate, and everything else at another. Sound.

    Args:
        lr: of matrices and the weights of convolutions.
        vector_lr: of everything else.
    """
    given = list(parameters)
    made = Sound([each for each in given if each.dim() > 1], lr=lr)
    made.add_param_group({"params": [each for each in given if each.dim() < 2], "lr": vector_lr})
    return made


def ByName(named_parameters: Iterable[tuple[str, nn.Parameter]], *, lr: float = 0.05) -> torch.optim.Optimizer:
    """Biases at twice the rate, by their names. Sound.

    Args:
        lr: of everything else.
    """
    given = list(named_parameters)
    made = Sound([each for name, each in given if not name.endswith("bias")], lr=lr)
    made.add_param_group({"params": [each for name, each in given if name.endswith("bias")], "lr": 2 * lr})
    return made


class ForgetsItsSteps(Sound):
    """Counts its steps in an attribute: after a resume it corrects for a start that is long past.

    Args:
        lr: the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = 0.05) -> None:
        super().__init__(parameters, lr=lr)
        self.steps = 0

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.steps += 1
        super().step(closure)

    def move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        state["velocity"] = velocity = state.get("velocity", torch.zeros_like(weight)).lerp(gradient, 1 - MOMENTUM)
        weight -= group["lr"] / (1 - MOMENTUM**self.steps) * velocity


class IgnoresTheSchedule(Sound):
    """Uses the learning rate it was built with, whatever its parameter groups say.

    Args:
        lr: the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = 0.05) -> None:
        super().__init__(parameters, lr=lr)
        self.rate = lr

    def move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        weight -= self.rate * gradient


class NoRate(torch.optim.Optimizer):
    """Calls its learning rate alpha, as its paper does: no schedule finds it.

    Args:
        alpha: the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, alpha: float = 0.05) -> None:
        super().__init__(parameters, {"alpha": alpha})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                weight -= group["alpha"] * weight.grad


class OtherFirstName(Sound):
    """Calls what it moves ``params``, as torch does.

    Args:
        lr: the learning rate.
    """

    def __init__(self, params: Iterable[nn.Parameter], *, lr: float = 0.05) -> None:
        super().__init__(params, lr=lr)


class NormalisesByNothing(Sound):
    """Divides by the gradient's norm, which may be zero.

    Args:
        lr: the learning rate.
    """

    def move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        super().move(weight, gradient / gradient.norm(), group)


class ExpectsAGradient(Sound):
    """Reads every weight's gradient, also of those that have none this time.

    Args:
        lr: the learning rate.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                self.move(weight, weight.grad.data, group)


class Uphill(Sound):
    """Adds the gradient, a sign lost from the paper's maximisation.

    Args:
        lr: the learning rate.
    """

    def move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        super().move(weight, -gradient, group)


class ReturnsEarly(Sound):
    """Returns from inside the loop: all weights but the first stay.

    Args:
        lr: the learning rate.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                return self.move(weight, weight.grad, group)


class SlowWeightsApart(Sound):
    """Lookahead (Zhang et al. 2019) whose slow weights are in no state.

    Args:
        lr: the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = 0.05) -> None:
        super().__init__(parameters, lr=lr)
        self.slow = {weight: weight.detach().clone() for group in self.param_groups for weight in group["params"]}

    def move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        super().move(weight, gradient, group)
        if self.state[weight]["step"] % 2 == 0:
            weight.copy_(self.slow[weight].lerp_(weight, 0.5))


class DecaysWithoutRate(Sound):
    """Decays weights by a share that does not follow the learning rate.

    Args:
        lr: the learning rate.
    """

    def move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        weight *= 1 - 1e-3
        super().move(weight, gradient, group)


class Averages:
    """Wraps an optimiser and is none.

    Args:
        lr: the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = 0.05) -> None:
        self.inner = Sound(parameters, lr=lr)
        self.param_groups = self.inner.param_groups

    def step(self) -> None:
        self.inner.step()


class IgnoresItsRate(Sound):
    """Does not hand its learning rate on, so that the recipe's has no effect.

    Args:
        lr: the learning rate.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = 0.05) -> None:
        super().__init__(parameters)


class KeepsADeque(Sound):
    """Keeps a history in a container that checkpoints cannot read back.

    Args:
        lr: the learning rate.
    """

    def move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        super().move(weight, gradient, group)
        self.state[weight].setdefault("norms", deque(maxlen=8)).append(np.float64(gradient.norm()))


def DecaysItself(parameters: Iterable[nn.Parameter], *, lr: float = 0.05, decay: float = 0.0) -> torch.optim.Optimizer:
    """Calls its weight decay as the recipe calls that of the learning rate, which takes it.

    Args:
        lr: the learning rate.
        decay: of weights.
    """
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=decay)
