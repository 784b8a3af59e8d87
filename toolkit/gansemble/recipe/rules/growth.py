"""The rule about networks that grow in resolution during training, by the progress that ``plan.phases`` states."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from gansemble.abilities import Growable
from gansemble.contract import NetworkContract, RepresentationContract
from gansemble.plugins.signatures import has_ability
from gansemble.recipe.document import KeyPath
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import RecipeView

PHASES: KeyPath = ("plan", "phases")


def growth(view: RecipeView) -> Iterator[Finding]:
    """Progress of phases falls, skips a resolution, exceeds the parts' full size, or is stated where nothing grows.

    Advice: it ends before a part has its full size, or no phase states progress although a part grows.
    """
    growing = [part.path for part in view.recipe.parts() if has_ability(part.target, Growable)]
    sizes = {
        path: contract.grows_to
        for path, contract in view.of_items()
        if path in growing and isinstance(contract, NetworkContract | RepresentationContract)
    }
    full = {
        path: size
        for path, size in sorted(sizes.items(), key=lambda item: item[0] != ("generator",))
        if size is not None
    }
    stated = [
        (number, *phase.progress)
        for number, phase in enumerate(view.recipe.plan.phases, 1)
        if phase.progress is not None
    ]
    if stated and not growing:
        yield Finding(PHASES, "the phases state progress, but no part of this recipe grows; leave progress out")
        return
    for number, first, last in stated:
        for path, most in full.items():
            if not 0 <= first <= last <= most:
                yield Finding(
                    PHASES,
                    f"phase {number}: progress goes from {first:g} to {last:g}, but must stay within 0 and {most:g}, where "
                    f"{view.use(path)} is grown, and not fall",
                    view.decided_by(path, "grows_to"),
                    f"{view.use(path)} is grown at {most:g}",
                )
                return
    for (_, _, before), (number, after, _) in pairwise(stated):
        # Each whole number of progress is a resolution: a step beyond 1 would leave one untrained.
        if not before <= after <= before + 1:
            what = "falls" if after < before else "leaves out a resolution: it leaps"
            yield Finding(PHASES, f"phase {number}: progress {what} from {before:g} to {after:g}")
            return
    for path, most in list(full.items())[:1]:
        name = view.use(path)
        if not stated:
            told = f"{name} grows, but no phase of plan.phases states progress: it is trained at its full size from the start"
            yield Finding(view.decided_by(path, "grows_to"), told, advice=True)
        elif stated[-1][2] < most:
            told = f"progress ends at {stated[-1][2]:g}, but {name} is grown at {most:g}: its last blocks are never trained"
            yield Finding(PHASES, told, advice=True)
