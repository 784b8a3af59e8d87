"""Limits of a recipe's own sections, such as ``plan`` and ``validation``, that concern several values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gansemble.errors import near
from gansemble.recipe.rules.finding import Finding, first_part
from gansemble.recipe.rules.optimisers import optimisers, schedules

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe


#: Samples of a batch on one device beyond which no machine could hold it: 256 GiB as float32, before any network.
MOST_SAMPLES = 2**36


def batches(recipe: Recipe) -> Iterator[Finding]:
    """The audio of a micro-batch is more than any machine could hold."""
    plan = recipe.plan
    for batch_size in (plan.batch_size, *(phase.batch_size or 0 for phase in plan.phases)):
        samples = batch_size // plan.accumulate * plan.segment
        if samples > MOST_SAMPLES:
            yield Finding(
                ("plan", "segment"),
                f"the audio of {batch_size // plan.accumulate} clips of {plan.segment} samples alone takes "
                f"{samples * 4 / 2**30:.0f} GiB; make plan.segment or plan.batch_size smaller",
                ("plan", "batch_size"),
                f"plan.batch_size is {plan.batch_size}",
            )
            return


def windows(recipe: Recipe) -> Iterator[Finding]:
    """``plan.accumulate`` does not divide a batch size, or the phases' steps do not add up to ``plan.steps``."""
    plan = recipe.plan
    if plan.batch_size % plan.accumulate:
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
        if phase.batch_size is not None and phase.batch_size % plan.accumulate:
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


LIMITS = (batches, windows, learning, optimisers, schedules, validation)
