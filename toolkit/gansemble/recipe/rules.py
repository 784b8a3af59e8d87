"""Parts against each other: what one needs and another gives, what one makes and another reads.

Each rule names both parts and both values, and proposes changes; :mod:`gansemble.recipe.mend` tries them before one is
shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gansemble.interfaces import Contract
from gansemble.recipe.decoding import decodable
from gansemble.recipe.document import KeyPath, dotted
from gansemble.recipe.growing import growth
from gansemble.recipe.limits import Finding
from gansemble.recipe.restoring import baselines, degraded
from gansemble.recipe.scene import REPRESENTATION, Changes, Scene

if TYPE_CHECKING:
    pass

#: Why nothing gives an ability that the loop, the corpus or the discriminators would.
ABILITIES = {
    "features": "no discriminator of this recipe returns feature maps",
    "logits": "no discriminator of this recipe returns class logits",
    "mel": "the generator of this recipe makes clips of its own, which have no mel spectrogram to go by",
    "labels": "the corpus of this recipe has no labels",
    "pitch": "the corpus of this recipe has no pitches",
    "verdicts": "this recipe has no discriminator",
    "pairs": "the generator of this recipe makes clips of its own, which imitate none in particular",
    "degraded": "this recipe has no degradation, and its corpus has no degraded recordings",
}
#: Sections whose parts give nothing to the others.
APART = ("test_degradations", "baselines")


def hop(scene: Scene) -> Iterator[Finding]:
    """Samples made of a frame, and samples between frames."""
    path, hop = ("generator",), scene.recipe.audio.hop
    made = scene.contracts[path].upsampling
    if made is not None and made != hop:
        segment = scene.recipe.plan.segment
        moved = f"plan.segment={max(made, round(segment / made) * made)}"
        yield Finding(
            scene.decided_by(path, "upsampling"),
            f"{scene.recipe.single['generator'].use} makes {made} samples of each frame, but audio.hop is {hop}; "
            f"change the upsampling so that its product is {hop}, or audio.hop to {made}",
            ("audio", "hop"),
            f"audio.hop is {hop}",
            ((f"audio.hop={made}",), (f"audio.hop={made}", moved), *scene.swap(path)),
        )


def segment(scene: Scene) -> Iterator[Finding]:
    """The segment's length against frames and against parts that need a multiple or a least length."""
    length, path = scene.recipe.plan.segment, ("plan", "segment")
    hop_length = scene.recipe.audio.hop
    if length >= 1 and length % hop_length:
        nearest = max(hop_length, round(length / hop_length) * hop_length)
        yield Finding(
            path,
            f"must be a multiple of audio.hop {hop_length}, got {length}; the nearest is {nearest}",
            ("audio", "hop"),
            f"audio.hop is {hop_length}",
            scene.segments(),
        )
    for part, contract in scene.contracts.items():
        if contract.granularity and length % contract.granularity:
            yield Finding(
                path,
                f"{scene.use(part)} works on multiples of {contract.granularity} samples, got {length}",
                scene.decided_by(part, "granularity"),
                f"{scene.use(part)} decides the multiple",
                (*scene.segments(), *scene.swap(part)),
            )
        if contract.shortest and length < contract.shortest:
            yield Finding(
                path,
                f"{scene.use(part)} needs at least {contract.shortest} samples, got {length}",
                scene.decided_by(part, "shortest"),
                f"{scene.use(part)} decides the least length",
                (*scene.segments(contract.shortest), *scene.remove(part)),
            )


def receptive_field(scene: Scene) -> Iterator[Finding]:
    """A score that sees padding at every place; an error where that is most of what it sees.

    Published discriminators see up to three times their segment, so the error begins at four.
    """
    length = scene.recipe.plan.segment
    for part, contract in scene.contracts.items():
        seen = contract.receptive_field
        if seen is None or seen <= length:
            continue
        much = seen > 4 * length
        share = "less than a quarter of that" if much else "less than that: every score sees padding"
        yield Finding(
            ("plan", "segment"),
            f"each score of {scene.use(part)} sees {seen} samples, and a segment of {length} is {share}",
            scene.decided_by(part, "receptive_field"),
            f"{scene.use(part)} sees {seen} samples",
            (*scene.segments(seen), *scene.swap(part)),
            advice=not much,
        )


def domain(scene: Scene) -> Iterator[Finding]:
    """Parts of one domain and a representation of another."""
    for part, contract in scene.works_on():
        if contract.domain not in (None, scene.domain):
            yield Finding(
                scene.decided_by(part, "domain"),
                f"{scene.use(part)} works on {contract.domain}, but {scene.use(REPRESENTATION)} gives {scene.domain}",
                scene.decided_by(REPRESENTATION, "domain"),
                f"{scene.use(REPRESENTATION)} gives {scene.domain}",
                (
                    *scene.set(part, "domain", scene.domain),
                    *_representations(scene, str(contract.domain)),
                    *scene.swap(part),
                    *scene.remove(part),
                ),
            )


def _representations(scene: Scene, domain: str) -> Changes:
    known = scene.recipe.registry.entries("representation") if scene.recipe.registry else []
    named = [(f"representation={{use: {entry.name}}}",) for entry in known]
    return (("representation=null",), *named) if domain == "waveform" else tuple(named)


def shape(scene: Scene) -> Iterator[Finding]:
    """Maps of another size than the representation gives."""
    given = scene.shape
    for part, contract in scene.works_on():
        if contract.domain not in (None, scene.domain) or given is None:
            continue
        if contract.shape is not None and not _fits(contract.shape, given):
            changes: Changes = ()
            if len(contract.shape) == len(given):
                pairs = zip(contract.shape, given, strict=True)
                wrong = [(mine, theirs) for mine, theirs in pairs if None not in (mine, theirs) and mine != theirs]
                changes = tuple(
                    change for _, theirs in wrong[:1] for change in scene.set(part, "shape", theirs)
                ) + tuple(change for mine, theirs in wrong[-1:] for change in scene.segments(0, mine / theirs))  # type: ignore[operator]
            yield Finding(
                scene.decided_by(part, "shape"),
                f"{scene.use(part)} works on {_shown(contract.shape)}, but {scene.use(REPRESENTATION)} gives "
                f"{_shown(given)} for a segment of {scene.recipe.plan.segment}",
                scene.decided_by(REPRESENTATION, "shape"),
                f"{scene.use(REPRESENTATION)} gives {_shown(given)}",
                (*changes, *scene.swap(part), *scene.remove(part)),
            )
        if contract.square and (len(given) < 3 or given[-1] != given[-2]):
            sizes = given[-2:] if len(given) > 2 else (None, None)
            factor = sizes[0] / sizes[1] if sizes[0] and sizes[1] else 1.0
            yield Finding(
                scene.decided_by(part, "square"),
                f"{scene.use(part)} works on square maps, but {scene.use(REPRESENTATION)} gives {_shown(given)} for a "
                f"segment of {scene.recipe.plan.segment}",
                ("plan", "segment"),
                f"plan.segment is {scene.recipe.plan.segment}",
                (*scene.segments(0, factor), *scene.set(part, "square", "resize_shorter"), *scene.remove(part)),
            )


def _fits(wanted: tuple[int | None, ...], given: tuple[int | None, ...]) -> bool:
    if len(wanted) != len(given):
        return False
    return all(mine in (None, theirs) or theirs is None for mine, theirs in zip(wanted, given, strict=True))


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"[B, {', '.join('any' if size is None else str(size) for size in shape)}]"


def abilities(scene: Scene) -> Iterator[Finding]:
    """Needs that no part gives."""
    given = {a for path, contract in scene.contracts.items() if path[0] not in APART for a in contract.gives}
    if scene.paired:  # the mel spectrogram of the clean audio, which says nothing of clips of a generator's own
        given.add("mel")
    if "pitch" in given:
        given.add("labels")  # a note's label is its pitch
    if scene.recipe.many["discriminators"]:
        given.add("verdicts")
    if scene.paired:
        given.add("pairs")
    for part, contract in scene.contracts.items():
        needs = set(contract.needs) | ({"pairs"} if part in scene.compares else set())
        if part == ("generator",) or part[0] == "baselines":
            theirs = contract.reads or frozenset()
            needs |= {"labels" if name == "label" else name for name in theirs - {"mel", "latent"}}
        for need in sorted(needs - given):
            giver = _giver(need)
            yield Finding(
                scene.decided_by(part, "needs"),
                f"{scene.use(part)} needs {need}, but {ABILITIES.get(need, f'no part of this recipe gives {need!r}')}",
                (*giver, "use") if giver in scene.contracts else giver,
                _without(scene, giver, need),
                (*_givers(scene, giver, need), *scene.swap(part), *scene.remove(part)),
            )


def clashes(scene: Scene) -> Iterator[Finding]:
    """Two parts that exclude each other."""
    for part, contract in scene.contracts.items():
        for other, theirs in scene.contracts.items():
            for thing in sorted(contract.clashes & theirs.gives):
                yield Finding(
                    scene.decided_by(other, "gives"),
                    f"{scene.use(other)} has {thing}, which does not go with {scene.use(part)}",
                    scene.decided_by(part, "clashes"),
                    f"{scene.use(part)} excludes {thing}",
                    (*scene.set(other, "gives", "none"), *scene.remove(part), *scene.swap(other)),
                )


def _giver(need: str) -> KeyPath:
    """The section that would give an ability."""
    known = dict.fromkeys(("features", "logits", "verdicts"), "discriminators")
    known |= {"mel": "generator", "pairs": "generator", "degraded": "degradation"}
    return (known.get(need, "corpus"),)


def _without(scene: Scene, section: KeyPath, need: str) -> str:
    """Who of a section fails to give something."""
    names = [scene.use(path) for path in scene.contracts if path[0] == section[0]]
    if not names:
        return f"{section[0]} has no part"
    return f"{' and '.join(names)} give{'s' if len(names) == 1 else ''} no {need}"


def _givers(scene: Scene, section: KeyPath, need: str) -> Changes:
    if section != ("discriminators",):
        return scene.swap(section)
    known = scene.recipe.registry.entries("discriminator") if scene.recipe.registry else []
    teaching = () if "objective" in scene.recipe.single else ("objective={use: lsgan}",)
    learning = (
        () if "discriminators" in scene.recipe.many["optimisers"] else ("optimisers.discriminators={use: adamw}",)
    )
    return tuple((f"discriminators.{entry.name}={{use: {entry.name}}}", *teaching, *learning) for entry in known)


def classes(scene: Scene) -> Iterator[Finding]:
    """Networks built for another number of classes, or another range of pitches, than the corpus has."""
    corpus = scene.contracts.get(("corpus",), Contract())
    reads = scene.contracts[("generator",)].reads
    for part, contract in scene.contracts.items():
        if part[0] == "discriminators" and contract.classes and reads is not None and "label" not in reads:
            yield Finding(
                scene.decided_by(part, "classes"),
                f"{scene.use(part)} judges {contract.classes} classes, but {scene.use(('generator',))} reads no label",
                scene.decided_by(("generator",), "classes"),
                f"{scene.use(('generator',))} reads no label",
                (*scene.set(part, "classes", "null"), *scene.set(("generator",), "classes", contract.classes)),
            )
        if part == ("corpus",):
            continue
        if None not in (contract.classes, corpus.classes) and contract.classes != corpus.classes:
            yield Finding(
                scene.decided_by(part, "classes"),
                f"{scene.use(part)} is built for {contract.classes} classes, but {scene.use(('corpus',))} has "
                f"{corpus.classes}",
                scene.decided_by(("corpus",), "classes"),
                f"{scene.use(('corpus',))} has {corpus.classes} classes",
                (*scene.set(part, "classes", corpus.classes), *scene.swap(("corpus",)), *scene.swap(part)),
            )
        if contract.pitches is None or corpus.pitches is None:
            continue
        (low, high), (first, last) = contract.pitches, corpus.pitches
        if first < low or last > high:
            yield Finding(
                scene.decided_by(part, "pitches"),
                f"{scene.use(part)} is built for pitches {low} to {high}, but {scene.use(('corpus',))} has {first} to "
                f"{last}",
                scene.decided_by(("corpus",), "pitches"),
                f"{scene.use(('corpus',))} has pitches {first} to {last}",
                (
                    *scene.set(part, "pitches", f"[{first}, {last}]"),
                    *scene.set(("corpus",), "pitches", f"[{low}, {high}]"),
                    *scene.swap(part),
                ),
            )


def taught(scene: Scene) -> Iterator[Finding]:
    """A label that the generator reads, and that nothing of the recipe looks at: it would be made of any, or none."""
    generator, contract = scene.use(("generator",)), scene.contracts[("generator",)]
    if "label" not in (contract.reads or ()):
        return
    sections = ("discriminators", "losses", "regularisers")
    others = [theirs for path, theirs in scene.contracts.items() if path[0] in sections]
    judges = [theirs for path, theirs in scene.contracts.items() if path[0] == "discriminators"]
    # One without a contract may judge labels without saying so.
    if Contract() in judges or any(theirs.classes or "labels" in theirs.needs for theirs in others):
        return
    yield Finding(
        scene.decided_by(("generator",), "classes"),
        f"{generator} reads a label, but no discriminator judges classes and no term needs labels: nothing teaches it what "
        "they mean",
        advice=True,
    )


def latent(scene: Scene) -> Iterator[Finding]:
    """Latent vectors of two sizes, or none at all."""
    path: KeyPath = ("generator",)
    reads = scene.contracts[path].reads or frozenset()
    size = scene.contracts[path].latent if "latent" in reads else None
    for part, contract in scene.contracts.items():
        if part == path or contract.latent is None or contract.latent == size:
            continue
        has = f"reads a latent vector of {size}" if size else "reads no latent vector"
        yield Finding(
            scene.decided_by(part, "latent"),
            f"{scene.use(part)} works on a latent vector of {contract.latent}, but {scene.use(path)} {has}",
            scene.decided_by(path, "latent"),
            f"{scene.use(path)} {has}",
            (
                *scene.set(part, "latent", size or 0),
                *(scene.set(path, "latent", contract.latent) if size else ()),
                *scene.remove(part),
                *scene.swap(path),
            ),
        )


def rates(scene: Scene) -> Iterator[Finding]:
    """Parts that work at other sample rates."""
    rate = scene.recipe.audio.sample_rate
    for part, contract in scene.contracts.items():
        if contract.sample_rates is None or rate in contract.sample_rates:
            continue
        allowed = " or ".join(f"{allowed}" for allowed in sorted(contract.sample_rates))
        if part[0] == "corpus":
            if scene.recipe.data.rate == "error":
                yield Finding(
                    ("audio", "sample_rate"),
                    f"{scene.use(part)} is published at {allowed} Hz, got {rate}; set data.rate: resample to resample it",
                    scene.decided_by(part, "sample_rates"),
                    f"{scene.use(part)} is published at {allowed} Hz",
                    (("data.rate=resample",),),
                )
            continue
        key = contract.because.get("sample_rates")
        owner = next(owner for owner in scene.recipe.parts() if owner.path == part)
        value = owner.arguments.get(key) if key else None
        flip = ((f"{dotted(part)}.{key}={'false' if value else 'true'}",),) if isinstance(value, bool) else ()
        others = tuple(
            change
            for one in sorted(contract.sample_rates)
            for change in ((f"audio.sample_rate={one}",), (f"audio.sample_rate={one}", "data.rate=resample"))
        )
        yield Finding(
            scene.decided_by(part, "sample_rates"),
            f"{scene.use(part)} works at {allowed} Hz, but audio.sample_rate is {rate}",
            ("audio", "sample_rate"),
            f"audio.sample_rate is {rate}",
            (*flip, *others, *scene.remove(part)),
        )


def precision(scene: Scene) -> Iterator[Finding]:
    """Parts that do not work under the plan's autocast."""
    chosen = scene.recipe.plan.precision
    for part, contract in scene.contracts.items():
        if contract.precisions is None or chosen in contract.precisions:
            continue
        allowed = sorted(contract.precisions, key=["bf16", "no", "fp16"].index)
        yield Finding(
            scene.decided_by(part, "precisions"),
            f"{scene.use(part)} works under plan.precision {' or '.join(allowed)}, but it is {chosen}",
            ("plan", "precision"),
            f"plan.precision is {chosen}",
            (*((f"plan.precision={one}",) for one in allowed), *scene.remove(part)),
        )


RULES = (
    hop,
    segment,
    receptive_field,
    domain,
    shape,
    abilities,
    degraded,
    baselines,
    clashes,
    classes,
    taught,
    latent,
    rates,
    precision,
    growth,
    decodable,
)
