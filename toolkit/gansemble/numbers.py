"""Which numbers a parameter takes, said in its annotation: ``channels: Channels = 512``.

``Annotated[float, Range(above=0, at_most=10)]`` is a float, and a recipe with another one is refused by ``gansemble check``,
which names the file, the line, the value and the range; ``gansemble describe`` shows the range. A plain ``int`` or ``float``
is held to :data:`LARGEST_INT` and :data:`LARGEST_FLOAT`, and to finite numbers. A part that is built in Python is not held
to any of this. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

#: The largest magnitude of a whole number for which nothing else is stated: up to here a float holds every one exactly.
LARGEST_INT = 2**53
#: The largest magnitude of a float for which nothing else is stated; its square can still be computed in float32.
LARGEST_FLOAT = 1e15

#: Keys and indices that lead to a value within another.
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Range:
    """The numbers that are taken: every number within, at any depth, of what it annotates.

    Args:
        at_least: the lowest number taken; None for no such bound.
        above: all numbers are above this; None for no such bound.
        at_most: the highest number taken; None for no such bound.
        below: all numbers are below this; None for no such bound.
        finite: whether NaN, infinities and numbers beyond :data:`LARGEST_INT` and :data:`LARGEST_FLOAT` are refused. Where
            they are not, a bound that is given still refuses those beyond it, and NaN.

    Raises:
        ValueError: if two lower or two upper bounds are given, or no number lies between the bounds.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    finite: bool = True

    def __post_init__(self) -> None:
        if None not in (self.at_least, self.above) or None not in (self.at_most, self.below):
            raise ValueError(f"a range has one lower and one upper bound at most, got {self}")
        low, high = self._low(), self._high()
        if low is not None and high is not None:
            closed = self.above is None and self.below is None
            if not (low <= high if closed else low < high):
                raise ValueError(f"no number is {self.words()}")

    def _low(self) -> float | None:
        return self.at_least if self.above is None else self.above

    def _high(self) -> float | None:
        return self.at_most if self.below is None else self.below

    def words(self) -> str:
        """The range in words that follow "must be" or a type, such as ``from 0 to 1``; empty if it has no bound."""
        low, high = self._low(), self._high()
        if self.at_least is not None and self.at_most is not None:
            return f"from {_bound(self.at_least)} to {_bound(self.at_most)}"
        lower = "" if low is None else f"{'above' if self.above is not None else 'at least'} {_bound(low)}"
        upper = "" if high is None else f"{'below' if self.below is not None else 'at most'} {_bound(high)}"
        return " and ".join(word for word in (lower, upper) if word)

    def fault(self, value: float) -> str | None:
        """What is wrong with a number, as ``must be from 0 to 1, got 2``; None if the range holds it."""
        words = self.words()
        low, high = self._low(), self._high()
        if isinstance(value, float) and not math.isfinite(value) and self.finite:
            return f"must be a finite number{f', {words}' if words else ''}, got {shown(value)}"
        enough = low is None or (value > low if self.above is not None else value >= low)
        little = high is None or (value < high if self.below is not None else value <= high)
        if not (enough and little):
            return f"must be {words}, got {shown(value)}"
        largest = LARGEST_INT if isinstance(value, int) else LARGEST_FLOAT
        if self.finite and abs(value) > largest:
            return f"must be from {_bound(-largest)} to {_bound(largest)}, got {shown(value)}"
        return None


@dataclass(frozen=True)
class Items:
    """How many items a list, tuple or mapping has.

    Args:
        at_least: the fewest.
        at_most: the most.
    """

    at_least: int = 0
    at_most: int = 10_000

    def words(self) -> str:
        """Such as ``1 to 10000 items``."""
        return f"{self.at_least} to {self.at_most} items"

    def fault(self, count: int) -> str | None:
        """What is wrong with a number of items, as ``must have 1 to 100 items, got 0``; None if it is right."""
        return None if self.at_least <= count <= self.at_most else f"must have {self.words()}, got {count}"


#: What holds for numbers of which nothing is stated.
PLAIN = Range()

#: A float from 0 to 1, both included, such as a probability.
Share = Annotated[float, Range(at_least=0, at_most=1)]
#: A float between 0 and 1, neither included, such as the decay of a moving average.
InnerShare = Annotated[float, Range(above=0, below=1)]
#: A float from 0 to below 1, such as a momentum, of which 0 is none.
BelowOne = Annotated[float, Range(at_least=0, below=1)]
#: A float above 0, by so much that float32 can square it.
Positive = Annotated[float, Range(at_least=1e-12, at_most=1e6)]
#: A float of either sign.
Signed = Annotated[float, Range(at_least=-1e6, at_most=1e6)]
#: A float of at least 0.
NonNegative = Annotated[float, Range(at_least=0, at_most=1e6)]
#: What a term of a loss is multiplied by.
Weight = Annotated[float, Range(at_least=0, at_most=1e6)]
#: A number added or clamped to before a division or a logarithm. Smaller ones are 0 where float32 squares them.
Floor = Annotated[float, Range(at_least=1e-18, at_most=1)]
#: A learning rate.
Rate = Annotated[float, Range(at_least=0, at_most=1000)]
#: A frequency [Hz].
Hertz = Annotated[float, Range(at_least=0, at_most=1e6)]
#: A length of time [s].
Seconds = Annotated[float, Range(at_least=1e-4, at_most=1e6)]
#: A level or a ratio of levels [dB].
Decibels = Annotated[float, Range(at_least=-120, at_most=120)]

#: A length of lists that are not empty, as in ``Annotated[tuple[Channels, ...], Several]``.
Several = Items(at_least=1, at_most=1000)
#: A MIDI note number.
Note = Annotated[int, Range(at_least=0, at_most=127)]
#: A number of things of which there is at least one.
Count = Annotated[int, Range(at_least=1, at_most=1_000_000)]
#: A number of things, or none.
CountOrZero = Annotated[int, Range(at_least=0, at_most=1_000_000)]
#: Width of a layer, such as its number of channels.
Channels = Annotated[int, Range(at_least=1, at_most=65_536)]
#: Number of layers, blocks or resolutions.
Layers = Annotated[int, Range(at_least=1, at_most=1000)]
#: Width of a convolution's kernel, its stride or dilation [samples or frames].
Width = Annotated[int, Range(at_least=1, at_most=65_536)]
#: Number of classes of a label.
Classes = Annotated[int, Range(at_least=1, at_most=1_000_000)]
#: A whole number of samples.
Samples = Annotated[int, Range(at_least=1, at_most=2**31)]
#: Length of a Fourier transform, a window or a hop [samples].
Window = Annotated[int, Range(at_least=1, at_most=2**20)]
#: Sample rate [Hz].
SampleRate = Annotated[int, Range(at_least=1, at_most=1_000_000)]
#: A number of training steps, or every how many of them something happens.
Steps = Annotated[int, Range(at_least=1, at_most=10**12)]
#: After how many training steps something happens; 0 is at once.
Step = Annotated[int, Range(at_least=0, at_most=10**12)]
#: Clips in a batch.
BatchSize = Annotated[int, Range(at_least=1, at_most=1_000_000)]
#: How often something is repeated, such as the rounds of an estimate; 0 is never.
Rounds = Annotated[int, Range(at_least=0, at_most=100_000)]
#: What random numbers begin with.
Seed = Annotated[int, Range(at_least=0, at_most=2**53)]


def shown(value: float) -> str:
    """A number as it is written in messages; a whole number has no point unless it is large."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else f"about {'-' if value < 0 else ''}2^{value.bit_length() - 1}"
    return f"{value:.0f}" if math.isfinite(value) and value == int(value) and abs(value) < 1e10 else f"{value:g}"


def _bound(value: float) -> str:
    """A bound as it is written in messages: a large power of 2 or 10 as such."""
    size = abs(value)
    if size >= 1e7 and size == int(size):
        for base in (10, 2):
            power = round(math.log(size, base))
            if base**power == size:
                return f"{'-' if value < 0 else ''}{base}^{power}"
    return shown(value)


def bare(hint: object) -> object:
    """A type hint without its ranges, at any depth, as type checkers compare values with it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return bare(arguments[0])
    if not arguments or origin in (typing.Literal, None) or not ranged(hint):
        return hint
    inner = tuple(each if each is Ellipsis else bare(each) for each in arguments)
    return functools.reduce(operator.or_, inner) if origin in (typing.Union, types.UnionType) else origin[inner]


def ranged(hint: object) -> bool:
    """Whether a type hint states a range anywhere within itself; the fields of dataclasses are not looked at."""
    return typing.get_origin(hint) is Annotated or (
        typing.get_origin(hint) is not typing.Literal and any(ranged(each) for each in typing.get_args(hint))
    )


def outside(value: object, hint: object, within: Range = PLAIN) -> Iterator[tuple[Place, str]]:
    """What lies outside of its range in a value, and lists of too many or too few items.

    Args:
        value: of the hint's type: nothing is said of a value that is of another.
        hint: a type hint, such as ``tuple[Channels, ...] | None``. What nothing is stated of is held to ``within``.
        within: the range of numbers of which the hint states none.

    Yields:
        (keys and indices that lead there, what is wrong with it).
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        for stated in arguments[1:]:
            if isinstance(stated, Items) and isinstance(value, list | tuple | Mapping):
                wrong = stated.fault(len(value))
                yield from [((), wrong)] if wrong else []
        ranges = [stated for stated in arguments[1:] if isinstance(stated, Range)]
        yield from outside(value, arguments[0], ranges[-1] if ranges else within)
    elif origin in (typing.Union, types.UnionType):
        found = [list(outside(value, arm, within)) for arm in arguments if _may_be(value, arm)]
        yield from min(found, key=len, default=())
    elif origin is typing.Literal or isinstance(value, bool | str) or value is None:
        return
    elif isinstance(value, int | float):
        wrong = within.fault(value)
        yield from [((), wrong)] if wrong else []
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from outside_fields(value)
    else:
        yield from _items(value, arguments, within)


def _items(value: object, arguments: tuple[object, ...], within: Range) -> Iterator[tuple[Place, str]]:
    """What lies outside in the items of a list, tuple or mapping; ``arguments`` are those of its type hint, if any."""
    if isinstance(value, Mapping):
        of_keys, of_values = arguments if len(arguments) == 2 else (object, object)
        for key, item in value.items():
            yield from (((key,), f"key {key!r} {wrong}") for _, wrong in outside(key, of_keys, within))
            yield from (((key, *place), wrong) for place, wrong in outside(item, of_values, within))
    elif isinstance(value, set | frozenset):
        for item in value:
            yield from (((), wrong) for _, wrong in outside(item, (*arguments, object)[0], within))
    elif isinstance(value, list | tuple):
        each = arguments if len(arguments) == len(value) and Ellipsis not in arguments else (*arguments, object)[:1]
        for index, item in enumerate(value):
            hint = each[index] if len(each) == len(value) else each[0]
            yield from (((index, *place), wrong) for place, wrong in outside(item, hint, within))


def outside_fields(settings: object) -> list[tuple[Place, str]]:
    """What lies outside of its range in a dataclass: ((field, …), what is wrong with it)."""
    hints = typing.get_type_hints(type(settings), include_extras=True)
    names = [field.name for field in dataclasses.fields(settings)]  # type: ignore[arg-type]
    return [((name, *place), wrong) for name in names for place, wrong in outside(getattr(settings, name), hints[name])]


def _may_be(value: object, hint: object) -> bool:
    """Whether a value may be of a hint's type, as far as is needed to tell the types of a union apart."""
    hint = bare(hint)
    origin = typing.get_origin(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_may_be(value, arm) for arm in typing.get_args(hint))
    kind = hint if origin is None else origin
    if kind is Sequence:
        return isinstance(value, Sequence) and not isinstance(value, str)
    return not isinstance(kind, type) or isinstance(value, kind)
