"""The rule that generated items can be decoded to audio."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import REPRESENTATION, RecipeView


def decodable(view: RecipeView) -> Iterator[Finding]:
    """The representation cannot be decoded to audio, which validation, stage 4 and every metric work on."""
    if "no_sound" in view.representation.gives:
        yield Finding(
            view.decided_by(REPRESENTATION, "gives"),
            f"{view.use(REPRESENTATION)} makes no sound, which validation and stage 4 need; have it decode, too",
        )
