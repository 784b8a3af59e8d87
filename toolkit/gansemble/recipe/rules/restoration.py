"""Rules of enhancement: where degraded recordings come from, and what baselines may be."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.abilities import learns
from gansemble.contract import GeneratorContract
from gansemble.recipe.document import dotted
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import RecipeView
from gansemble.recipe.task import Task


def degraded(view: RecipeView) -> Iterator[Finding]:
    """A degradation or augmentation stands beside a corpus with degraded recordings of its own.

    Advice: degradations and baselines have nothing to do, because the generator does not read degraded recordings.
    """
    yield from _augmented_pairs(view)
    path, generator, corpus = ("degradation",), ("generator",), ("corpus",)
    given = [each for each in view.contracts if each[0] in ("degradation", "test_degradations")]
    if view.recipe.task is not Task.ENHANCEMENT:
        for each in (*given, *(each for each in view.contracts if each[0] == "baselines")):
            yield Finding(
                (*each, "use"),
                f"{view.use(each)} has nothing to do: {view.use(generator)} does not restore degraded clips",
                (*generator, "use"),
                f"{view.use(generator)} reads no degraded clip",
                ((f"{dotted(each)}=null",), *view.swap(generator)),
                advice=True,
            )
    elif path in view.contracts and "degraded" in view.corpus.gives:
        yield Finding(
            (*path, "use"),
            f"{view.use(corpus)} has degraded recordings of its own, so {view.use(path)} must be left out",
            (*corpus, "use"),
            f"{view.use(corpus)} gives degraded recordings",
            (("degradation=null",), *view.swap(corpus)),
        )


def _augmented_pairs(view: RecipeView) -> Iterator[Finding]:
    """Augmentations beside a corpus of degraded recordings: there would be none for a variant of a clean clip."""
    corpus = ("corpus",)
    if "degraded" not in view.corpus.gives:
        return
    for each in (path for path in view.contracts if path[0] == "augmentations"):
        yield Finding(
            (*each, "use"),
            f"{view.use(each)} makes variants of clean clips, but {view.use(corpus)} has degraded recordings of its own, "
            "which would not go with them",
            (*corpus, "use"),
            f"{view.use(corpus)} gives degraded recordings",
            (*view.remove(each), *view.swap(corpus)),
        )


def baselines(view: RecipeView) -> Iterator[Finding]:
    """A baseline has weights to learn, or reads something else than degraded recordings."""
    for path, contract in view.contracts.items():
        if path[0] != "baselines" or not isinstance(contract, GeneratorContract):
            continue
        part = next(part for part in view.recipe.parts() if part.path == path)
        reads = contract.reads or frozenset()
        if learns(part.target) or reads != {"degraded"}:
            why = "has weights to learn" if learns(part.target) else f"reads {', '.join(sorted(reads)) or 'nothing'}"
            yield Finding(
                (*path, "use"),
                f"{view.use(path)} {why}; a baseline learns nothing and reads degraded clips, such as identity",
                changes=((f"{dotted(path)}=null",),),
            )
