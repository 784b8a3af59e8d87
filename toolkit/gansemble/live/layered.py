"""A network as a module that reads some frames at a time, with all that it keeps of earlier ones as inputs and outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.live.flow import Clock, Count, NotLayered
from gansemble.live.plan import Plan, Planner
from gansemble.live.rules import RULES
from gansemble.live.steps import Made
from gansemble.live.trace import Network, trace


class Layered(nn.Module):
    """The stream of a network, layer by layer: frames [R, L] and the states in, samples [C, L * hop] and the states out.

    What it gives are the samples of the whole signal, ``delay`` samples late: the first ``delay`` are none of it.

    Args:
        plan: its steps.

    Attributes:
        unit: L must be a multiple of this.
        delay: how late samples come [samples].
        hop: samples for each frame.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._steps, self._values, self._output = plan.steps, plan.values, plan.output
        self._constants = {}
        for number, constant in plan.constants.items():
            self._constants[number] = f"constant_{number}"
            self.register_buffer(self._constants[number], constant.detach())
        self.keeping = [place for place, (_, step) in enumerate(plan.steps) if step.kept]
        self._shapes = [plan.states[place] for place in self.keeping]
        self.unit, self.delay, self.flow = plan.unit, plan.flow.delay, plan.flow
        if plan.flow.rate.denominator != 1:
            raise NotLayered("it makes less than one sample of a frame")
        self.hop = plan.flow.rate.numerator

    def states(self, device: torch.device | str = "cpu") -> list[Tensor]:
        """The states before the first frame, zeros."""
        return [torch.zeros(shape, dtype=dtype, device=device) for shape, dtype in self._shapes]

    def forward(
        self, frames: Tensor, position: Count, end: Count | None, states: list[Tensor], exact: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """One part of the stream.

        Args:
            frames: that come now.
            position: how many came before.
            end: frames of the whole signal, as a multiple of the unit; None while that is not known.
            states: after the part before; they may be changed in place.
            exact: whether elements are masked even where all are known to be of the signal, for a graph.
        """
        clock, none = Clock(frames.shape[1], position, end, exact), frames.new_zeros(0)
        values: list[Made | None] = [None] * self._values
        values[0] = frames
        for number, name in self._constants.items():
            values[number] = getattr(self, name)
        after, given = [], iter(states)
        for number, step in self._steps:
            values[number], state = step.run(values, next(given) if step.kept else none, clock)
            if step.kept:
                after.append(state)
        made = values[self._output]
        assert isinstance(made, Tensor)
        return made, after


def layered(network: Network, start: Tensor) -> Layered:
    """A network as a stream.

    Args:
        network: makes samples [C, T] of a signal [R, L].
        start: a signal [R, L] that the network can read, as it can its first half. Both are to be multiples of the lengths that
            the network works on at once.

    Raises:
        NotLayered: if one of its operations is none that a stream can be made of; the message names it.
    """
    length = start.shape[1]
    found = Layered(Planner(trace(network, (start[:, : length // 2], start))).plan(RULES))
    return found.eval().requires_grad_(False)
