"""Builds the object that a part of a recipe describes."""

from __future__ import annotations

from typing import Any

from gansemble.recipe import types
from gansemble.recipe.document import Problem, RecipeError
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part


def construct(part: Part, recipe: Recipe, **extra: object) -> Any:
    """Builds a part from its arguments in the recipe and from what the toolkit supplies.

    Args:
        part: of the recipe.
        recipe: supplies ``audio``, ``batch_size``, ``seed`` and ``segment`` to constructors with parameters of these
            names.
        extra: further values that are supplied in the same way, such as an optimiser's ``parameters``.

    Raises:
        RecipeError: if a file or folder that the recipe names is not there or not what it demands, or the constructor
            raises a ValueError; shown with its place in the recipe.
    """
    problems = types.absent(part.path, part.arguments, recipe.document)
    if problems:
        raise RecipeError(problems)
    names = types.signature(part.target)
    supplied = {name: value for name, value in (recipe.supplied() | extra).items() if name in names}
    try:
        return part.target(**(supplied | part.arguments))
    except ValueError as error:
        raise RecipeError([Problem(part.path, str(error), recipe.document.mark(part.path))]) from error
