"""The steps that a stream of a network consists of: each turns the elements that come now into those that it can make now.

A step keeps what it needs of earlier elements as one tensor, its state, whose size does not depend on how much comes at a
time. States begin with zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from gansemble.live.flow import Clock, Flow
from gansemble.live.kernels import Kernel

#: What a step gives: a tensor, or the several tensors of operations that have several results.
Made: TypeAlias = Tensor | Sequence[Tensor]


class Step(Protocol):
    """One step of a stream.

    Attributes:
        kept: elements of its state along the dimension of time; 0 for a step without one.
        flow: of its input where it keeps elements of it, so that the dimension of time is known.

    Methods:
        run(values, state, clock): the elements that come now, and the state after them; ``values`` are the results of all
            steps by their number.
    """

    @property
    def kept(self) -> int: ...

    def run(self, values: Sequence[Made | None], state: Tensor, clock: Clock) -> tuple[Made, Tensor]: ...


def _tensor(values: Sequence[Made | None], number: int) -> Tensor:
    found = values[number]
    assert isinstance(found, Tensor)
    return found


def _with_state(x: Tensor, state: Tensor, axis: int, kept: int) -> tuple[Tensor, Tensor]:
    """(kept and new elements, the last ``kept`` of them)."""
    if not kept:
        return x, state
    held = torch.cat([state, x], axis)
    after = held.narrow(axis, held.shape[axis] - kept, kept)
    # A part of what is much larger would keep all of it in memory.
    return held, after if held.shape[axis] <= 4 * kept else after.clone()


@dataclass(frozen=True)
class Apply:
    """An operation that makes each element of the elements of the same time, and needs no others.

    Args:
        call: makes the elements of the values of all steps.
    """

    call: Callable[[Sequence[Made | None], Clock], Made]
    kept: int = 0

    def run(self, values: Sequence[Made | None], state: Tensor, clock: Clock) -> tuple[Made, Tensor]:
        return self.call(values, clock), state


@dataclass(frozen=True)
class Delay:
    """The elements of a flow, ``kept`` later.

    Args:
        source: number of its input.
        flow: of the input.
        kept: by how many elements.
        ring: whether an element's place in the state is its position modulo ``kept``, where it is overwritten by the one that
            is so much later. Otherwise the state is moved along at each call, which is slow for long delays of many channels.
    """

    source: int
    flow: Flow
    kept: int
    ring: bool = False

    def run(self, values: Sequence[Made | None], state: Tensor, clock: Clock) -> tuple[Made, Tensor]:
        x, axis = _tensor(values, self.source), self.flow.axis
        if self.ring and not clock.exact:
            return self._in_place(x, state, int(clock.first(self.flow)) % self.kept)
        held, after = _with_state(x, state, axis, self.kept)
        return held.narrow(axis, 0, x.shape[axis]), after

    def _in_place(self, x: Tensor, state: Tensor, begin: int) -> tuple[Tensor, Tensor]:
        """The same with the state changed in place; ``begin`` is the place of the first element that comes."""
        axis, size = self.flow.axis, x.shape[self.flow.axis]
        if size > self.kept:
            held = torch.cat([state.roll(-begin, axis), x], axis)
            last = held.narrow(axis, size, self.kept)
            return held.narrow(axis, 0, size), last.roll((begin + size) % self.kept, axis)
        first = min(size, self.kept - begin)
        stretches = [(begin, 0, first), (0, first, size - first)]
        made = torch.cat([state.narrow(axis, place, count) for place, _, count in stretches], axis)
        for place, of, count in stretches:
            state.narrow(axis, place, count).copy_(x.narrow(axis, of, count))
        return made, state


@dataclass(frozen=True)
class Window:
    """An operation that makes each element of some neighbouring ones, such as a convolution without padding.

    Outside of the signal its input is zero, as for the padding of a convolution.

    Args:
        source: number of its input.
        flow: of the input.
        made: of the output.
        width: neighbouring elements that an output is made of.
        stride: elements from one output's to the next one's.
        kept: earlier elements that are needed; below zero, so many of the new ones are passed over.
        skipped: new elements that are passed over.
        call: the operation, without padding.
    """

    source: int
    flow: Flow
    made: Flow
    width: int
    stride: int
    kept: int
    skipped: int
    call: Kernel

    def run(self, values: Sequence[Made | None], state: Tensor, clock: Clock) -> tuple[Made, Tensor]:
        x, axis = clock.gated(_tensor(values, self.source), self.flow), self.flow.axis
        held, after = _with_state(x, state, axis, self.kept)
        used = (clock.size(self.made) - 1) * self.stride + self.width
        if used != held.shape[axis]:
            held = held.narrow(axis, self.skipped, used)
        return self.call(held, clock.exact), after


@dataclass(frozen=True)
class OverlapAdd:
    """An operation that spreads each element over some neighbouring outputs and adds up, such as a transposed convolution.

    The sums of what is spread beyond the outputs that are complete are its state.

    Args:
        source: number of its input.
        flow: of the input.
        made: of the output.
        stride: outputs from one element's to the next one's.
        kept: outputs that the last element is spread over beyond its own ``stride``.
        lacking: outputs that the last element's own stride has beyond what it is spread over.
        call: the operation, without padding and bias.
        bias: is added to each output; None adds nothing.
    """

    source: int
    flow: Flow
    made: Flow
    stride: int
    kept: int
    lacking: int
    call: Kernel
    bias: Tensor | None

    def run(self, values: Sequence[Made | None], state: Tensor, clock: Clock) -> tuple[Made, Tensor]:
        x, axis = clock.gated(_tensor(values, self.source), self.flow), self.made.axis
        spread, size = self.call(x, clock.exact), clock.size(self.made)
        if self.lacking:
            missing = list(spread.shape)
            missing[axis] = self.lacking
            spread = torch.cat([spread, spread.new_zeros(missing)], axis)
        after = state
        if self.kept:
            still = list(state.shape)
            still[axis] = spread.shape[axis] - self.kept
            spread = spread + torch.cat([state, state.new_zeros(still)], axis)
            after = spread.narrow(axis, size, self.kept).clone()
            spread = spread.narrow(axis, 0, size)
        return (spread if self.bias is None else spread + self.bias), after


@dataclass(frozen=True)
class Pad:
    """A flow with another number before its first element and behind its last.

    Args:
        source: number of its input.
        flow: of the input.
        shifted: the input's flow with its elements as late as they are given.
        value: the number.
        kept: elements by which the input comes too early.
    """

    source: int
    flow: Flow
    shifted: Flow
    value: float
    kept: int

    def run(self, values: Sequence[Made | None], state: Tensor, clock: Clock) -> tuple[Made, Tensor]:
        x = _tensor(values, self.source)
        held, after = _with_state(x, state, self.flow.axis, self.kept)
        return clock.gated(held.narrow(self.flow.axis, 0, x.shape[self.flow.axis]), self.shifted, self.value), after


@dataclass(frozen=True)
class Continue:
    """A flow with copies of some of its elements before the first and behind the last one, as of a mirror.

    Args:
        source: number of its input.
        flow: of the input.
        made: of the output.
        before: positions in the input of what is put in front.
        after: likewise behind the last, counted from the end: -1 is the last one.
        kept: earlier elements that are needed.
    """

    source: int
    flow: Flow
    made: Flow
    before: tuple[int, ...]
    after: tuple[int, ...]
    kept: int

    def run(self, values: Sequence[Made | None], state: Tensor, clock: Clock) -> tuple[Made, Tensor]:
        x, axis, front = _tensor(values, self.source), self.flow.axis, len(self.before)
        held, after = _with_state(x, state, axis, self.kept)
        size, first = clock.size(self.made), clock.first(self.made)
        begin = self.flow.delay + self.kept - self.made.delay - front  # of the outputs' own elements in what is held
        count = clock.count(self.flow)
        plain = not clock.exact and first >= front and (count is None or first + size <= front + count)
        if plain:
            return held.narrow(axis, begin, size), after
        places = first + torch.arange(size, device=x.device)
        found = places - front
        if front:
            copied = torch.tensor(self.before, device=x.device)
            found = torch.where(places < front, copied[places.clamp(0, front - 1)], found)
        if self.after and count is not None:
            copied = torch.tensor(self.after, device=x.device)
            behind = places - front - count
            found = torch.where(behind >= 0, count + copied[behind.clamp(0, len(self.after) - 1)], found)
        local = found - (clock.first(self.flow) - self.kept)
        return held.index_select(axis, local.clamp(0, held.shape[axis] - 1)), after
