"""Rules about what one part needs and another gives, and about parts that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.contract import DEGRADED, DiscriminatorContract, GeneratorContract, NetworkContract
from gansemble.recipe.document import KeyPath
from gansemble.recipe.rules.finding import Finding, first_part
from gansemble.recipe.rules.view import CORPUS, GENERATOR, Changes, RecipeView

#: Why nothing gives an ability that the loop, the corpus or the discriminators would.
ABILITIES = {
    "features": "no discriminator of this recipe returns feature maps",
    "logits": "no discriminator of this recipe returns class logits",
    "mel": "the generator of this recipe makes clips of its own, which have no mel spectrogram to go by",
    "labels": "the corpus of this recipe has no labels",
    "pitch": "the corpus of this recipe has no pitches",
    "outputs": "this recipe has no discriminator",
    "pairs": "the generator of this recipe makes clips of its own, which imitate none in particular",
    "degraded": "this recipe has no degradation, and its corpus has no degraded recordings",
    "teacher": "this recipe has none, such as teacher: {exp: EXP}, the experiment of a trained generator",
}
#: Sections whose parts give nothing to the others.
APART = ("test_degradations", "baselines")


def abilities(view: RecipeView) -> Iterator[Finding]:
    """A part needs something that no part of the recipe gives, such as feature maps or labels."""
    given = {a for path, contract in view.contracts.items() if path[0] not in APART for a in contract.gives}
    if view.imitates:  # the mel spectrogram of the clean audio, which says nothing of clips of a generator's own
        given |= {"mel", "pairs"}
    if "pitch" in given:
        given.add("labels")  # a note's label is its pitch
    if view.recipe.many["discriminators"]:
        given.add("outputs")
    if view.recipe.teacher.exp is not None:
        given.add("teacher")
    given |= set(view.recipe.many["features"])
    for part, contract in view.contracts.items():
        needs = set(contract.needs) | ({"pairs"} if part in view.compares else set())
        if isinstance(contract, GeneratorContract):  # the recipe's own, and baselines
            theirs = (contract.reads or frozenset()) & {"label", DEGRADED}  # other signals: see features
            needs |= {"labels" if name == "label" else name for name in theirs}
        for need in sorted(needs - given):
            giver = _giver(need)
            yield Finding(
                view.decided_by(part, "needs"),
                f"{view.use(part)} needs {need}, but {ABILITIES.get(need, f'no part of this recipe gives {need!r}')}",
                (*giver, "use") if giver in view.contracts else giver,
                _without(view, giver, need),
                (*_givers(view, giver, need), *view.swap(part), *view.remove(part)),
            )


def clashes(view: RecipeView) -> Iterator[Finding]:
    """A part gives something that another part excludes, such as batch norm beside a gradient penalty."""
    for part, contract in view.contracts.items():
        for other, theirs in view.contracts.items():
            for thing in sorted(contract.clashes & theirs.gives):
                yield Finding(
                    view.decided_by(other, "gives"),
                    f"{view.use(other)} has {thing}, which does not go with {view.use(part)}",
                    view.decided_by(part, "clashes"),
                    f"{view.use(part)} excludes {thing}",
                    (*view.set(other, "gives", "none"), *view.remove(part), *view.swap(other)),
                )


def _giver(need: str) -> KeyPath:
    """Path of the section whose part would give what is needed."""
    known = dict.fromkeys(("features", "logits", "outputs"), "discriminators")
    known |= {"mel": "generator", "pairs": "generator", "degraded": "degradation", "teacher": "teacher"}
    return (known.get(need, "corpus"),)


def _without(view: RecipeView, section: KeyPath, need: str) -> str:
    """Says that the parts of a section do not give what is needed, or that it has no part."""
    if section == ("teacher",):
        return "teacher.exp is null"
    names = [view.use(path) for path in view.contracts if path[0] == section[0]]
    if not names:
        return f"{section[0]} has no part"
    return f"{' and '.join(names)} give{'s' if len(names) == 1 else ''} no {need}"


def _givers(view: RecipeView, section: KeyPath, need: str) -> Changes:
    if section != ("discriminators",):
        return view.swap(section)
    known = view.recipe.registry.entries("discriminator") if view.recipe.registry else []
    teaching = (
        () if "objective" in view.recipe.single else (f"objective={{use: {first_part(view.recipe, 'objective')}}}",)
    )
    optimiser = f"optimisers.discriminators={{use: {first_part(view.recipe, 'optimiser')}}}"
    learning = () if "discriminators" in view.recipe.many["optimisers"] else (optimiser,)
    return tuple((f"discriminators.{entry.name}={{use: {entry.name}}}", *teaching, *learning) for entry in known)


def classes(view: RecipeView) -> Iterator[Finding]:
    """A network or term is built for other classes, or a network for a narrower range of pitches, than the corpus has.

    Also, a discriminator judges classes although the generator reads no label.
    """
    corpus, reads = view.corpus, view.generator.reads
    for part, contract in view.of_classes():
        judges = isinstance(contract, DiscriminatorContract)
        if judges and contract.classes and reads is not None and "label" not in reads:
            yield Finding(
                view.decided_by(part, "classes"),
                f"{view.use(part)} judges {contract.classes} classes, but {view.use(('generator',))} reads no label",
                view.decided_by(GENERATOR, "classes"),
                f"{view.use(('generator',))} reads no label",
                (*view.set(part, "classes", "null"), *view.set(GENERATOR, "classes", contract.classes)),
            )
        known = view.recipe.data.label == "label"  # of another label the corpus does not say how many classes it has
        if known and None not in (contract.classes, corpus.classes) and contract.classes != corpus.classes:
            yield Finding(
                view.decided_by(part, "classes"),
                f"{view.use(part)} is built for {contract.classes} classes, but {view.use(('corpus',))} has "
                f"{corpus.classes}",
                view.decided_by(CORPUS, "classes"),
                f"{view.use(('corpus',))} has {corpus.classes} classes",
                (*view.set(part, "classes", corpus.classes), *view.swap(CORPUS), *view.swap(part)),
            )
        if not isinstance(contract, NetworkContract) or contract.pitches is None or corpus.pitches is None:
            continue
        (low, high), (first, last) = contract.pitches, corpus.pitches
        if first < low or last > high:
            yield Finding(
                view.decided_by(part, "pitches"),
                f"{view.use(part)} is built for pitches {low} to {high}, but {view.use(('corpus',))} has {first} to "
                f"{last}",
                view.decided_by(CORPUS, "pitches"),
                f"{view.use(('corpus',))} has pitches {first} to {last}",
                (
                    *view.set(part, "pitches", f"[{first}, {last}]"),
                    *view.set(CORPUS, "pitches", f"[{low}, {high}]"),
                    *view.swap(part),
                ),
            )


def pitches(view: RecipeView) -> Iterator[Finding]:
    """Two networks are built for other pitches: what is label 0 to the one is another note to the other."""
    built = [(part, each.pitches) for part, each in view.of_classes() if isinstance(each, NetworkContract)]
    stated = [(part, notes) for part, notes in built if notes is not None and part[0] not in APART]
    for part, (low, high) in stated[1:]:
        first, (lowest, highest) = stated[0]
        if (low, high) != (lowest, highest):
            yield Finding(
                view.decided_by(part, "pitches"),
                f"{view.use(part)} is built for pitches {low} to {high}, but {view.use(first)} for {lowest} to {highest}; "
                "all networks count labels from their lowest pitch",
                view.decided_by(first, "pitches"),
                f"{view.use(first)} is built for pitches {lowest} to {highest}",
                (
                    *view.set(part, "pitches", f"[{lowest}, {highest}]"),
                    *view.set(first, "pitches", f"[{low}, {high}]"),
                ),
            )


def taught(view: RecipeView) -> Iterator[Finding]:
    """Advice: the generator reads a label that nothing else reads, so it cannot learn what labels mean."""
    generator = view.use(GENERATOR)
    if "label" not in (view.generator.reads or ()) or view.imitates:
        return  # what imitates a clip of a label learns by the clip what it means
    sections = ("discriminators", "losses", "regularisers")
    others = [theirs for path, theirs in view.of_classes() if path[0] in sections]
    # A discriminator without a contract may judge labels without saying so.
    if DiscriminatorContract() in others or any(theirs.classes or "labels" in theirs.needs for theirs in others):
        return
    yield Finding(
        view.decided_by(GENERATOR, "classes"),
        f"{generator} reads a label, but no discriminator judges classes and no term needs labels: nothing teaches it what "
        "they mean",
        advice=True,
    )
