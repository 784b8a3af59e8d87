"""What flows through a network at work on a stream: where time is in a tensor, at which rate, and how late.

Positions of elements are counted from the first one of the whole signal. When ``n`` frames of the input have been read, a
flow of rate r and delay d has given its elements up to position r n - d; those before position 0, and from the signal's end
on, are not of the signal, and hold anything.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TypeAlias

import torch
from torch import Tensor

#: A number that is known, or one of an exported graph.
Count: TypeAlias = int | Tensor


class NotLayered(Exception):
    """Why a network cannot be made a stream layer by layer, as the end of a sentence; the stream is made in another way then."""


@dataclass(frozen=True)
class Flow:
    """A tensor with one dimension of time.

    Args:
        axis: the dimension of time.
        rate: elements for each frame of the input.
        extra: elements that the whole signal has beyond ``rate`` times its frames, such as those of a padding.
        delay: how late its elements come [elements].
        steady: whether all its elements are the same, so that any delay is as good as another.
    """

    axis: int
    rate: Fraction
    extra: Fraction
    delay: int
    steady: bool = False

    @functools.cached_property
    def counting(self) -> tuple[int, int, int]:
        """(a, b, c) of the number of elements (a L + b) / c of a signal of L frames, whole numbers for each block's sake."""
        under = math.lcm(self.rate.denominator, self.extra.denominator)
        return int(self.rate * under), int(self.extra * under), under

    def later(self, delay: int) -> Flow:
        """The same with another delay [elements]."""
        return replace(self, delay=delay)


def flow_of(shapes: Sequence[Sequence[int]], lengths: Sequence[int], delay: int) -> Flow | None:
    """The flow of a tensor that has these shapes for signals of these two lengths [frames]; None if time is not in it.

    Raises:
        NotLayered: if the number of dimensions, or more than one dimension, depends on the length.
    """
    first, second = shapes
    if len(first) != len(second):
        raise NotLayered("the number of its dimensions depends on the length of the signal")
    moving = [axis for axis, (one, other) in enumerate(zip(first, second, strict=True)) if one != other]
    if not moving:
        return None
    if len(moving) > 1:
        raise NotLayered("several of its dimensions depend on the length of the signal")
    axis = moving[0]
    rate = Fraction(second[axis] - first[axis], lengths[1] - lengths[0])
    return Flow(axis, rate, first[axis] - rate * lengths[0], delay)


@dataclass
class Clock:
    """Where a stream is when it reads some more frames.

    Args:
        frames: that are read now.
        position: frames that were read before; a multiple of the network's unit.
        end: frames of the whole signal; None while that is not known.
        exact: whether elements are always masked by their positions. Otherwise that is left out where all of them are of
            the signal, which an exported graph cannot know.
    """

    frames: int
    position: Count
    end: Count | None
    exact: bool = False
    _masks: dict[tuple[Flow, int, int], Tensor] = field(default_factory=dict)

    def size(self, flow: Flow) -> int:
        """Elements of a flow that come now."""
        up, _, down = flow.counting
        return self.frames * up // down

    def first(self, flow: Flow) -> Count:
        """Position of the first of them."""
        up, _, down = flow.counting
        return (self.position * up if down == 1 else self.position * up // down) - flow.delay

    def count(self, flow: Flow) -> Count | None:
        """Elements of the whole signal; None while that is not known."""
        if self.end is None:
            return None
        up, more, down = flow.counting
        return self.end * up + more if down == 1 else (self.end * up + more) // down

    def inside(self, flow: Flow, before: int = 0) -> bool:
        """Whether all elements that come now, and ``before`` earlier ones, are known to be of the signal."""
        if self.exact:
            return False
        first, count = self.first(flow), self.count(flow)
        return bool(first - before >= 0 and (count is None or first + self.size(flow) <= count))

    def mask(self, flow: Flow, dims: int, device: torch.device) -> Tensor:
        """Which of the elements that come now are of the signal: true or false, of ``dims`` dimensions, all but time's 1."""
        key = (replace(flow, steady=False), dims, flow.axis)
        if key not in self._masks:
            places = self.first(flow) + torch.arange(self.size(flow), device=device)
            count = self.count(flow)
            there = places >= 0 if count is None else (places >= 0) & (places < count)
            self._masks[key] = there.view([-1 if axis == flow.axis else 1 for axis in range(dims)])
        return self._masks[key]

    def gated(self, x: Tensor, flow: Flow, otherwise: float = 0.0) -> Tensor:
        """A flow's elements with another number in place of those that are not of the signal."""
        if self.inside(flow):
            return x
        return torch.where(
            self.mask(flow, x.dim(), x.device), x, torch.full((), otherwise, dtype=x.dtype, device=x.device)
        )
