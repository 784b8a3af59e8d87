"""A part of a recipe as an object."""

from __future__ import annotations

from typing import Any

from gansemble.recipe import types
from gansemble.recipe.document import Problem, RecipeError
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part


def construct(part: Part, recipe: Recipe, **extra: object) -> Any:
    """A part, built from its arguments and what the toolkit supplies to its parameters."""
    names = types.signature(part.target)
    supplied = {name: value for name, value in (recipe.supplied() | extra).items() if name in names}
    try:
        return part.target(**(supplied | part.arguments))
    except ValueError as error:
        raise RecipeError([Problem(part.path, str(error), recipe.document.mark(part.path))]) from error
