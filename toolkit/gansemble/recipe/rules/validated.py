"""What validation can score while a generator is trained."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import RecipeView


def validated(view: RecipeView) -> Iterator[Finding]:
    """Clips that imitate recordings are validated one by one, each by some process, and none of them has a whole set."""
    if not view.imitates:
        return
    metrics = view.recipe.many["metrics"]
    of_clips = [name for name, part in metrics.items() if part.path in view.compares]
    change = (f"validation.metrics=[{', '.join(of_clips[:1])}]", f"validation.best={''.join(of_clips[:1])}")
    for index, name in enumerate(view.recipe.validation.metrics):
        if name in metrics and name not in of_clips:
            yield Finding(
                ("validation", "metrics", index),
                f"{name} scores whole sets, and validation scores clip by clip; stage 5 computes it. Name metrics of clips here",
                changes=(change,) if of_clips else (),
            )
