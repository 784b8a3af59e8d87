"""One side of the adversarial training: a network with its optimisers, gradient scaler and gradient clipping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from gansemble.recipe.sections import Plan

#: Below this loss scale a run counts as stalled. A ``GradScaler`` begins at 65,536 and halves its scale at each step
#: with a non-finite gradient, so this is about 30 such steps in a row: no smaller scale will make the gradients finite.
LEAST_SCALE = 1e-4


@runtime_checkable
class _Synchronised(Protocol):
    """A network wrapped for several processes: inside ``no_sync()`` its gradients are not averaged over processes."""

    def no_sync(self) -> AbstractContextManager[object]: ...


class _Together:
    """Several optimisers as one, to a gradient scaler: an overflow of any gradient leaves out the step of all.

    Args:
        optimisers: of one side.
    """

    def __init__(self, optimisers: Sequence[torch.optim.Optimizer]) -> None:
        self.optimisers = optimisers

    @property
    def param_groups(self) -> list[dict[str, object]]:
        """Those of all."""
        return [group for each in self.optimisers for group in each.param_groups]

    def step(self) -> None:
        """A step of each."""
        for each in self.optimisers:
            each.step()


class NetworkOptimiser:
    """One side of the adversarial training: a network with its optimisers, gradient scaler and gradient clipping.

    Args:
        network: the network itself.
        wrapped: the same network as it was wrapped for several processes; itself in a run of one process.
        optimisers: of its parameters, by name; none if it has none to learn.
        plan: gives the precision and the largest gradient norm.
    """

    def __init__(
        self, network: nn.Module, wrapped: nn.Module, optimisers: Mapping[str, torch.optim.Optimizer], plan: Plan
    ) -> None:
        self.network, self.wrapped, self.optimisers, self.clip = network, wrapped, dict(optimisers), plan.clip
        every = list(self.optimisers.values())
        # A single one is stepped as it is: fused ones then look for overflows themselves.
        self._stepped = every[0] if len(every) == 1 else cast("torch.optim.Optimizer", _Together(every))
        # One scaler for each side: a shared one is updated twice a step and unscales the other side's gradients.
        self.scaler = torch.amp.GradScaler(enabled=plan.precision == "fp16" and torch.cuda.is_available())
        self.base_rates = {name: [group["lr"] for group in each.param_groups] for name, each in self.optimisers.items()}

    def backward(self, loss: Tensor) -> None:
        """Backpropagates a loss, scaled where fp16 needs it; gradients add to those of earlier micro-batches."""
        self.scaler.scale(loss).backward()

    def learn(self, measure: bool) -> Tensor | None:
        """Takes one step of each optimiser with the accumulated gradients, clipped as the plan says, and clears them.

        The norm that is clipped is that of the whole side.

        Args:
            measure: whether the gradient norm is wanted even where nothing is clipped.

        Returns:
            The L2 norm of all gradients before clipping, a scalar; None if it was not needed. Under fp16 a norm that is
                not finite is given as 0, because the scaler leaves out that step.
        """
        if not self.optimisers:
            return None
        norm = None
        if self.clip is not None or measure:
            self.scaler.unscale_(self._stepped)
            parameters = [parameter for parameter in self.network.parameters() if parameter.grad is not None]
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            if self.clip is not None:
                nn.utils.clip_grads_with_norm_(parameters, self.clip, norm)
            if self.scaler.is_enabled():  # it finds its scale by steps whose gradients overflow, and leaves these out
                norm = norm.nan_to_num(0.0, 0.0, 0.0)
        self.scaler.step(self._stepped)
        self.scaler.update()
        for each in self.optimisers.values():
            each.zero_grad(set_to_none=True)
        return norm

    @property
    def loss_scale(self) -> float | None:
        """The factor that keeps small gradients from underflowing in fp16; None in other precisions."""
        return self.scaler.get_scale() if self.scaler.is_enabled() else None

    @property
    def stalled(self) -> bool:
        """Whether gradients have been non-finite for so many steps, all left out, that no loss scale will help."""
        scale = self.loss_scale
        return scale is not None and scale < LEAST_SCALE

    def set_rate(self, name: str, factor: float) -> None:
        """Sets the learning rate of each parameter group of an optimiser to its base rate times ``factor``."""
        for group, base in zip(self.optimisers[name].param_groups, self.base_rates[name], strict=True):
            group["lr"] = base * factor

    def no_sync(self, off: bool) -> AbstractContextManager[object]:
        """Context manager that, if ``off``, leaves gradients unaveraged between processes.

        Used for all micro-batches of a window but the last, whose backward pass then averages the accumulated
        gradients.
        """
        return self.wrapped.no_sync() if off and isinstance(self.wrapped, _Synchronised) else nullcontext()
