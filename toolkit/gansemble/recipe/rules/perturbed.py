"""Perturbations beside signals of a clip that are recorded, and so are not made of the perturbed crop."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.abilities import suits_pairs
from gansemble.contract import DEGRADED
from gansemble.recipe.document import KeyPath
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import CORPUS, RecipeView
from gansemble.recipe.task import Task


def recorded(view: RecipeView) -> dict[str, KeyPath]:
    """The conditioning signals that are read from files, with the path of the part that gives each.

    They belong to the crop as it was recorded, and a perturbed crop would no longer match them. What is computed of the
    crop, such as the mel spectrogram, a feature or what a degradation makes, is none of them. The toolkit has one such
    signal: the degraded recording of a corpus of pairs. Any other that comes to be read from files is to be named here.
    """
    pairs = view.recipe.task is Task.ENHANCEMENT and ("degradation",) not in view.contracts
    return {DEGRADED: CORPUS} if pairs and DEGRADED in view.corpus.gives else {}


def perturbed(view: RecipeView) -> Iterator[Finding]:
    """A perturbation would change a crop and not the signals of it that are read from files.

    A degraded recording can go through the same as the clean one, if the perturbation says that the two then still
    are a pair.
    """
    signals = recorded(view)
    for name, part in view.recipe.many["perturbations"].items():
        for signal, giver in signals.items():
            if signal == DEGRADED and suits_pairs(part.target):
                continue
            path = ("perturbations", name)
            yield Finding(
                (*path, "use"),
                f"{view.use(path)} changes the training crops, but {view.use(giver)} has the signal {signal!r} of each clip "
                "as it was recorded, which would no longer match",
                (*giver, "use"),
                f"{view.use(giver)} gives {signal}",
                (*view.remove(path), *view.swap(giver)),
            )
