"""Signals that a generator reads by name, and the features of the recipe that make them."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.contract import DEGRADED, DiscriminatorContract, FeatureContract, GeneratorContract
from gansemble.recipe.document import KeyPath, dotted
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import CORPUS, GENERATOR, RecipeView
from gansemble.recipe.task import NO_SIGNALS, Task

#: Names of signals that the toolkit itself supplies, which no feature may have.
SUPPLIED = frozenset({"mel", DEGRADED}) | NO_SIGNALS


def features(view: RecipeView) -> Iterator[Finding]:
    """Signals that are read and that nothing makes, of other channels, or made and read by nobody."""
    made = {path: contract for path, contract in view.contracts.items() if isinstance(contract, FeatureContract)}
    yield from _reserved(made)
    if view.recipe.task is Task.ENHANCEMENT:
        yield from _unknown_when_restoring(view)
        return
    readers = [(path, each) for path, each in view.contracts.items() if isinstance(each, GeneratorContract)]
    for path, contract in readers:
        for name in sorted((contract.reads or frozenset()) - SUPPLIED - view.recipe.given()):
            yield from _made(view, path, contract, name, made.get(("features", name)))
    asked = frozenset().union(*(each.reads or () for _, each in readers), *(c.needs for c in view.contracts.values()))
    for path in made:
        if path[-1] not in asked:
            yield Finding(
                (*path, "use"),
                f"{view.use(path)} has nothing to do: {view.use(GENERATOR)} reads no signal called {path[-1]!r}",
                changes=((f"{dotted(path)}=null",),),
                advice=True,
            )


def prior(view: RecipeView) -> Iterator[Finding]:
    """A generator has a prior, which stands in for a mel spectrogram, and reads none, or is built for other channels."""
    for part in (part for part in view.recipe.parts() if part.prior is not None):
        contract = view.contracts[part.path]
        path, bins = (*part.path, "prior"), view.recipe.audio.n_fft // 2 + 1
        if not isinstance(contract, GeneratorContract) or "mel" not in (contract.reads or ()):
            yield Finding(
                path,
                f"{part.prior} stands in for the mel spectrogram, and {view.use(part.path)} reads none",
                view.decided_by(part.path, "reads"),
                f"{view.use(part.path)} does not read 'mel'",
                ((f"{dotted(part.path)}.prior=null",), *view.swap(part.path)),
            )
        elif contract.channels.get("mel") not in (None, bins):
            yield Finding(
                view.decided_by(part.path, "channels"),
                f"{view.use(part.path)} is built for {contract.channels['mel']} channels of 'mel', but with the prior "
                f"{part.prior} it reads {bins}, as many as there are frequencies",
                path,
                f"the prior gives n_fft / 2 + 1 = {bins} channels",
                (*view.set(part.path, "channels", bins), (f"{dotted(part.path)}.prior=null",)),
            )


def judged(view: RecipeView) -> Iterator[Finding]:
    """Signals that a discriminator needs and that the generator does not read: what is judged has its condition alone."""
    if not view.recipe.task.imitates:
        return  # no part that needs a signal will do then, which is told of each
    reads = view.generator.reads or frozenset()
    signals = {"mel", *view.recipe.many["features"], *view.recipe.given()}
    for path, contract in view.contracts.items():
        for name in sorted(contract.needs & signals - reads) if isinstance(contract, DiscriminatorContract) else ():
            yield Finding(
                view.decided_by(path, "needs"),
                f"{view.use(path)} needs the signal {name!r}, but a condition holds what {view.use(GENERATOR)} reads, which is "
                f"{', '.join(sorted(reads)) or 'nothing'}",
                view.decided_by(GENERATOR, "reads"),
                f"{view.use(GENERATOR)} does not read {name!r}",
                (*view.remove(path), *view.swap(GENERATOR)),
            )


def given(view: RecipeView) -> Iterator[Finding]:
    """Signals that files give: names of others, read by nobody, or whose clips are changed when they are read."""
    recipe = view.recipe
    asked = frozenset().union(view.generator.reads or (), *(contract.needs for contract in view.contracts.values()))
    for name in sorted(recipe.given()):
        path = given_by(view, name)
        if name in SUPPLIED - {"mel"}:
            yield Finding(
                path, f"{name!r} is the name of what the toolkit supplies itself; give the signal another name"
            )
        elif name in recipe.many["features"]:
            place = ("features", name)
            yield Finding(
                path,
                f"the signal {name!r} is in files, and {view.use(place)} computes it, too; leave one of them out",
                place,
                f"{view.use(place)} computes {name!r}",
                ((f"features.{name}=null",),),
            )
        elif name not in asked:
            yield Finding(path, f"nothing reads the signal {name!r} of the files", advice=True)
    if "mel" in recipe.given() & (view.generator.reads or frozenset()) and recipe.data.normalise is not None:
        yield Finding(
            ("data", "normalise"),
            f"scales every clip to a peak of {recipe.data.normalise:g}, but mel spectrograms in files stay at the level of what "
            "they were made of, so that the generator would learn to change levels",
            given_by(view, "mel"),
            "mel spectrograms are in files",
            (("data.normalise=null",),),
        )


def given_by(view: RecipeView, name: str) -> KeyPath:
    """Where a recipe says that files give a signal."""
    data = view.recipe.data
    section = "signals" if name in data.signals else "embeddings" if name in data.embeddings else None
    return ("data", section, name) if section is not None else (*CORPUS, "use")


def _unknown_when_restoring(view: RecipeView) -> Iterator[Finding]:
    """What is computed of the clean audio is not there when a degraded recording is restored."""
    for name in sorted((view.generator.reads or frozenset()) - {DEGRADED} - NO_SIGNALS):
        yield Finding(
            view.decided_by(GENERATOR, "reads"),
            f"{view.use(GENERATOR)} restores degraded clips and reads {name!r} of the clean ones, which are not there when "
            "it is used; let it compute what it needs of the degraded clip",
            changes=view.swap(GENERATOR),
        )


def _reserved(made: dict[KeyPath, FeatureContract]) -> Iterator[Finding]:
    for path in made:
        if path[-1] in SUPPLIED | {"teacher"}:
            yield Finding(
                path, f"{path[-1]!r} is the name of what the toolkit supplies itself; give the feature another name"
            )


def _made(
    view: RecipeView, path: KeyPath, reader: GeneratorContract, name: str, feature: FeatureContract | None
) -> Iterator[Finding]:
    """Whether there is a feature of this name, and of the channels that the generator is built for."""
    if feature is None:
        known = view.recipe.registry.entries("feature") if view.recipe.registry else []
        known = sorted(known, key=lambda entry: entry.name != name)  # the one that is called like the signal first
        yield Finding(
            view.decided_by(path, "reads"),
            f"{view.use(path)} reads a signal {name!r}, but no feature of this recipe is called so",
            ("features",),
            f"features: {', '.join(view.recipe.many['features']) or 'none'}",
            (*((f"features.{name}={{use: {entry.name}}}",) for entry in known), *view.swap(path)),
        )
        return
    wanted, place = reader.channels.get(name), ("features", name)
    if None not in (wanted, feature.channels) and wanted != feature.channels:
        yield Finding(
            view.decided_by(path, "channels"),
            f"{view.use(path)} is built for {wanted} channels of {name!r}, but {view.use(place)} gives {feature.channels}",
            view.decided_by(place, "channels"),
            f"{view.use(place)} gives {feature.channels} channels",
            view.set(path, "channels", feature.channels),
        )
