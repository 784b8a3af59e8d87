"""Rules of optimisers: which parameters each takes, settings of groups, and schedules of learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from gansemble.errors import near
from gansemble.recipe.construct import construct
from gansemble.recipe.document import KeyPath, RecipeError, dotted
from gansemble.recipe.parameter_names import SIDES, matches, overlap, side_of
from gansemble.recipe.rules.finding import Finding, first_part

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe
    from gansemble.recipe.sections import Part


def optimisers(recipe: Recipe) -> Iterator[Finding]:
    """A side has no optimiser, or an optimiser takes what another takes, what is not there, nothing, or unknown settings.

    What depends on the networks' own parameters is found before the first step, when they have been built.
    """
    wrong = [finding for name, part in recipe.many["optimisers"].items() for finding in _claims(recipe, name, part)]
    yield from wrong
    yield from _sides(recipe)
    if not wrong:
        yield from _twice(recipe)
        yield from _left(recipe)
        yield from _groups(recipe)


def _sides(recipe: Recipe) -> Iterator[Finding]:
    part = first_part(recipe, "optimiser")
    there = {side_of(name, each.parameters) for name, each in recipe.many["optimisers"].items()}
    for side in ("generator", *(("discriminators",) if recipe.many["discriminators"] else ())):
        if side not in there:
            yield Finding(
                ("optimisers",),
                f"a recipe needs optimisers.{side}, such as {side}: {{use: {part}, lr: 2e-4}}",
                changes=((f"optimisers.{side}={{use: {part}, lr: 2e-4}}",),),
            )


def _claims(recipe: Recipe, name: str, part: Part) -> Iterator[Finding]:
    """What is wrong with an optimiser's patterns, and with those of its groups, each by itself."""
    path: KeyPath = ("optimisers", name)
    if not part.parameters and name not in SIDES:
        yield Finding(
            path,
            "generator and discriminators take the rest of their side; an optimiser of another name must say what it takes, "
            f"such as parameters: [{_example(recipe)}], got {name!r}{near(name, SIDES)}",
            changes=((f"optimisers.{name}=null",),),
        )
        return
    side = side_of(name, part.parameters)
    given = [((*path, "parameters", index), pattern) for index, pattern in enumerate(part.parameters)]
    for group, each in part.groups.items():
        here = (*path, "groups", group, "parameters")
        given += [((*here, index), pattern) for index, pattern in enumerate(each.parameters)]
    for where, pattern in given:
        wrong = _beginning(recipe, pattern)
        if wrong is None and pattern.partition(".")[0] != side:
            wrong = (
                f"the parameters of an optimiser must lie on one side, whose turn it steps in: {dotted(path)} is of the "
                f"{side}, got {pattern!r}"
            )
        if wrong is not None:
            yield Finding(where, wrong)


def _example(recipe: Recipe) -> str:
    return f"discriminators.{next(iter(recipe.many['discriminators']), '…')}"


def _beginning(recipe: Recipe, pattern: str) -> str | None:
    """What is wrong with the first words of a pattern: a side, and the name of a discriminator; None if nothing is."""
    side, *others = pattern.split(".")
    known = list(recipe.many["discriminators"])
    if side not in SIDES:
        hint = f"; did you mean {f'discriminators.{pattern}'!r}?" if side in known else near(side, SIDES)
        return f"a parameter's name begins with generator or discriminators, got {pattern!r}{hint}"
    if side == "generator":
        return None
    if not known:
        return f"this recipe has no discriminators, got {pattern!r}"
    if others and "*" not in others[0] and others[0] not in known:
        hint = near(others[0], known) or f"; discriminators: {', '.join(known)}"
        return f"this recipe has no discriminator {others[0]!r}{hint}"
    return None


def _twice(recipe: Recipe) -> Iterator[Finding]:
    """Two optimisers, or two groups of one, that certainly choose the same parameters."""
    entries = recipe.many["optimisers"].items()
    yield from _overlapping({("optimisers", name): part.parameters for name, part in entries})
    for name, part in entries:
        groups = part.groups.items()
        yield from _overlapping({("optimisers", name, "groups", key): group.parameters for key, group in groups})


def _overlapping(claims: dict[KeyPath, tuple[str, ...]]) -> Iterator[Finding]:
    for (first, ours), (second, theirs) in combinations(claims.items(), 2):
        pairs = [(i, j) for i, one in enumerate(ours) for j, other in enumerate(theirs) if overlap(one, other)]
        for i, j in pairs[:1]:
            yield Finding(
                (*second, "parameters", j),
                f"{dotted(first)} and {dotted(second)} both take {max(ours[i], theirs[j], key=len)!r}; a parameter belongs to one",
                (*first, "parameters", i),
                f"{dotted(first)} takes {ours[i]!r}",
            )


def _left(recipe: Recipe) -> Iterator[Finding]:
    """Discriminators that no optimiser takes, or an optimiser of the rest of a side of which nothing is left."""
    entries, names = recipe.many["optimisers"], list(recipe.many["discriminators"])
    for side in SIDES:
        wholes = ["generator"] if side == "generator" else [f"discriminators.{name}" for name in names]
        patterns = [each for part in entries.values() for each in part.parameters if each.startswith(side)]
        rest = side in entries and not entries[side].parameters
        covered = [whole for whole in wholes if any(matches(pattern, whole) for pattern in patterns)]
        if rest and wholes and covered == wholes:
            yield Finding(
                ("optimisers", side),
                f"nothing is left for optimisers.{side}: the other optimisers take all of {', '.join(wholes)}; leave it out",
                changes=((f"optimisers.{side}=null",),),
            )
        for whole in wholes if not rest and patterns else ():
            inside = any("*" in pattern or pattern.startswith(f"{whole}.") for pattern in patterns)
            if whole not in covered and not inside:
                yield Finding(
                    ("optimisers",),
                    f"no optimiser takes {whole}: add it to the parameters of one, or add optimisers.{side}, which takes the rest",
                )


def _groups(recipe: Recipe) -> Iterator[Finding]:
    """Settings that the optimiser has for all its parameters alike, and so cannot have for a group."""
    for name, part in recipe.many["optimisers"].items():
        known = group_settings(recipe, part) if part.groups else None
        if known is None:
            continue
        for group, each in part.groups.items():
            for key in each.settings:
                if key not in known:
                    yield Finding(
                        ("optimisers", name, "groups", group, key),
                        f"{part.use} has {key} for all its parameters alike; a group may have {', '.join(sorted(known))}",
                    )


def group_settings(recipe: Recipe, part: Part) -> set[str] | None:
    """Names of the settings that an optimiser keeps for each group of parameters, such as ``lr``.

    They are those of its constructor's parameters that its groups hold, of a vector and a matrix in the place of the
    networks' own. None if it cannot be built of these, such as for names that it looks for.
    """
    import torch
    from torch import nn

    from gansemble.recipe import types

    names = [f"{side_of(part.path[-1], part.parameters)}.{name}" for name in ("bias", "weight")]  # type: ignore[arg-type]
    weights = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, 2))]
    pairs = list(zip(names, weights, strict=True))
    try:
        made = construct(part, recipe, parameters=weights, named_parameters=pairs)
    except RecipeError:
        return None
    held = {str(key) for group in made.param_groups for key in group}
    return held & set(types.signature(part.target))


def schedules(recipe: Recipe) -> Iterator[Finding]:
    """A schedule is named after no optimiser, or gives a factor that is negative or not finite in the plan's steps."""
    known = list(recipe.many["optimisers"])
    for name, part in recipe.many["schedules"].items():
        path: KeyPath = ("schedules", name)
        if name not in known:
            yield Finding(
                path,
                f"a schedule has the name of its optimiser, and there is none called {name!r}"
                + (near(name, known) or f"; optimisers: {', '.join(known) or 'none'}"),
                changes=((f"schedules.{name}=null",),),
            )
            continue
        try:
            schedule = construct(part, recipe)
        except RecipeError:
            continue  # told by examine, which builds it, too
        steps = max(1, recipe.plan.steps)
        for step in sorted({0, steps // 2, steps - 1}):
            try:
                factor = float(schedule(step, 0, steps))
            except Exception as error:  # of the part's own making
                said = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
                yield Finding((*path, "use"), f"{part.use} fails at step {step} of {steps}: {said}")
                break
            if not (math.isfinite(factor) and factor >= 0):
                yield Finding((*path, "use"), f"{part.use} gives a factor of {factor:g} at step {step} of {steps}")
                break
