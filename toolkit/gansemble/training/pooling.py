"""Terms that are functions of a whole batch, over its micro-batches and processes: what each is handed of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Pool:
    """Values of all items of one turn's batch, by term.

    With one micro-batch a term's values are known when it is called. With several, those of later micro-batches are not,
    but the first one's gradient depends on them; the loop then goes through all of them once without gradients, and
    notes their values here. Networks that change as they run, as spectral norm's vectors do where gradients are recorded,
    are looked at as they were when the window began.

    Args:
        window: micro-batches in a step.
        world: processes.
        gather: joins equal-sized tensors of all processes along the first axis, in the processes' order.
        rank: of this process.
    """

    def __init__(self, window: int, world: int, gather: Callable[[Tensor], Tensor], rank: int) -> None:
        self.window, self.world, self.gather, self.rank = window, world, gather, rank
        self._noted: dict[str, list[Tensor]] = {}
        self._gathered: dict[str, list[Tensor]] = {}

    def note(self, name: str, values: Tensor) -> None:
        """Keeps a micro-batch's values [B, ...] of a term, in the order of micro-batches."""
        self._noted.setdefault(name, []).append(values.detach())

    def whole(self, name: str, place: int, own: Tensor) -> Tensor:
        """The values [N, ...] of the whole batch: those of micro-batch ``place`` of this process with their graph, all
        others as constants.

        Gradients are averaged over micro-batches and processes afterwards, so those of the own values are multiplied by
        the number of both: the average is then the gradient of the whole batch's value.
        """
        if self.window == 1 and self.world == 1:
            return own
        pieces = self._all(name, own)
        mine = self.rank * self.window + place
        scaled = own.detach() + (own - own.detach()) * (self.window * self.world)
        return torch.cat([scaled if number == mine else piece for number, piece in enumerate(pieces)])

    def _all(self, name: str, own: Tensor) -> list[Tensor]:
        """Every micro-batch's values: those of process 0, of process 1, and so on."""
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
    """Puts buffers (running statistics, power-iteration vectors) and torch's random state back afterwards, so that what
    comes next is computed as if this had not been."""
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
