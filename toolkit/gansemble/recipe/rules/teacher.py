"""The teacher of a recipe: whether it can teach, and whether anybody listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import RecipeView


def teacher(view: RecipeView) -> Iterator[Finding]:
    """A teacher beside networks that grow; advice about one that no term reads, or that is not there."""
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
    if not (Path(recipe.teacher.exp) / "checkpoints").is_dir():
        yield Finding(
            ("teacher", "exp"),
            f"no trained experiment is at {Path(recipe.teacher.exp).absolute()}; only a run that goes on does without, as it "
            "has a copy",
            advice=True,
        )
