"""Names of experiments on a page: those of one name are called after what differs in their recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gansemble.evaluation.systems import System, told_apart


def system(folder: Path, name: str = "mine", recipe: str | None = None) -> System:
    """An experiment whose newest checkpoint has this recipe."""
    nothing: Any = None
    if recipe is not None:
        for step, text in ((2, "an: older one"), (10, recipe)):
            place = folder / "checkpoints" / f"step-{step:08d}"
            place.mkdir(parents=True)
            (place / "recipe.yaml").write_text(text)
    return System(name, folder, nothing, nothing, {}, "#123456")


def names(*systems: System) -> list[str]:
    return [each.name for each in told_apart(systems)]


def test_names_that_differ_stay(tmp_path):
    one, two = system(tmp_path / "one", "one"), system(tmp_path / "two", "two")
    assert told_apart([one, two]) == [one, two] and told_apart([one]) == [one] and told_apart([]) == []


def test_recipes_that_differ_in_a_key_or_two_are_named_by_their_values(tmp_path):
    first = system(tmp_path / "a", recipe="plan: {steps: 3, seed: 1}\ndata: {gain: 2}")
    second = system(tmp_path / "b", recipe="plan: {steps: 3, seed: 2}\ndata: {gain: 2}")
    assert names(first, second) == ["mine · seed 1", "mine · seed 2"]
    third = system(tmp_path / "c", recipe="plan: {steps: 4, seed: 2}\ndata: {gain: 2}")
    assert names(first, third) == ["mine · seed 1, steps 3", "mine · seed 2, steps 4"]
    other = system(tmp_path / "d", "other", "plan: {steps: 9, seed: 9}")
    assert names(first, other, second) == ["mine · seed 1", "other", "mine · seed 2"]


def test_recipes_that_differ_in_more_or_not_at_all_are_named_by_their_folders(tmp_path):
    texts = ("{a: 1, b: 1, c: 1}", "{a: 2, b: 2, c: 2}")
    first, second = (system(tmp_path / name, recipe=text) for name, text in zip("xy", texts, strict=True))
    assert names(first, second) == ["mine · x", "mine · y"]
    same = [system(tmp_path / name / "exp", recipe="{a: 1}") for name in ("here", "there")]
    assert names(*same) == ["mine · here/exp", "mine · there/exp"]
    assert names(system(tmp_path / "no"), system(tmp_path / "recipe")) == ["mine · no", "mine · recipe"]


@pytest.mark.parametrize("named", ["mine", "mine · x"])
def test_no_two_names_are_the_same_in_any_case(tmp_path, named):
    """One experiment twice; and one that was given the name that another one gets."""
    one = system(tmp_path / "x")
    found = names(one, system(tmp_path / "y"), one, system(tmp_path / "z", named))
    assert len(set(found)) == 4 and all(each.startswith("mine") for each in found)
