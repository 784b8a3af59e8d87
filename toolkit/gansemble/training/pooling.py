"""Losses that are functions of a whole batch rather than means over its items, when the batch is split.

Each micro-batch of each process is given the item values of all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Pool:
    """Gives a pooled term the values of all items of one turn's batch, over micro-batches and processes.

    A pooled term (:class:`gansemble.abilities.PooledTerm`) needs all items at once, such as to compare two means. With
    one micro-batch their values are known when the term is called. With gradient accumulation those of later
    micro-batches are not known yet, though the gradient of the first depends on them. The training step therefore runs
    all micro-batches once without gradients, and notes their values here. Buffers that are updated only in passes with
    gradients, such as the power iteration vectors of some spectral normalisations, have in it the values that they had
    when the window began.

    Args:
        window: number of micro-batches in a step.
        world: number of processes.
        gather: concatenates the equal-sized tensors of all processes along the first axis, in the order of ranks.
        rank: of this process.

    Shape:
        - item values of a micro-batch: [B, ...], B items
        - item values of the whole batch: [N, ...], N = B * window * world
    """

    def __init__(self, window: int, world: int, gather: Callable[[Tensor], Tensor], rank: int) -> None:
        self.window, self.world, self.gather, self.rank = window, world, gather, rank
        self._noted: dict[str, list[Tensor]] = {}
        self._gathered: dict[str, list[Tensor]] = {}

    def note(self, name: str, values: Tensor) -> None:
        """Keeps the values [B, ...] of a term for one micro-batch; to be called in the order of micro-batches."""
        self._noted.setdefault(name, []).append(values.detach())

    def whole(self, name: str, place: int, own: Tensor) -> Tensor:
        """The values of the whole batch for a term, of which this micro-batch's keep their autograd graph.

        All others are constants. Gradients are averaged over micro-batches and processes afterwards, so the gradient of
        this micro-batch's values is multiplied by the number of both: the average is then the gradient of the whole
        batch's value.

        Args:
            name: of the term.
            place: index of this process's micro-batch in the window.
            own: its values [B, ...].

        Returns:
            Values [N, ...], ordered by process and then by micro-batch.
        """
        if self.window == 1 and self.world == 1:
            return own
        pieces = self._all(name, own)
        mine = self.rank * self.window + place  # each process contributes a window of micro-batches, in rank order
        # The value is that of own; only its gradient is multiplied.
        scaled = own.detach() + (own - own.detach()) * (self.window * self.world)
        return torch.cat([scaled if number == mine else piece for number, piece in enumerate(pieces)])

    def _all(self, name: str, own: Tensor) -> list[Tensor]:
        """The values of every micro-batch, without graph: those of process 0, then of process 1, and so on."""
        if self.window == 1:
            return list(self._shared(own.detach()).chunk(self.world))
        if name not in self._gathered:
            noted = torch.cat(self._noted[name])
            self._gathered[name] = list(self._shared(noted).chunk(self.world * self.window))
        return self._gathered[name]

    def _shared(self, values: Tensor) -> Tensor:
        return values if self.world == 1 else self.gather(values.contiguous())


@contextmanager
def leaving_no_trace(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Context manager after which buffers and torch's random state are what they were before.

    A trial forward pass inside it changes no running statistics, power iteration vectors or random numbers of later
    steps.

    Args:
        networks: whose buffers are restored.
    """
    held = list(networks)
    buffers = [buffer for network in held for buffer in network.buffers()]
    kept = [buffer.clone() for buffer in buffers]
    tensors = [*buffers, *(parameter for network in held for parameter in network.parameters())]
    devices = sorted({each.device.index for each in tensors if each.device.type == "cuda"})  # type: ignore[type-var]
    with torch.random.fork_rng(devices):
        yield
    with torch.no_grad():
        for buffer, before in zip(buffers, kept, strict=True):
            buffer.copy_(before)
