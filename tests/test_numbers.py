"""Ranges of numbers as they are said in annotations, and what lies outside of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from gansemble import numbers
from gansemble.numbers import Channels, Count, Items, Range, Share, outside


@dataclass(frozen=True)
class Layer:
    """Settings with ranges of their own."""

    width: Channels = 4
    shares: tuple[Share, ...] = field(default=(0.5,))


@pytest.mark.parametrize(
    ("stated", "words", "taken", "refused"),
    [
        (Range(at_least=0, at_most=1), "from 0 to 1", (0, 0.5, 1), (-0.001, 1.001, math.nan, math.inf)),
        (Range(above=0, below=1), "above 0 and below 1", (0.001, 0.999), (0, 1, math.nan)),
        (Range(at_least=0, below=1), "at least 0 and below 1", (0, 0.999), (-1, 1)),
        (Range(above=-2), "above -2", (-1.9, 1e15), (-2, 1.1e15, math.inf)),
        (Range(at_most=3), "at most 3", (3, -1e15), (3.1, -math.inf)),
        (Range(), "", (0, 1e15, -1e15, 2**53), (1e300, -1.1e15, 2**53 + 1, math.nan, math.inf)),
        (Range(finite=False), "", (math.inf, math.nan, 1e300), ()),
        (Range(at_least=0, finite=False), "at least 0", (math.inf, 1e300, 10**400), (-1, -math.inf, math.nan)),
    ],
)
def test_a_range_takes_what_it_says(stated, words, taken, refused):
    assert stated.words() == words
    assert [value for value in taken if stated.fault(value) is not None] == []
    assert [value for value in refused if stated.fault(value) is None] == []


@pytest.mark.parametrize(
    ("stated", "value", "message"),
    [
        (Range(at_least=1, at_most=65_536), 10**8, "must be from 1 to 65536, got 100000000"),
        (Range(above=0, at_most=1e6), math.nan, "must be a finite number, above 0 and at most 1000000, got nan"),
        (Range(), -math.inf, "must be a finite number, got -inf"),
        (Range(), 1e300, "must be from -10^15 to 10^15, got 1e+300"),
        (Range(), 2**53 + 1, "must be from -2^53 to 2^53, got 9007199254740993"),
        (Range(at_least=1, at_most=10**12), 10**400, "must be from 1 to 10^12, got about 2^1328"),
        (Range(at_least=1e-18, at_most=1), 0.0, "must be from 1e-18 to 1, got 0"),
        (Range(at_most=2**31), 2**31 + 1, "must be at most 2^31, got 2147483649"),
    ],
)
def test_the_message_says_the_range_and_the_value(stated, value, message):
    assert stated.fault(value) == message


@pytest.mark.parametrize(
    "bounds",
    [
        {"at_least": 0, "above": 0},
        {"at_most": 1, "below": 1},
        {"at_least": 2, "at_most": 1},
        {"at_least": 1, "below": 1},
    ],
)
def test_bounds_that_contradict_each_other_are_refused(bounds):
    with pytest.raises(ValueError, match=r"a range has|no number is"):
        Range(**bounds)


NAN = math.nan


@pytest.mark.parametrize(
    ("value", "hint", "places"),
    [
        (NAN, float, [()]),
        (2**60, int, [()]),
        (NAN, Any, [()]),
        (NAN, Annotated[float, Range(finite=False)], []),
        ((4, 0, 10**8), tuple[Channels, ...], [(1,), (2,)]),
        ([4, 0], list[Channels], [(1,)]),
        ((4, 0), Sequence[Channels], [(1,)]),
        ((2.0, 1), tuple[Share, Channels], [(0,)]),
        (((1, 2), (3, 0)), tuple[tuple[Count, ...], ...], [(1, 1)]),
        ({"a": 2.0, "b": 1.0}, dict[str, Share], [("a",)]),
        ({-1: 0.5}, dict[Count, Share], [(-1,)]),
        (None, Channels | None, []),
        (0, Channels | None, [()]),
        (0, Channels | Literal["auto"], [()]),
        ("auto", Channels | Literal["auto"], []),
        (-1, Channels | Annotated[int, Range(at_least=-1, at_most=0)], []),
        ((3, 0), Channels | tuple[Channels, ...], [(1,)]),
        ((0, 5), Annotated[tuple[int, ...], Range(at_least=1)], [(0,)]),
        ((), Annotated[tuple[Count, ...], Items(at_least=1)], [()]),
        ((1, 2, 3), Annotated[tuple[Count, ...], Items(at_most=2)], [()]),
        ((), Annotated[tuple[Count, ...], Items(at_least=1)] | None, [()]),
        ({}, Annotated[dict[str, float], Items(at_least=1)], [()]),
        (Layer(), Layer, []),
        (Layer(0, (0.5, 2.0)), Layer, [("width",), ("shares", 1)]),
        ((Layer(), Layer(0)), tuple[Layer, ...] | None, [(1, "width")]),
        ({"a": [1, {"b": math.inf}]}, object, [("a", 1, "b")]),
        (frozenset({0, 44100}), frozenset[Channels] | None, [()]),
        (True, Channels, []),
        ("x", Channels, []),
        (7, Literal[7], []),
    ],
)
def test_what_lies_outside_is_found_at_any_depth(value, hint, places):
    assert [place for place, _ in outside(value, hint)] == places


def test_a_hint_without_its_ranges_is_the_type_alone():
    assert numbers.bare(Annotated[tuple[Channels, ...], Items(at_least=1)] | None) == tuple[int, ...] | None
    assert numbers.bare(dict[Count, tuple[Share, Channels]]) == dict[int, tuple[float, int]]
    plain = (int, int | None, list[int], Literal[1, 2], tuple[int, ...], Any, Layer, Sequence[str])
    assert [hint for hint in plain if numbers.bare(hint) is not hint] == []


def test_each_alias_has_a_lowest_and_a_highest_number():
    found = {name: value.__metadata__[0] for name, value in vars(numbers).items() if hasattr(value, "__metadata__")}
    assert len(found) > 20
    for name, stated in found.items():
        assert stated.finite and stated.fault(1e300) and stated.fault(-1e300) and stated.fault(NAN), name
