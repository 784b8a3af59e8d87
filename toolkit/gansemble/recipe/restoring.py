"""Recipes that restore recordings: where degraded clips come from, and what baselines may be."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.interfaces import Contract
from gansemble.recipe.document import dotted
from gansemble.recipe.limits import Finding
from gansemble.recipe.scene import Scene


def degraded(scene: Scene) -> Iterator[Finding]:
    """Degradations that nothing reads, or that stand beside a corpus of degraded recordings; and augmentations there."""
    yield from _augmented_pairs(scene)
    path, generator, corpus = ("degradation",), ("generator",), ("corpus",)
    given = [each for each in scene.contracts if each[0] in ("degradation", "test_degradations")]
    if "degraded" not in (scene.contracts[generator].reads or frozenset()):
        for each in (*given, *(each for each in scene.contracts if each[0] == "baselines")):
            yield Finding(
                (*each, "use"),
                f"{scene.use(each)} has nothing to do: {scene.use(generator)} does not restore degraded clips",
                (*generator, "use"),
                f"{scene.use(generator)} reads no degraded clip",
                ((f"{dotted(each)}=null",), *scene.swap(generator)),
                advice=True,
            )
    elif path in scene.contracts and "degraded" in scene.contracts.get(corpus, Contract()).gives:
        yield Finding(
            (*path, "use"),
            f"{scene.use(corpus)} has degraded recordings of its own, so {scene.use(path)} must be left out",
            (*corpus, "use"),
            f"{scene.use(corpus)} gives degraded recordings",
            (("degradation=null",), *scene.swap(corpus)),
        )


def _augmented_pairs(scene: Scene) -> Iterator[Finding]:
    """Augmentations beside a corpus of degraded recordings, which a variant of the clean clip would not go with."""
    corpus = ("corpus",)
    if "degraded" not in scene.contracts.get(corpus, Contract()).gives:
        return
    for each in (path for path in scene.contracts if path[0] == "augmentations"):
        yield Finding(
            (*each, "use"),
            f"{scene.use(each)} makes variants of clean clips, but {scene.use(corpus)} has degraded recordings of its own, "
            "which would not go with them",
            (*corpus, "use"),
            f"{scene.use(corpus)} gives degraded recordings",
            (*scene.remove(each), *scene.swap(corpus)),
        )


def baselines(scene: Scene) -> Iterator[Finding]:
    """Baselines that would have to be trained, or that read something else than degraded clips."""
    for path in (each for each in scene.contracts if each[0] == "baselines"):
        part = next(part for part in scene.recipe.parts() if part.path == path)
        learns = getattr(part.target, "learns", True)
        reads = scene.contracts[path].reads or frozenset()
        if learns or reads != {"degraded"}:
            why = "has weights to learn" if learns else f"reads {', '.join(sorted(reads)) or 'nothing'}"
            yield Finding(
                (*path, "use"),
                f"{scene.use(path)} {why}; a baseline learns nothing and reads degraded clips, such as identity",
                changes=((f"{dotted(path)}=null",),),
            )
