"""Holding the parts of a recipe against each other before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gansemble.errors import near
from gansemble.interfaces import Contract
from gansemble.recipe import types
from gansemble.recipe.document import KeyPath, Problem, dotted
from gansemble.recipe.sections import Part

if TYPE_CHECKING:
    from gansemble.recipe.check import Recipe

Finding = tuple[KeyPath, str]
#: Whole numbers outside ``plan``'s counts, with their least value.
LEAST: dict[tuple[str, str], int] = {
    ("plan", "workers"): 0,
    ("plan", "discriminators_from"): 0,
    ("validation", "every"): 1,
    ("validation", "clips"): 1,
    ("synthesis", "clips"): 1,
}
#: What the loop itself can supply to a part that needs it, and who decides.
ABILITIES = {
    "features": "no discriminator of this recipe returns feature maps",
    "mel": "the generator of this recipe reads no mel spectrogram",
    "labels": "the corpus of this recipe has no labels",
    "verdicts": "this recipe has no discriminator",
}


def filled(part: Part, recipe: Recipe) -> dict[str, Any]:
    """A part's arguments with defaults and supplied values written out."""
    given = {n: p.default for n, p in types.signature(part.target).items() if p.default is not p.empty}
    names = types.signature(part.target)
    supplied = {name: value for name, value in recipe.supplied().items() if name in names}
    return given | supplied | part.arguments


def contract_of(part: Part, recipe: Recipe) -> Contract:
    """What a part declares; an empty contract when it says nothing."""
    declare = getattr(part.target, "contract", None)
    return declare(filled(part, recipe)) if declare else Contract()


def check(recipe: Recipe) -> list[Problem]:
    """Every violated contract, naming both sides."""
    problems = []
    contracts = {}
    for part in recipe.parts():
        try:
            contracts[part.path] = contract_of(part, recipe)
        except (ValueError, TypeError, ArithmeticError) as error:
            problems.append(Problem(part.path, str(error), recipe.document.mark(part.path)))
    if problems:
        return problems
    for rule in RULES:
        for path, message in rule(recipe, contracts):
            problems.append(Problem(path, message, recipe.document.mark(path)))
    return problems


def _plan(recipe: Recipe, _: dict[KeyPath, Contract]) -> Iterator[Finding]:
    plan = recipe.plan
    for name in (
        "steps",
        "batch_size",
        "segment",
        "generator_every",
        "accumulate",
        "log_every",
        "save_every",
        "keep",
    ):
        if getattr(plan, name) < 1:
            yield ("plan", name), f"must be at least 1, got {getattr(plan, name)}"
    for path, least in LEAST.items():
        value = getattr(getattr(recipe, path[0]), path[1])
        if value is not None and value < least:
            yield path, f"must be at least {least}, got {value:g}"
    for path in (("synthesis", "chunk_seconds"), ("validation", "seconds"), ("data", "normalise")):
        value = getattr(getattr(recipe, path[0]), path[1])
        if value is not None and value <= 0:
            yield path, f"must be positive, got {value:g}"
    if not 0 < recipe.evaluation.confidence < 1:
        yield (
            ("evaluation", "confidence"),
            f"must be between 0 and 1, such as 0.95, got {recipe.evaluation.confidence:g}",
        )
    for name, part in recipe.many["optimisers"].items():
        if part.learning_rate.warmup < 0:
            yield ("optimisers", name, "warmup"), f"must be at least 0, got {part.learning_rate.warmup}"
    if plan.accumulate >= 1 and plan.batch_size % plan.accumulate:
        yield ("plan", "accumulate"), f"must divide batch_size {plan.batch_size}, got {plan.accumulate}"
    if plan.ema is not None and not 0 < plan.ema < 1:
        yield ("plan", "ema"), f"must be between 0 and 1, such as 0.999, or null, got {plan.ema:g}"
    if plan.clip is not None and plan.clip <= 0:
        yield ("plan", "clip"), f"must be positive or null, got {plan.clip:g}"
    total = sum(phase.steps for phase in plan.phases)
    if plan.phases and total != plan.steps:
        yield (
            ("plan", "phases"),
            f"the phases' steps add up to {total}, plan.steps is {plan.steps}; make them equal",
        )


def _segment(recipe: Recipe, contracts: dict[KeyPath, Contract]) -> Iterator[Finding]:
    segment, hop, path = recipe.plan.segment, recipe.audio.hop, ("plan", "segment")
    if segment >= 1 and segment % hop:
        nearest = max(hop, round(segment / hop) * hop)
        yield path, f"must be a multiple of audio.hop {hop}, got {segment}; the nearest is {nearest}"
    for part, contract in contracts.items():
        if contract.granularity and segment % contract.granularity:
            yield path, f"{dotted(part)} works on multiples of {contract.granularity} samples, got {segment}"
        if contract.shortest and segment < contract.shortest:
            yield (
                path,
                f"{dotted(part)} needs at least {contract.shortest} samples, got {segment}; raise plan.segment",
            )


def _generator(recipe: Recipe, contracts: dict[KeyPath, Contract]) -> Iterator[Finding]:
    contract = contracts[("generator",)]
    if contract.upsampling is not None and contract.upsampling != recipe.audio.hop:
        where = next((("generator", k) for k in recipe.document.value["generator"] if "rate" in str(k)), ("generator",))
        yield (
            where,
            (
                f"{recipe.single['generator'].use} makes {contract.upsampling} samples of each frame, but audio.hop is "
                f"{recipe.audio.hop}; change the upsampling so that its product is {recipe.audio.hop}, or audio.hop to {contract.upsampling}"
            ),
        )


def _domains(recipe: Recipe, contracts: dict[KeyPath, Contract]) -> Iterator[Finding]:
    path: KeyPath = ("representation",)
    domain = contracts[path].domain if path in contracts else "waveform"
    for part, contract in contracts.items():
        if part != path and part[0] not in ("corpus", "metrics") and contract.domain not in (None, domain):
            yield part, f"works on {contract.domain}, but the recipe's representation is {domain}"


def _abilities(recipe: Recipe, contracts: dict[KeyPath, Contract]) -> Iterator[Finding]:
    given = {ability for contract in contracts.values() for ability in contract.gives}
    given |= (contracts[("generator",)].reads or frozenset()) & {"mel"}
    if recipe.many["discriminators"]:
        given.add("verdicts")
    for part, contract in contracts.items():
        for need in sorted(contract.needs - given):
            reason = ABILITIES.get(need, f"no part of this recipe gives {need!r}")
            yield part, f"needs {need}, but {reason}"


def _rates(recipe: Recipe, contracts: dict[KeyPath, Contract]) -> Iterator[Finding]:
    rate = recipe.audio.sample_rate
    for part, contract in contracts.items():
        if contract.sample_rates is None or rate in contract.sample_rates:
            continue
        allowed = " or ".join(f"{allowed}" for allowed in sorted(contract.sample_rates))
        if part[0] != "corpus":
            yield part, f"works at {allowed} Hz, but audio.sample_rate is {rate}"
        elif recipe.data.rate == "error":
            yield (
                ("audio", "sample_rate"),
                (
                    f"corpus {recipe.single['corpus'].use} is published at {allowed} Hz, got {rate}; "
                    "set data.rate: resample to resample it"
                ),
            )


def _learning(recipe: Recipe, _: dict[KeyPath, Contract]) -> Iterator[Finding]:
    discriminators, optimisers = recipe.many["discriminators"], recipe.many["optimisers"]
    if discriminators and "objective" not in recipe.single:
        yield (
            ("discriminators",),
            "a recipe with discriminators needs an objective, such as objective: {use: lsgan}",
        )
    if not discriminators and not recipe.many["losses"]:
        yield ("generator",), "nothing would teach the generator: add discriminators or losses"
    for side in ("generator", *(("discriminators",) if discriminators else ())):
        if side not in optimisers:
            yield (
                ("optimisers",),
                f"a recipe needs optimisers.{side}, such as {side}: {{use: adamw, lr: 2e-4}}",
            )
    for name in optimisers:
        if name not in ("generator", "discriminators"):
            hint = near(name, ["generator", "discriminators"])
            yield (
                ("optimisers", name),
                f"there are two optimisers, generator and discriminators, got {name!r}{hint}",
            )


def _validation(recipe: Recipe, _: dict[KeyPath, Contract]) -> Iterator[Finding]:
    metrics, validation = list(recipe.many["metrics"]), recipe.validation
    for index, name in enumerate(validation.metrics):
        if name not in metrics:
            known = ", ".join(metrics) or "none"
            yield (
                ("validation", "metrics", index),
                f"no metric {name!r} in the metrics section{near(name, metrics)} (it has: {known})",
            )
    if validation.metrics and validation.best not in validation.metrics:
        yield (
            ("validation", "best"),
            f"must be one of validation.metrics {list(validation.metrics)}, got {validation.best!r}",
        )


RULES: tuple[Callable[[Recipe, dict[KeyPath, Contract]], Iterator[Finding]], ...] = (
    _plan,
    _segment,
    _generator,
    _domains,
    _abilities,
    _rates,
    _learning,
    _validation,
)
