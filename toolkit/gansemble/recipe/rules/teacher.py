"""The teacher of a recipe: whether it can teach, and whether anybody listens."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import RecipeView


def teacher(view: RecipeView) -> Iterator[Finding]:
    """A teacher beside networks that grow, or one that no term reads."""
    recipe = view.recipe
    if recipe.teacher.exp is None:
        return
    if any(phase.progress is not None for phase in recipe.plan.phases):
        yield Finding(
            ("teacher",),
            "a teacher makes items of its full size, but the networks of this recipe grow, and make smaller ones until then",
            ("plan", "phases"),
            "plan.phases has progress",
            (("teacher.exp=null",),),
        )
    if not any("teacher" in contract.needs for contract in view.contracts.values()):
        yield Finding(
            ("teacher",),
            f"the teacher {recipe.teacher.exp} has nothing to do: no term of this recipe needs it",
            changes=(("teacher.exp=null",),),
            advice=True,
        )
