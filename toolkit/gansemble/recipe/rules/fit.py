"""Rules about sizes, lengths, rates and domains: what one part makes and another reads.

Each finding names both parts and both values, and proposes changes, which :mod:`gansemble.recipe.rules.fixes` tries
before one is shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from gansemble.recipe.document import dotted
from gansemble.recipe.rules.finding import Finding
from gansemble.recipe.rules.view import GENERATOR, REPRESENTATION, Changes, RecipeView


def hop(view: RecipeView) -> Iterator[Finding]:
    """The generator makes another number of samples for each frame of its condition than ``audio.hop``."""
    path, hop = GENERATOR, view.recipe.audio.hop
    made = view.generator.upsampling
    if made is not None and made != hop:
        segment = view.recipe.plan.segment
        moved = f"plan.segment={max(made, round(segment / made) * made)}"
        yield Finding(
            view.decided_by(path, "upsampling"),
            f"{view.recipe.single['generator'].use} makes {made} samples of each frame, but audio.hop is {hop}; "
            f"change the upsampling so that its product is {hop}, or audio.hop to {made}",
            ("audio", "hop"),
            f"audio.hop is {hop}",
            ((f"audio.hop={made}",), (f"audio.hop={made}", moved), *view.swap(path)),
        )


def segment(view: RecipeView) -> Iterator[Finding]:
    """``plan.segment`` is no multiple of ``audio.hop``, or no multiple or too short for what a part declares."""
    length, path = view.recipe.plan.segment, ("plan", "segment")
    hop_length = view.recipe.audio.hop
    if length >= 1 and length % hop_length:
        nearest = max(hop_length, round(length / hop_length) * hop_length)
        yield Finding(
            path,
            f"must be a multiple of audio.hop {hop_length}, got {length}; the nearest is {nearest}",
            ("audio", "hop"),
            f"audio.hop is {hop_length}",
            view.segments(),
        )
    for part, contract in view.of_items():
        if contract.granularity and length % contract.granularity:
            yield Finding(
                path,
                f"{view.use(part)} works on multiples of {contract.granularity} samples, got {length}",
                view.decided_by(part, "granularity"),
                f"{view.use(part)} decides the multiple",
                (*view.segments(), *view.swap(part)),
            )
        if contract.shortest and length < contract.shortest:
            yield Finding(
                path,
                f"{view.use(part)} needs at least {contract.shortest} samples, got {length}",
                view.decided_by(part, "shortest"),
                f"{view.use(part)} decides the least length",
                (*view.segments(contract.shortest), *view.remove(part)),
            )


def receptive_field(view: RecipeView) -> Iterator[Finding]:
    """A discriminator's score sees more samples than a segment has: an error beyond four segments, else advice.

    Published discriminators see up to three times their segment, so the error begins at four.
    """
    length = view.recipe.plan.segment
    for part, contract in view.discriminators():
        seen = contract.receptive_field
        if seen is None or seen <= length:
            continue
        much = seen > 4 * length
        share = "less than a quarter of that" if much else "less than that: every score sees padding"
        yield Finding(
            ("plan", "segment"),
            f"each score of {view.use(part)} sees {seen} samples, and a segment of {length} is {share}",
            view.decided_by(part, "receptive_field"),
            f"{view.use(part)} sees {seen} samples",
            (*view.segments(seen), *view.swap(part)),
            advice=not much,
        )


def domain(view: RecipeView) -> Iterator[Finding]:
    """A part works on another domain than the representation gives."""
    for part, contract in view.works_on():
        if contract.domain not in (None, view.domain):
            yield Finding(
                view.decided_by(part, "domain"),
                f"{view.use(part)} works on {contract.domain}, but {view.use(REPRESENTATION)} gives {view.domain}",
                view.decided_by(REPRESENTATION, "domain"),
                f"{view.use(REPRESENTATION)} gives {view.domain}",
                (
                    *view.set(part, "domain", view.domain),
                    *_representations(view, str(contract.domain)),
                    *view.swap(part),
                    *view.remove(part),
                ),
            )


def _representations(view: RecipeView, domain: str) -> Changes:
    known = view.recipe.registry.entries("representation") if view.recipe.registry else []
    named = [(f"representation={{use: {entry.name}}}",) for entry in known]
    return (("representation=null",), *named) if domain == "waveform" else tuple(named)


def shape(view: RecipeView) -> Iterator[Finding]:
    """A part works on items of another shape than the representation gives for a segment, or on square ones only."""
    given = view.shape
    for part, contract in view.works_on():
        if contract.domain not in (None, view.domain) or given is None:
            continue
        if contract.shape is not None and not _fits(contract.shape, given):
            changes: Changes = ()
            if len(contract.shape) == len(given):
                pairs = zip(contract.shape, given, strict=True)
                wrong = [(mine, theirs) for mine, theirs in pairs if None not in (mine, theirs) and mine != theirs]
                changes = tuple(
                    change for _, theirs in wrong[:1] for change in view.set(part, "shape", theirs)
                ) + tuple(change for mine, theirs in wrong[-1:] for change in view.segments(0, mine / theirs))  # type: ignore[operator]
            yield Finding(
                view.decided_by(part, "shape"),
                f"{view.use(part)} works on {_shown(contract.shape)}, but {view.use(REPRESENTATION)} gives "
                f"{_shown(given)} for a segment of {view.recipe.plan.segment}",
                view.decided_by(REPRESENTATION, "shape"),
                f"{view.use(REPRESENTATION)} gives {_shown(given)}",
                (*changes, *view.swap(part), *view.remove(part)),
            )
        if contract.square and (len(given) < 3 or given[-1] != given[-2]):
            sizes = given[-2:] if len(given) > 2 else (None, None)
            # The last axis is taken for time: a segment so many times as long gives a square map.
            factor = sizes[0] / sizes[1] if sizes[0] and sizes[1] else 1.0
            yield Finding(
                view.decided_by(part, "square"),
                f"{view.use(part)} works on square maps, but {view.use(REPRESENTATION)} gives {_shown(given)} for a "
                f"segment of {view.recipe.plan.segment}",
                ("plan", "segment"),
                f"plan.segment is {view.recipe.plan.segment}",
                (*view.segments(0, factor), *view.set(part, "square", "resize_shorter"), *view.remove(part)),
            )


def _fits(wanted: tuple[int | None, ...], given: tuple[int | None, ...]) -> bool:
    if len(wanted) != len(given):
        return False
    return all(mine in (None, theirs) or theirs is None for mine, theirs in zip(wanted, given, strict=True))


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"[B, {', '.join('any' if size is None else str(size) for size in shape)}]"


def latent(view: RecipeView) -> Iterator[Finding]:
    """A discriminator or term works on a latent vector of another size than the generator reads, or it reads none."""
    path = GENERATOR
    size = view.generator.latent if "latent" in (view.generator.reads or ()) else None
    for part, contract in view.of_classes():
        if part == path or contract.latent is None or contract.latent == size:
            continue
        has = f"reads a latent vector of {size}" if size else "reads no latent vector"
        yield Finding(
            view.decided_by(part, "latent"),
            f"{view.use(part)} works on a latent vector of {contract.latent}, but {view.use(path)} {has}",
            view.decided_by(path, "latent"),
            f"{view.use(path)} {has}",
            (
                *view.set(part, "latent", size or 0),
                *(view.set(path, "latent", contract.latent) if size else ()),
                *view.remove(part),
                *view.swap(path),
            ),
        )


def rates(view: RecipeView) -> Iterator[Finding]:
    """A part does not work at ``audio.sample_rate``, or the corpus has another rate and is not resampled."""
    rate = view.recipe.audio.sample_rate
    for part, contract in view.contracts.items():
        if contract.sample_rates is None or rate in contract.sample_rates:
            continue
        allowed = " or ".join(f"{allowed}" for allowed in sorted(contract.sample_rates))
        if part[0] == "corpus":
            if view.recipe.data.rate == "error":
                yield Finding(
                    ("audio", "sample_rate"),
                    f"{view.use(part)} is published at {allowed} Hz, got {rate}; set data.rate: resample to resample it",
                    view.decided_by(part, "sample_rates"),
                    f"{view.use(part)} is published at {allowed} Hz",
                    (("data.rate=resample",),),
                )
            continue
        key = contract.because.get("sample_rates")
        owner = next(owner for owner in view.recipe.parts() if owner.path == part)
        value = owner.arguments.get(key) if key else None
        flip = ((f"{dotted(part)}.{key}={'false' if value else 'true'}",),) if isinstance(value, bool) else ()
        others = tuple(
            change
            for one in sorted(contract.sample_rates)
            for change in ((f"audio.sample_rate={one}",), (f"audio.sample_rate={one}", "data.rate=resample"))
        )
        yield Finding(
            view.decided_by(part, "sample_rates"),
            f"{view.use(part)} works at {allowed} Hz, but audio.sample_rate is {rate}",
            ("audio", "sample_rate"),
            f"audio.sample_rate is {rate}",
            (*flip, *others, *view.remove(part)),
        )


def precision(view: RecipeView) -> Iterator[Finding]:
    """A part does not work under ``plan.precision``."""
    chosen = view.recipe.plan.precision
    for part, contract in view.contracts.items():
        if contract.precisions is None or chosen in contract.precisions:
            continue
        allowed = sorted(contract.precisions, key=["bf16", "no", "fp16"].index)
        yield Finding(
            view.decided_by(part, "precisions"),
            f"{view.use(part)} works under plan.precision {' or '.join(allowed)}, but it is {chosen}",
            ("plan", "precision"),
            f"plan.precision is {chosen}",
            (*((f"plan.precision={one}",) for one in allowed), *view.remove(part)),
        )
