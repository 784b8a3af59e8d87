"""Whether learning rates depend on how many steps are planned, so that another number of steps is another training."""

from __future__ import annotations

from collections.abc import Mapping

from gansemble.contract import ScheduleContract
from gansemble.errors import PluginError
from gansemble.plugins import loading
from gansemble.plugins.registry import Registry
from gansemble.recipe import types
from gansemble.recipe.contract import contract_of, stand_ins
from gansemble.recipe.sections import Part


def ends_with_the_plan(leaves: Mapping[str, object], registry: Registry | None = None) -> bool:
    """Whether the learning rate of an optimiser depends on how many steps are planned.

    That is so with ``cosine``, and with a schedule whose contract does not say otherwise. Training for another number of
    steps is then another training from its first step on.

    Args:
        leaves: of the recipe, from :func:`gansemble.recipe.fill.flatten`; defaults may be missing.
        registry: of the parts that may be named; None is that of this process' plugins.
    """
    if any(key.startswith("optimisers.") and key.endswith(".cosine") and leaves[key] is True for key in leaves):
        return True
    names = {key.split(".")[1] for key in leaves if key.startswith("schedules.")}
    given = {name: _nested(leaves, f"schedules.{name}.") for name in sorted(names)}
    return any(_ends(each, registry or loading.registry()) for each in given.values() if each)


def _ends(given: Mapping[str, object], registry: Registry) -> bool:
    """Whether one schedule depends on the number of steps; True of one that is not known here, or does not say."""
    use, values = given.get("use"), {key: value for key, value in given.items() if key != "use"}
    if not isinstance(use, str):
        return True
    try:
        entry = registry.get("schedule", use)
        target = entry.load()
        hints = types.hints(target)
        arguments = {key: types.convert(value, hints.get(key, types.ANYTHING)) for key, value in values.items()}
        contract = contract_of(Part("schedule", ("schedules",), use, entry, target, arguments), stand_ins())
    except (PluginError, NameError, TypeError, ValueError, ArithmeticError, KeyError):
        return True
    return not isinstance(contract, ScheduleContract) or contract.ends_with_the_plan


def _nested(leaves: Mapping[str, object], prefix: str) -> dict[str, object]:
    """The leaves below a prefix as nested mappings again."""
    result: dict[str, object] = {}
    for key, value in leaves.items():
        if not key.startswith(prefix):
            continue
        *outer, last = key.removeprefix(prefix).split(".")
        place = result
        for name in outer:
            inner = place.setdefault(name, {})
            assert isinstance(inner, dict)  # a key cannot be a value and a mapping
            place = inner
        place[last] = value
    return result
