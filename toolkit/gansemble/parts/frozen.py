"""Networks that never learn, such as the one whose features a perceptual loss compares, kept out of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Frozen(nn.Module):
    """Holds a network that never learns: in eval mode for good, without gradients of its own, and in no checkpoint.

    Called like the network, whose output lets gradients through to its input. It moves with whatever module it is an
    attribute of. Its state is empty and it has no parameters, for optimisers, checkpoints and counts alike; what an earlier
    checkpoint holds of it is passed over. So the network must be made again by the constructor, such as from a
    :class:`gansemble.File`.

    Args:
        module: the network; it is put into eval mode, and its parameters no longer require gradients.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        # In a tuple, so that torch does not register it: a registered one would be trained, counted and saved.
        self._held = (module.requires_grad_(False).eval(),)

    @property
    def module(self) -> nn.Module:
        """The network itself."""
        return self._held[0]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the network."""
        return self.module(*args, **kwargs)

    def train(self, mode: bool = True) -> Frozen:
        """Stays in eval mode."""
        return super().train(False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Frozen:
        self.module._apply(fn)  # what .to(), .half() and .cuda() do to every module
        self.module.requires_grad_(False)
        return super()._apply(fn, recurse)

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        """Passes over what a state holds of the network."""

    def extra_repr(self) -> str:
        return repr(self.module)
