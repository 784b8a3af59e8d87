"""Arguments of a recipe against the signature that they are for: what is made of them, and what each misfit is told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from gansemble.recipe import types
from gansemble.recipe.document import Document, Problem, parse


@dataclass(frozen=True)
class Reach:
    """Settings of a part."""

    near: float
    far: float = 9.0

    def __post_init__(self) -> None:
        if self.near > self.far:
            raise ValueError(f"near must not exceed {self.far}")
        if self.near == self.far:
            raise ValueError("near and far must differ")


@dataclass(frozen=True)
class Free:
    """Settings that may all be left out."""

    one: int = 1
    two: int = 2


class Made:
    """What recipes build in these tests."""

    def __init__(
        self,
        width: int,
        *,
        depth: float = 2.0,
        reach: Reach | None = None,
        free: Free = Free(5, 6),
        stops: tuple[Reach, ...] = (),
        audio: int = 0,
        seed: int = 0,
        loose=None,  # type: ignore[no-untyped-def]
    ) -> None:
        pass


def checked(text: str, target: Any = Made, **options: Any) -> tuple[dict[str, Any], list[Problem]]:
    """(the converted arguments, the problems) of a part that YAML describes."""
    document = parse(f"part: {text}\n", "r.yaml")
    problems: list[Problem] = []
    given = document.value["part"]
    assert isinstance(given, dict)
    found = types.check_arguments(target, given, ("part",), document, problems, what="made", **options)
    return found, problems


def told(text: str, **options: Any) -> list[tuple[str, str, int | None]]:
    """(path's last key, message, column) of each problem."""
    return [
        (str(each.path[-1]), each.message, each.mark.column if each.mark else None)
        for each in checked(text, **options)[1]
    ]


def test_arguments_are_converted_and_only_those_that_are_given():
    found, problems = checked("{width: 3, depth: 4, loose: [1, true]}")
    assert problems == [] and found == {"width": 3, "depth": 4.0, "loose": [1, True]}
    assert type(found["depth"]) is float


def test_keys_that_the_recipe_reads_itself_are_skipped():
    assert checked("{use: made, width: 3, weight: x}", skip=("use", "weight")) == ({"width": 3}, [])


def test_an_unknown_key_is_marked_and_a_like_one_named_or_all_are_listed():
    found, (near, other) = checked("{width: 3, dephts: 1, zzz: 1}", skip=("use", "weight"), supplied=("audio", "seed"))
    assert found == {"width": 3}
    assert (near.path, near.note, near.mark.column) == (("part", "dephts"), "", 18)
    assert "'depth'" in near.message and near.message.startswith("made takes no such parameter")
    assert other.message == "made takes no such parameter"
    assert other.note == "parameters: width, depth, reach, free, stops, loose, weight"
    assert (other.mark.column, other.mark.width) == (29, 3)


def test_a_key_that_the_recipe_reads_is_proposed_but_use_is_not():
    (weight,) = checked("{width: 3, wieght: 1}", skip=("use", "weight"))[1]
    assert "'weight'" in weight.message
    (other,) = checked("{width: 3, usse: 1}", skip=("use", "weight"))[1]
    assert "'use'" not in other.message and "use" not in other.note.split(", ")


def test_of_what_takes_nothing_none_is_listed():
    (found,) = checked("{a: 1}", target=type("Bare", (), {"__init__": lambda self: None}))[1]
    assert found.note == "parameters: none"


def test_the_audio_specification_is_refused_only_where_it_is_supplied():
    found, (problem,) = checked("{width: 3, audio: 7}", supplied=("audio",))
    assert found == {"width": 3} and problem.path == ("part", "audio") and "supplied" in problem.message
    assert (problem.mark.column, problem.mark.width) == (18, 5), "its key is marked"
    assert checked("{width: 3, audio: 7}", supplied=("seed",)) == ({"width": 3, "audio": 7}, [])
    assert checked("{width: 3, seed: 7}", supplied=("audio", "seed")) == ({"width": 3, "seed": 7}, [])


def test_what_is_needed_and_missing_is_told_at_the_part():
    assert told("{}") == [("part", "made needs 'width' (int)", 7)]
    assert told("{}", supplied=("width",)) == [] == told("{}", known=("width",)) == told("{width: 3}")


def test_a_parameter_without_a_hint_may_be_anything():
    def bare(first, second: int) -> None:  # type: ignore[no-untyped-def]
        """Only the second says what it is."""

    (first, second) = checked("{}", target=bare)[1]
    assert (first.message, second.message) == ("made needs 'first' (Any)", "made needs 'second' (int)")
    assert checked("{first: [x], second: 1}", target=bare) == ({"first": ["x"], "second": 1}, [])


def test_a_note_tells_the_parameter_with_its_default_and_where_it_is():
    _, (width, depth) = checked("{width: x, depth: y}")
    where = f"{__name__}:Made"
    assert width.note == f"width: int of {where}" and depth.note == f"depth: float = 2.0 of {where}"
    assert width.message == "expected int, got text 'x'" and (width.mark.column, depth.mark.column) == (15, 25)


def test_the_whole_signature_that_can_be_given_by_name():
    def function(a: int, /, b: int, *rest: int, c: int = 3, **more: int) -> None: ...

    assert list(types.signature(function)) == ["b", "c"]
    assert types.signature(function)["c"].default == 3
    assert types.hints(Made)["depth"] is float and types.hints(function)["b"] is int


# values -----------------------------------------------------------------


def value_of(text: str, hint: object, **options: Any) -> tuple[Any, list[Problem]]:
    document = parse(f"v: {text}\n", "r.yaml")
    problems: list[Problem] = []
    made = types.check_value(document.value["v"], hint, ("v",), document, problems, **options)
    return made, problems


@pytest.mark.parametrize(
    ("text", "hint", "made"),
    [
        ("{near: 1}", Reach, Reach(1.0)),
        ("{near: 1}", Reach | None, Reach(1.0)),
        ("null", Reach | None, None),
        ("[{near: 1}, {near: 2, far: 3}]", tuple[Reach, ...], (Reach(1.0), Reach(2.0, 3.0))),
        ("[]", tuple[Reach, ...], ()),
        ("[1, 2]", tuple[float, ...], (1.0, 2.0)),
        ("3", float | Reach, 3.0),
    ],
)
def test_values_that_fit_become_what_the_hint_says(text, hint, made):
    assert value_of(text, hint) == (made, [])


@pytest.mark.parametrize(
    ("text", "hint", "path", "message"),
    [
        ("x", int, (), "expected int, got text 'x'"),
        ("null", int, (), "expected int, got null"),
        ("true", int, (), "expected int, got bool true"),
        ("false", int | None, (), "expected int or null, got bool false"),
        ("{a: 1}", int, (), "expected int, got mapping {'a': 1}"),
        ("[1]", int, (), "expected int, got list [1]"),
        ("1.5", int, (), "expected int, got float 1.5"),
        ("[1, x, y]", tuple[int, ...], (1,), "expected int, got text 'x'"),
        ("[x, 1]", list[int], (0,), "expected int, got text 'x'"),
        ("[1, x]", tuple[int, ...] | None, (1,), "expected int, got text 'x'"),
        ("[1, x]", float | list[int], (1,), "expected int, got text 'x'"),
        ("[1, x]", tuple[int, int], (), "expected tuple[int, int], got list [1, 'x']"),
        ("[1, 2]", tuple[int, str], (), "expected tuple[int, str], got list [1, 2]"),
        ("[1]", tuple[int, int], (), "expected tuple[int, int], got list [1]"),
        ("x", tuple[int, ...], (), "expected tuple[int, ...], got text 'x'"),
        ("x", Reach, (), "expected a mapping with near, far, got text 'x'"),
        ("{near: 1, far: x}", Reach, ("far",), "expected float, got text 'x'"),
        ("{far: 1}", Reach, (), "v needs 'near' (float)"),
        ("{near: 1, far: 0}", Reach, ("near",), "near must not exceed 0.0"),
        ("{near: 9}", Reach, (), "near and far must differ"),
        ("[{near: 1}, {near: x}]", tuple[Reach, ...], (1, "near"), "expected float, got text 'x'"),
        ("[{near: 1}, 3]", tuple[Reach, ...], (1,), "expected a mapping with near, far, got int 3"),
    ],
)
def test_each_misfit_has_its_own_place(text, hint, path, message):
    _, (problem,) = value_of(text, hint)
    assert (problem.path, problem.message) == (("v", *path), message)
    assert problem.mark == parse(f"v: {text}\n", "r.yaml").mark(("v", *path))


def test_a_list_of_settings_is_one_of_its_only_where_any_number_may_be_given():
    made, problems = value_of("[{near: 1}, {near: 2}]", tuple[Reach, Reach])
    assert made == (Reach(1.0), Reach(2.0)) and problems == []


def test_the_note_goes_with_every_problem():
    assert value_of("x", int, note="n")[1][0].note == value_of("[x]", list[int], note="n")[1][0].note == "n"
    assert value_of("x", int)[1][0].note == ""


def test_of_settings_the_keys_that_are_not_given_are_those_of_the_default():
    assert value_of("{two: 3}", Free, default=Free(5, 6)) == (Free(5, 3), [])
    assert value_of("{two: 3}", Free) == (Free(1, 3), []) == value_of("{two: 3}", Free, default=7)
    assert checked("{width: 1, free: {one: 9}}")[0]["free"] == Free(9, 6)
    assert value_of("{far: 3}", Reach, default=Reach(2.0, 8.0)) == (Reach(2.0, 3.0), []), "near is not missing"


def test_settings_at_no_path_are_called_by_their_class():
    problems: list[Problem] = []
    assert types.check_value({"far": 1}, Reach, (), Document(), problems) is None
    assert [each.message for each in problems] == ["Reach needs 'near' (float)"]


def test_settings_of_two_kinds_are_told_apart_by_what_fits():
    assert value_of("{near: 1}", Reach | Free) == (Reach(1.0), [])
    assert value_of("{one: 3}", Reach | Free) == (Free(3), [])


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("width must be 3", "width"),
        ("width: must be 3", "width"),
        ("width, such as 3", "width"),
        ("width", "width"),
        ("depth must be 3", None),
        ("width and depth must be 3", None),
        ("width or depth must be 3", None),
        ("width android must be 3", "width"),
        ("the width must be 3", None),
        ("", None),
    ],
)
def test_the_parameter_that_a_message_begins_with_is_at_fault(message, name):
    assert types.parameter_at_fault(message, ("width", "heights")) == name


# conversion -------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "hint", "made"),
    [
        ({"near": 1, "far": 2}, Reach, Reach(1.0, 2.0)),
        ({"one": 3}, Free, Free(3)),
        ({}, Free, Free()),
        ({}, Reach, {}),
        ({"one": 3, "three": 3}, Free, {"one": 3, "three": 3}),
        ([1], Reach, [1]),
        ([{"near": 1}], list[Reach], [Reach(1.0)]),
        ({"a": {"near": 1}}, dict[str, Reach], {"a": Reach(1.0)}),
        ({"a": 1}, Mapping[str, float], {"a": 1}),
        ([1, 2], tuple, [1, 2]),
        ([[1]], tuple[tuple[float], ...], ((1.0,),)),
        ([1], tuple[float, ...] | None, (1.0,)),
        ((1,), tuple[float, ...], (1,)),
        (False, float, False),
        ("x", int | None, "x"),
        (3, bool | float, 3.0),
    ],
)
def test_what_becomes_of_a_value(value, hint, made):
    found = types.convert(value, hint)
    assert found == made and type(found) is type(made)


def test_settings_that_refuse_their_values_say_so():
    with pytest.raises(ValueError, match="near must not exceed 9"):
        types.convert({"near": 10}, Reach)


@pytest.mark.parametrize(
    ("value", "hint", "fits"),
    [
        (True, int | Literal[True], True),
        (False, int | Literal[True], False),
        (True, bool | None, True),
        (True, None | object, True),
        (True, Literal["a"] | bool, True),
        ({"a": 1, "b": True}, dict[str, float], False),
        ({"a": {"b": True}}, dict[str, dict[str, int]], False),
        ({"a": {"b": True}}, dict[str, dict[str, bool]], True),
        ({"a": [1, True]}, dict[str, list[int]], False),
        ([[1], [True]], list[list[int]], False),
        ((1.0, True), tuple[float, ...] | None, False),
        ([], list[int], True),
        ((), tuple[int, ...], True),
        ((True, 1, 1), tuple[bool, int, int], True),
        ((True, 1, True), tuple[bool, int, int], False),
        ((True,), tuple[int], False),
        ((True,), tuple[bool, ...], True),
        ([True], Sequence[bool], True),
        ((1, 2), Sequence[int], True),
        ("ab", Sequence[str] | None, True),
    ],
)
def test_a_bool_is_a_number_nowhere(value, hint, fits):
    assert (types.misfit(value, hint) is None) is fits


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        (Literal["a"], "'a'"),
        (Literal[1, None], "1 or None"),
        (bool, "bool"),
        (list[int], "list[int]"),
        (list[int | None], "list[int | None]"),
        (tuple[int, ...] | None, "tuple[int, ...] or null"),
        (int | Literal["auto"], "int or 'auto'"),
        (Sequence[str], "collections.abc.Sequence[str]"),
        (inspect.Parameter, "Parameter"),
    ],
)
def test_a_hint_in_messages(hint, shown):
    assert types.show(hint) == shown
