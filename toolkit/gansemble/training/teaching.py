"""A trained generator that terms compare fakes with, asked at most once for each micro-batch."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from gansemble.errors import TrainingError
from gansemble.interfaces import Condition


class Teaching:
    """Gives a network's output for the conditions of fakes, without gradients, where a term asks for it.

    Args:
        network: the teacher, on the device of the conditions, in eval mode; it is left as it is.
        reads: what it reads of a condition: ``latent``, ``label`` and names of signals.
    """

    def __init__(self, network: nn.Module, reads: Set[str]) -> None:
        self.network, self.reads = network, reads

    def lazily(
        self, condition: Condition, fake: Tensor, autocast: Callable[[], AbstractContextManager[object]]
    ) -> Callable[[], Tensor]:
        """What gives the output for a condition: computed at the first call, and the same tensor at later ones.

        Args:
            condition: that the fakes were made from.
            fake: those fakes [B, ...].
            autocast: gives the context manager for the networks' precision.

        Returns:
            A function that gives [B, ...], float32, and raises a TrainingError unless it has the shape of the fakes.
        """
        shape, made = fake.shape, list[Tensor]()

        def output() -> Tensor:
            if not made:
                with torch.no_grad(), autocast():
                    found = self.network(self._read(condition)).float()
                if found.shape != shape:
                    raise TrainingError(
                        f"teacher: it makes items {list(found.shape[1:])} where this recipe's generator makes "
                        f"{list(shape[1:])}; use a teacher of the same length and channels"
                    )
                made.append(found)
            return made[0]

        return output

    def _read(self, condition: Condition) -> Condition:
        """A condition reduced to what the teacher reads, as in its own training."""
        latent = condition.latent if "latent" in self.reads else None
        label = condition.label if "label" in self.reads else None
        return Condition(latent, label, {name: x for name, x in condition.signals.items() if name in self.reads})
