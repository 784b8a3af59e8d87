"""Limits of the values in a recipe's own sections, such as ``plan`` and ``validation``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gansemble.errors import near
from gansemble.recipe.rules.finding import Finding, first_part
from gansemble.recipe.rules.optimisers import optimisers, schedules

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe


COUNTS = ("steps", "batch_size", "segment", "generator_every", "accumulate", "log_every", "save_every", "keep")
#: Whole numbers outside ``plan``'s counts, with their least value.
LEAST: dict[tuple[str, str], int] = {
    ("plan", "workers"): 0,
    ("plan", "discriminators_from"): 0,
    ("plan", "ema_from"): 0,
    ("validation", "every"): 1,
    ("validation", "clips"): 1,
    ("synthesis", "clips"): 1,
}
POSITIVE = (("synthesis", "chunk_seconds"), ("validation", "seconds"), ("evaluation", "seconds"), ("data", "normalise"))


def numbers(recipe: Recipe) -> Iterator[Finding]:
    """A number is out of its range."""
    plan = recipe.plan
    for name in COUNTS:
        if getattr(plan, name) < 1:
            yield Finding(("plan", name), f"must be at least 1, got {getattr(plan, name)}")
    for path, least in LEAST.items():
        value = getattr(getattr(recipe, path[0]), path[1])
        if value is not None and value < least:
            yield Finding(path, f"must be at least {least}, got {value:g}")
    for path in POSITIVE:
        value = getattr(getattr(recipe, path[0]), path[1])
        if value is not None and value <= 0:
            yield Finding(path, f"must be positive, got {value:g}")
    if not 0 < recipe.evaluation.confidence < 1:
        shown = f"{recipe.evaluation.confidence:g}"
        yield Finding(("evaluation", "confidence"), f"must be between 0 and 1, such as 0.95, got {shown}")
    for name, part in recipe.many["optimisers"].items():
        every = part.learning_rate.decay_every
        if every is not None and every < 1:
            yield Finding(
                ("optimisers", name, "decay_every"), f"must be at least 1, or null for each epoch, got {every}"
            )
        if part.learning_rate.warmup < 0:
            yield Finding(("optimisers", name, "warmup"), f"must be at least 0, got {part.learning_rate.warmup}")
    if plan.ema is not None and not 0 < plan.ema < 1:
        yield Finding(("plan", "ema"), f"must be between 0 and 1, such as 0.999, or null, got {plan.ema:g}")
    if plan.clip is not None and plan.clip <= 0:
        yield Finding(("plan", "clip"), f"must be positive or null, got {plan.clip:g}")


def windows(recipe: Recipe) -> Iterator[Finding]:
    """``plan.accumulate`` does not divide a batch size, or the phases' steps do not add up to ``plan.steps``."""
    plan = recipe.plan
    if plan.accumulate >= 1 and plan.batch_size % plan.accumulate:
        divisors = [n for n in range(1, plan.batch_size + 1) if plan.batch_size % n == 0]
        best = min(divisors, key=lambda n: abs(n - plan.accumulate))
        yield Finding(
            ("plan", "accumulate"),
            f"must divide batch_size {plan.batch_size}, got {plan.accumulate}",
            ("plan", "batch_size"),
            f"plan.batch_size is {plan.batch_size}",
            ((f"plan.accumulate={best}",),),
        )
    for number, phase in enumerate(plan.phases, 1):
        for name, value in (("steps", phase.steps), ("batch_size", phase.batch_size)):
            if value is not None and value < 1:
                yield Finding(("plan", "phases"), f"phase {number}: {name} must be at least 1, got {value}")
                return
        if phase.batch_size is not None and plan.accumulate >= 1 and phase.batch_size % plan.accumulate:
            yield Finding(
                ("plan", "accumulate"),
                f"must divide every phase's batch_size, got {plan.accumulate} and phase {number}'s {phase.batch_size}",
                ("plan", "phases"),
                f"phase {number} has batch_size {phase.batch_size}",
            )
            return
    total = sum(phase.steps for phase in plan.phases)
    if plan.phases and total != plan.steps:
        yield Finding(
            ("plan", "phases"),
            f"the phases' steps add up to {total}, plan.steps is {plan.steps}; make them equal",
            ("plan", "steps"),
            f"plan.steps is {plan.steps}",
            ((f"plan.steps={total}",),),
        )


def learning(recipe: Recipe) -> Iterator[Finding]:
    """Discriminators have no objective, or nothing would teach the generator."""
    discriminators = recipe.many["discriminators"]
    if discriminators and "objective" not in recipe.single:
        objective = first_part(recipe, "objective")
        yield Finding(
            ("discriminators",),
            f"a recipe with discriminators needs an objective, such as objective: {{use: {objective}}}",
            changes=((f"objective={{use: {objective}}}",),),
        )
    if not discriminators and not recipe.many["losses"]:
        yield Finding(("generator",), "nothing would teach the generator: add discriminators or losses")


def validation(recipe: Recipe) -> Iterator[Finding]:
    """``validation`` names a metric that the recipe does not have, or ranks checkpoints by one that is not computed."""
    metrics, settings = list(recipe.many["metrics"]), recipe.validation
    for index, name in enumerate(settings.metrics):
        if name not in metrics:
            known = ", ".join(metrics) or "none"
            yield Finding(
                ("validation", "metrics", index),
                f"no metric {name!r} in the metrics section{near(name, metrics)} (it has: {known})",
            )
    if settings.metrics and settings.best not in settings.metrics:
        yield Finding(
            ("validation", "best"),
            f"must be one of validation.metrics {list(settings.metrics)}, got {settings.best!r}",
            changes=tuple((f"validation.best={name}",) for name in settings.metrics),
        )


LIMITS = (numbers, windows, learning, optimisers, schedules, validation)
