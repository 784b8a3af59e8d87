"""Whether the ``healing`` section asks for what the recipe has."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.errors import near
from gansemble.recipe.rules.finding import Finding, first_part
from gansemble.recipe.rules.view import RecipeView


def healing(view: RecipeView) -> Iterator[Finding]:
    """A cause that nothing in the recipe would notice, or an intervention into something that it has not got."""
    recipe = view.recipe
    section, judged = recipe.healing, bool(recipe.many.get("discriminators"))
    for index, cause in enumerate(section.against):
        place = ("healing", "against", index)
        if cause == "collapsed" and not recipe.many.get("monitors"):
            known = first_part(recipe, "monitor")
            yield Finding(
                place,
                f"collapsed is what a monitor says, and this recipe has none; add one, such as monitors.watch={{use: {known}}}, or "
                "leave collapsed out",
            )
        if cause == "won" and not judged:
            yield Finding(place, "won is said of discriminators, and this recipe has none; leave it out")
    terms = [f"{name}.{own}" for name in ("losses", "regularisers") for own in recipe.many.get(name, {})]
    for index, each in enumerate(section.interventions):
        where = ("healing", "interventions", index)
        if each.use == "inject_noise" and not judged:
            yield Finding((*where, "use"), "inject_noise is for discriminators, and this recipe has none; leave it out")
        for number, name in enumerate(each.terms):
            if name not in terms:
                meant = near(name, terms) or f"; those of this recipe are {', '.join(terms) or 'none'}"
                yield Finding(
                    (*where, "terms", number), f"expected a loss or regulariser of this recipe, got {name}{meant}"
                )
        others = [cause for cause in each.against if cause not in section.against] if section.against else []
        for cause in others[:1]:
            yield Finding(
                (*where, "against"), f"{cause} is not in healing.against, so this would never be done; add it there"
            )
