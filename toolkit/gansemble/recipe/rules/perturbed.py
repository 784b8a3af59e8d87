"""Perturbations beside signals of a clip that are recorded, and so are not made of the perturbed crop."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.abilities import suits_pairs
from gansemble.contract import DEGRADED
from gansemble.recipe.document import KeyPath, dotted
from gansemble.recipe.rules.features import given_by
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import CORPUS, RecipeView
from gansemble.recipe.task import Task


def recorded(view: RecipeView) -> dict[str, KeyPath]:
    """The conditioning signals that are read from files, with the place in the recipe that says so of each.

    They belong to the crop as it was recorded, and a perturbed crop would no longer match them. What is computed of the
    crop, such as the mel spectrogram, a feature or what a degradation makes, is none of them. There are two sorts: the
    degraded recordings of a corpus of pairs, and signals that are packed with the clips, embeddings of whole clips
    among them. Any other that comes to be read from files is to be named here.
    """
    packed = view.recipe.given() & view.recipe.asked() - {DEGRADED}
    pairs = view.recipe.task is Task.ENHANCEMENT and ("degradation",) not in view.contracts
    degraded: dict[str, KeyPath] = {DEGRADED: (*CORPUS, "use")} if pairs and DEGRADED in view.corpus.gives else {}
    return degraded | {name: given_by(view, name) for name in sorted(packed)}


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
            of_corpus = giver[0] == CORPUS[0]
            yield Finding(
                (*path, "use"),
                f"{view.use(path)} changes the training crops, but the signal {signal!r} is in files that go with each clip "
                "as it was recorded, and would no longer match",
                giver,
                f"{view.use(CORPUS)} gives {signal}" if of_corpus else f"{dotted(giver)} gives it",
                (*view.remove(path), *(view.swap(CORPUS) if of_corpus else ())),
            )
