"""Rules of imitation: where degraded recordings come from, and what baselines may be."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.abilities import learns
from gansemble.contract import GeneratorContract
from gansemble.recipe.document import KeyPath, dotted
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import RecipeView
from gansemble.recipe.task import Task


def degraded(view: RecipeView) -> Iterator[Finding]:
    """A degradation or augmentation stands beside a corpus with degraded recordings of its own.

    Advice: degradations have nothing to do, because the generator does not read degraded recordings; nor have baselines of a
    generator that imitates no recordings.
    """
    yield from _augmented_pairs(view)
    path, corpus = ("degradation",), ("corpus",)
    given = [each for each in view.contracts if each[0] in ("degradation", "test_degradations")]
    if view.recipe.task is not Task.ENHANCEMENT:
        for each in given:
            yield _idle(view, each, "does not restore degraded clips", "reads no degraded clip")
        for each in view.contracts if view.recipe.task is Task.GENERATION else ():
            if each[0] == "baselines":
                yield _idle(view, each, "imitates no recordings", "makes clips of its own")
    elif path in view.contracts and "degraded" in view.corpus.gives:
        yield Finding(
            (*path, "use"),
            f"{view.use(corpus)} has degraded recordings of its own, so {view.use(path)} must be left out",
            (*corpus, "use"),
            f"{view.use(corpus)} gives degraded recordings",
            (("degradation=null",), *view.swap(corpus)),
        )


def _idle(view: RecipeView, path: KeyPath, does: str, reads: str) -> Finding:
    """Advice to leave out a part that has nothing to do beside this generator."""
    generator = ("generator",)
    return Finding(
        (*path, "use"),
        f"{view.use(path)} has nothing to do: {view.use(generator)} {does}",
        (*generator, "use"),
        f"{view.use(generator)} {reads}",
        ((f"{dotted(path)}=null",), *view.swap(generator)),
        advice=True,
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
    """A baseline has weights to learn, or does not read what the generator reads."""
    if view.recipe.task is Task.GENERATION:
        return
    known = view.contracts.get(("generator",))
    wanted = (known.reads or frozenset()) if isinstance(known, GeneratorContract) else frozenset()
    for path, contract in view.contracts.items():
        if path[0] != "baselines" or not isinstance(contract, GeneratorContract):
            continue
        part = next(part for part in view.recipe.parts() if part.path == path)
        reads = contract.reads or frozenset()
        if learns(part.target) or not reads or not reads <= wanted:
            why = "has weights to learn" if learns(part.target) else f"reads {', '.join(sorted(reads)) or 'nothing'}"
            yield Finding(
                (*path, "use"),
                f"{view.use(path)} {why}; a baseline learns nothing and reads {_either(wanted)}, as the generator does",
                changes=((f"{dotted(path)}=null",),),
            )


def _either(signals: frozenset[str]) -> str:
    return " or ".join(sorted(signals)) or "something"
