"""The keys of an optimiser in a recipe beside its constructor's: how its rate changes, which parameters it takes, groups."""

from __future__ import annotations

from collections.abc import Mapping

from gansemble.recipe import types
from gansemble.recipe.document import Document, KeyPath, Problem
from gansemble.recipe.sections import LearningRate, ParameterGroup, Part

#: Keys of an optimiser's entry that change its learning rate over the steps.
RATE_KEYS = ("decay", "decay_every", "warmup", "cosine")
#: Keys that say which parameters it takes, and which of them have settings of their own.
PARAMETER_KEYS = ("parameters", "groups")
#: First parameters of an optimiser's constructor, which the toolkit supplies.
TAKEN = ("parameters", "named_parameters")


def read(part: Part, given: Mapping[str, object], document: Document, problems: list[Problem]) -> None:
    """Fills in an optimiser's learning rate, patterns of parameters and groups.

    Args:
        part: of the kind ``optimiser``; is filled in.
        given: its mapping in the recipe.
        document: tells where values stand.
        problems: what is wrong is added to it.
    """
    before = len(problems)
    rates = {key: given[key] for key in RATE_KEYS if key in given}
    checked = types.check_arguments(LearningRate, rates, part.path, document, problems, what=part.use)
    if len(problems) == before:
        part.learning_rate = LearningRate(**checked)
    if given.get("parameters") is not None:
        part.parameters = _patterns(given["parameters"], (*part.path, "parameters"), document, problems)
    groups = given.get("groups")
    if groups is None:
        return
    here = (*part.path, "groups")
    if not isinstance(groups, dict):
        text = "expected groups of parameters by name, such as {slow: {parameters: [generator.ups], lr: 1e-5}}"
        problems.append(Problem(here, f"{text}, got {groups!r}", document.mark(here)))
        return
    for name, group in groups.items():
        if group is not None and (found := _group(part, (*here, name), group, document, problems)) is not None:
            part.groups[str(name)] = found


def _group(
    part: Part, path: KeyPath, given: object, document: Document, problems: list[Problem]
) -> ParameterGroup | None:
    settings = {key: value for key, value in given.items() if key != "parameters"} if isinstance(given, dict) else {}
    if not isinstance(given, dict) or "parameters" not in given or not settings:
        text = "a group needs parameters: [PATTERN, …] and settings of its own, such as lr: 1e-5"
        problems.append(Problem(path, text, document.mark(path)))
        return None
    patterns = _patterns(given["parameters"], (*path, "parameters"), document, problems)
    names = types.signature(part.target)
    what = f"a group of {part.use}"
    # Each has a default in the optimiser itself, so that none of them need be given.
    values = types.check_arguments(
        part.target, settings, path, document, problems, what=what, supplied=TAKEN, known=names
    )
    return ParameterGroup(patterns, values)


def _patterns(value: object, path: KeyPath, document: Document, problems: list[Problem]) -> tuple[str, ...]:
    hint = tuple[str, ...]
    found = types.convert(value, hint)
    if types.misfit(found, hint) is not None or found == () or "" in found:  # type: ignore[operator]
        text = "expected the beginnings of parameters' names, such as [discriminators.mpd, generator.*.bias]"
        problems.append(Problem(path, f"{text}, got {value!r}", document.mark(path)))
        return ()
    return found  # type: ignore[return-value]
