"""Values of a recipe against type hints: what is made of YAML's types, what fits, and how hints are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from gansemble.recipe import types


@dataclass(frozen=True)
class Reach:
    """Settings of a part."""

    near: float
    far: float = 9.0


def exactly(value: object) -> tuple[object, ...]:
    """The value with the types of all that is in it, as 1 == 1.0 == True."""
    if isinstance(value, dict):
        return dict, tuple((exactly(key), exactly(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(exactly(item) for item in value)
    return type(value), value


@pytest.mark.parametrize(
    ("value", "hint", "made"),
    [
        (1, float, 1.0),
        (1, int, 1),
        (True, float, True),
        ("1", float, "1"),
        ([1, 2], tuple[float, ...], (1.0, 2.0)),
        ([1, 2], list[float], [1.0, 2.0]),
        ([], tuple[float, ...], ()),
        ([1, 2], tuple[int, float], (1, 2.0)),
        ([1, 2, 3], tuple[int, float], [1, 2, 3]),
        ([1], tuple[int, float], [1]),
        ("ab", tuple[str, ...], "ab"),
        (1, tuple[int, ...], 1),
        ([[1], [2, 3]], tuple[tuple[float, ...], ...], ((1.0,), (2.0, 3.0))),
        ({1: 2}, dict[int, float], {1: 2.0}),
        ({1: [2]}, dict[float, tuple[int, ...]], {1.0: (2,)}),
        ({1: 2}, dict, {1: 2}),
        (1, int | float, 1),
        (1, float | int, 1.0),
        (1, str | float, 1.0),
        (None, float | None, None),
        ("x", float | None, "x"),
        ([1], float | tuple[float, ...], (1.0,)),
        ({"near": 1}, Reach, Reach(1.0)),
        ({"near": 1, "far": 2}, Reach, Reach(1.0, 2.0)),
        ({"far": 2}, Reach, {"far": 2}),
        ({"near": 1, "fra": 2}, Reach, {"near": 1, "fra": 2}),
        (1, Reach, 1),
        ([{"near": 1}], tuple[Reach, ...], (Reach(1.0),)),
        ({"near": 1}, Reach | None, Reach(1.0)),
    ],
)
def test_yamls_types_become_those_of_the_hint_as_far_as_they_fit(value, hint, made):
    assert exactly(types.convert(value, hint)) == exactly(made)


@pytest.mark.parametrize(
    ("value", "hint", "fits"),
    [
        (1, int, True),
        (1.5, int, False),
        (True, bool, True),
        (True, int, False),
        (False, float | None, False),
        (True, bool | int, True),
        (True, Any, True),
        (True, object, True),
        (True, Literal[True, 3], True),
        (False, Literal[True, 3], False),
        (1, Literal[1, 2], True),
        (True, Literal[1, 2], False),
        ({"a": True}, dict[str, int], False),
        ({"a": True}, dict[str, bool], True),
        ({"a": 1}, dict[str, int], True),
        ({0: True}, float | dict[int, float], False),
        ((1, True), tuple[int, ...], False),
        ((1, True), tuple[int, bool], True),
        ((True, 1), tuple[int, bool], False),
        ((1, True), tuple[int, int], False),
        ([True], list[int], False),
        ([True], list[bool], True),
        ([True], list, True),
        (((1, True),), tuple[tuple[int, ...], ...], False),
        ("ab", Sequence[str], False),
        (["ab"], Sequence[str], True),
        ([True], Sequence[int], False),
        ("ab", str, True),
        ([1, "a"], list[int], False),
    ],
)
def test_what_fits_a_hint(value, hint, fits):
    """A bool is no number, at any depth, and text is no list of letters."""
    assert (types.misfit(value, hint) is None) == fits


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        (int, "int"),
        (type(None), "null"),
        (int | None, "int or null"),
        (Literal["a", "b"], "'a' or 'b'"),
        (float | dict[int, float], "float or dict[int, float]"),
        (tuple[float, ...], "tuple[float, ...]"),
        (Reach | None, "Reach or null"),
        (Any, "Any"),
    ],
)
def test_how_a_hint_is_told(hint, shown):
    assert types.show(hint) == shown
