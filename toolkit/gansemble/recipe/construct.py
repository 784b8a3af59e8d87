"""Builds the object that a part of a recipe describes."""

from __future__ import annotations

from typing import Any

from gansemble.errors import GansembleError
from gansemble.plugins import declarations
from gansemble.recipe import types
from gansemble.recipe.contract import supplied_to
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
        RecipeError: if a file or folder that the recipe names is not there or not what it demands, the constructor fails,
            or the part declares what the toolkit does not understand; shown with its place in the recipe.
    """
    problems = types.absent(part.path, part.arguments, recipe.document)
    if problems:
        raise RecipeError(problems)
    names = types.signature(part.target)
    theirs = supplied_to(part, recipe.supplied() | extra)
    supplied = {name: value for name, value in theirs.items() if name in names}
    try:
        made = part.target(**(supplied | part.arguments))
    except GansembleError:
        raise
    except ValueError as error:
        raise RecipeError([Problem(part.path, str(error), recipe.document.mark(part.path))]) from error
    except OSError:
        raise  # of a file, which is told as such
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
            raise
        text = f"{part.use} cannot be built: {type(error).__name__}: {error}; GANSEMBLE_TRACEBACK=1 shows the traceback"
        raise RecipeError([Problem(part.path, text, recipe.document.mark(part.path))]) from error
    wrong = declarations.fault(part.kind, made)
    if wrong is not None:
        raise RecipeError([Problem(part.path, declared_wrongly(part, wrong), recipe.document.mark(part.path))])
    return made


def declared_wrongly(part: Part, wrong: str) -> str:
    """The message for a part that declares what the toolkit does not understand.

    Args:
        part: of the recipe.
        wrong: what :func:`gansemble.plugins.declarations.fault` says of it.
    """
    interface = f"its author finds what is understood in gansemble describe {part.kind}"
    return f"{part.kind} {part.entry.plugin}/{part.entry.name} ({part.entry.target}): {wrong}; {interface}"
