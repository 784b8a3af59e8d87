"""Gives each learnable parameter of a recipe's networks to one of its optimisers, and builds these with their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from gansemble.errors import TrainingError
from gansemble.interfaces import LearningRateSchedule
from gansemble.parts.build import Parts
from gansemble.recipe.construct import construct
from gansemble.recipe.parameter_names import SIDES, chooses_nothing, chosen, side_of
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part

#: By side and name of the optimiser, the names of the parameters that it moves.
Shares = dict[str, dict[str, list[str]]]


def named(parts: Parts) -> dict[str, dict[str, nn.Parameter]]:
    """All parameters by side, and by name with the side in front, such as ``discriminators.mpd.convs.0.bias``.

    They are in the order of the networks' own ``parameters()``, those that do not learn among them.
    """
    networks: dict[str, tuple[nn.Module, str]] = {
        "generator": (parts.generator, ""),
        "discriminators": (parts.discriminators, "parts."),
    }
    return {
        side: {f"{side}.{name.removeprefix(prefix)}": each for name, each in network.named_parameters()}
        for side, (network, prefix) in networks.items()
    }


def shares(recipe: Recipe, parts: Parts) -> Shares:
    """Which optimiser moves which learnable parameters: each exactly one.

    Args:
        recipe: of the optimisers.
        parts: with the networks; parameters that do not learn (``requires_grad`` is off) are given to none.

    Raises:
        TrainingError: if two optimisers take one parameter, a pattern chooses nothing, an optimiser is left without any, or
            a parameter is taken by none.
    """
    found: Shares = {}
    for side, known in named(parts).items():
        entries = {
            name: part for name, part in recipe.many["optimisers"].items() if side_of(name, part.parameters) == side
        }
        learning = [name for name, parameter in known.items() if parameter.requires_grad]
        _demand_names(entries, known)
        given = {name: chosen(part.parameters, learning) for name, part in entries.items() if part.parameters}
        _demand_one_owner("optimisers", given)
        taken = {each for names in given.values() for each in names}
        rest = [name for name in learning if name not in taken]
        if side in entries and not entries[side].parameters:
            given[side] = rest
        elif rest and entries:
            raise TrainingError(
                f"optimisers: none takes {_few(rest)}; add them to the parameters of one, let optimisers.{side} take the rest "
                "of its side, or name them in init.freeze"
            )
        # A side that has nothing to learn may have an entry of its own name, as for recipes that others include.
        found[side] = {name: given[name] for name in entries if learning or name not in SIDES}
        _demand_some(found[side])
    return found


def _demand_names(entries: Mapping[str, Part], known: Mapping[str, nn.Parameter]) -> None:
    for name, part in entries.items():
        for pattern in part.parameters:
            if not chosen([pattern], known):
                raise TrainingError(f"optimisers.{name}.parameters: {chooses_nothing(pattern, known)}")


def _demand_one_owner(place: str, given: Mapping[str, Sequence[str]]) -> None:
    """Refuses a parameter that two optimisers take, or two groups of one."""
    owners: dict[str, str] = {}
    for name, names in given.items():
        for each in names:
            if each in owners:
                raise TrainingError(
                    f"{place}.{owners[each]} and {place}.{name} both take {each}; a parameter belongs to one: make the "
                    "parameters of one of them narrower"
                )
            owners[each] = name


def _demand_some(given: Mapping[str, Sequence[str]]) -> None:
    for name, names in given.items():
        if not names:
            raise TrainingError(
                f"optimisers.{name} has nothing to learn: what it would take belongs to other optimisers, or is named in "
                "init.freeze; leave it out"
            )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")


def optimisers(recipe: Recipe, parts: Parts) -> dict[str, dict[str, torch.optim.Optimizer]]:
    """Builds the recipe's optimisers with their groups of parameters.

    Returns:
        By side and name. A side without learnable parameters, or without an optimiser in the recipe, has none.

    Raises:
        TrainingError: as :func:`shares`, and if a group chooses nothing, two groups choose one parameter, or an optimiser
            does not have a group's setting or leaves out some of its parameters.
    """
    entries, everything = recipe.many["optimisers"], named(parts)
    return {
        side: {
            name: _optimiser(recipe, entries[name], {each: everything[side][each] for each in names})
            for name, names in given.items()
        }
        for side, given in shares(recipe, parts).items()
    }


def _optimiser(recipe: Recipe, part: Part, given: Mapping[str, nn.Parameter]) -> torch.optim.Optimizer:
    path = ".".join(map(str, part.path))
    pairs = list(given.items())
    made = construct(part, recipe, parameters=list(given.values()), named_parameters=pairs)
    held = {id(parameter) for group in made.param_groups for parameter in group["params"]}
    if lost := [name for name, parameter in pairs if id(parameter) not in held]:
        raise TrainingError(f"{path} ({part.use}): {_few(lost)} would not learn; the optimiser leaves them out")
    members = {name: chosen(group.parameters, given) for name, group in part.groups.items()}
    for name, group in part.groups.items():
        for pattern in group.parameters:
            if not chosen([pattern], given):
                raise TrainingError(
                    f"{path}.groups.{name}: {chooses_nothing(pattern, given)}, of what {path} takes and learns"
                )
    _demand_one_owner(f"{path}.groups", members)
    for name, names in members.items():
        missing = _set_apart(made, {id(given[each]) for each in names}, part.groups[name].settings)
        if missing:
            raise TrainingError(
                f"{path}.groups.{name}: {part.use} has no {', '.join(missing)} for these parameters; leave it out"
            )
    return made


def _set_apart(made: torch.optim.Optimizer, members: set[int], settings: Mapping[str, object]) -> list[str]:
    """Gives some parameters of a new optimiser settings of their own.

    Each of its groups is divided into those parameters and the others, as an optimiser may have several groups already, of
    different settings. Names of parameters that a group keeps beside them are divided, too.

    Args:
        made: has not stepped yet.
        members: identities of the parameters.
        settings: by key of a group; one that a group does not have is left out there.

    Returns:
        The keys that none of the groups concerned has.
    """
    missing = set(settings)
    for group in list(made.param_groups):
        inside = [id(parameter) in members for parameter in group["params"]]
        if not any(inside):
            continue
        own = {key: value for key, value in settings.items() if key in group}
        missing -= own.keys()
        apart = group
        if not all(inside):
            apart = dict(group)
            made.param_groups.append(apart)
            for key in ("params", "param_names"):
                if key in group:
                    pairs = list(zip(group[key], inside, strict=True))
                    apart[key] = [each for each, is_member in pairs if is_member]
                    group[key] = [each for each, is_member in pairs if not is_member]
        apart.update(own)
    return sorted(missing)


def schedules(recipe: Recipe) -> dict[str, LearningRateSchedule]:
    """The recipe's schedules of learning rates, by the names of their optimisers."""
    return {name: construct(part, recipe) for name, part in recipe.many["schedules"].items()}
