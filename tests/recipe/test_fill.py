"""A filled recipe forgets nothing that was written, and reads back as the same recipe."""

from __future__ import annotations

import dataclasses

import pytest

from gansemble.recipe import check, fill
from gansemble.recipe.sections import LearningRate

RATE = {"decay": 0.5, "decay_every": 3, "warmup": 2, "cosine": True}


def test_every_way_a_learning_rate_changes_is_tried_here():
    default = dataclasses.asdict(LearningRate())
    assert RATE.keys() == default.keys() and all(RATE[name] != default[name] for name in RATE)


@pytest.mark.parametrize("name", RATE)
def test_a_learning_rate_of_a_filled_recipe_changes_as_that_of_the_recipe(base, write, name):
    recipe = check.load(base, [f"optimisers.generator.{name}={str(RATE[name]).lower()}"])
    filled = fill.fill(recipe)
    assert filled["optimisers"]["generator"][name] == RATE[name]
    again = check.load(write(again=fill.dump(filled)))
    assert again.many["optimisers"]["generator"].learning_rate == recipe.many["optimisers"]["generator"].learning_rate
    assert again.many["optimisers"]["generator"].learning_rate == LearningRate(**{name: RATE[name]})
