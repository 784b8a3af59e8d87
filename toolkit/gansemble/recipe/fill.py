"""The filled recipe: plain values in which every default is written out.

An experiment keeps it, and a resumed training is compared with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import yaml

from gansemble import inputs
from gansemble.recipe import nested, optimiser_keys, types
from gansemble.recipe.document import _Loader
from gansemble.recipe.schema import CHANCED, MANY, ORDERED, SINGLE, SUPPLIED, WEIGHTED, Recipe
from gansemble.recipe.sections import SECTIONS, Part


def fill(recipe: Recipe) -> dict[str, object]:
    """The whole recipe as plain values with every default, and the sections in a fixed order."""
    result: dict[str, object] = {"name": recipe.name}
    if needed := needed_plugins(recipe):
        result["plugins"] = needed
    result["audio"] = recipe.audio.as_dict()
    for name in SINGLE:
        result[name] = part(recipe.single[name]) if name in recipe.single else None
    for name in MANY:
        result[name] = {key: part(value) for key, value in recipe.many.get(name, {}).items()}
    for name in SECTIONS:
        result[name] = plain(dataclasses.asdict(getattr(recipe, name)))
    return result


def needed_plugins(recipe: Recipe) -> dict[str, str]:
    """How to get each plugin that a recipe needs, by the plugin's name.

    These are the plugins of its parts, other than those that ship with the toolkit, and those in its ``plugins``
    section, whose text is taken as it is.
    """
    sources = recipe.registry.sources if recipe.registry else {}
    found = dict(recipe.plugins)
    for part in recipe.parts():
        for entry in (part.entry, *nested.entries(part)):
            source = sources.get(entry.plugin)
            requirement = source.requirement() if source else None
            if requirement is not None:
                found.setdefault(entry.plugin, requirement)
    return found


def part(value: Part) -> dict[str, object]:
    """One part as plain values, with its defaults.

    Values that the toolkit supplies, such as the audio specification, are left out, as they stand elsewhere in the
    recipe.
    """
    hints = types.ranged_hints(value.target)
    result: dict[str, object] = {"use": value.use if "/" in value.use else value.entry.name}
    if value.kind in WEIGHTED:
        result["weight"] = value.weight.plain()
    if value.kind in CHANCED:
        result["probability"] = value.probability
    if value.prior is not None:  # else left out, so that recipes filled before there was this key stay equal
        result["prior"] = value.prior
    for name, parameter in types.signature(value.target).items():
        if name in value.arguments:
            result[name] = plain(value.arguments[name])
        elif name not in SUPPLIED and parameter.default is not parameter.empty:
            result[name] = plain(types.default(parameter.default, hints.get(name, types.ANYTHING)))
    if value.kind == "optimiser":
        result |= {key: getattr(value.learning_rate, key) for key in optimiser_keys.RATE_KEYS} | _claimed(value)
    return result


def _claimed(value: Part) -> dict[str, object]:
    """What an optimiser takes; nothing where it takes the rest of its side, and all alike."""
    found: dict[str, object] = {"parameters": list(value.parameters)} if value.parameters else {}
    groups = {
        name: {"parameters": list(group.parameters), **{key: plain(each) for key, each in group.settings.items()}}
        for name, group in value.groups.items()
    }
    return found | ({"groups": groups} if groups else {})


def plain(value: object) -> object:
    """The same value with lists for tuples, and dicts for other mappings and for dataclasses, at any depth.

    Files and folders become text, with the digest of their content.
    """
    if isinstance(value, inputs.INPUTS):
        return inputs.identity(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def dump(value: Mapping[str, object]) -> str:
    """A filled recipe as YAML text, which reads back equal."""
    return yaml.dump(
        dict(value), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True
    )


class _Dumper(yaml.SafeDumper):
    """A YAML dumper that writes no aliases, and quotes text that PyYAML or our own loader takes for another type."""

    # Text that either reader takes for something else is quoted.
    yaml_implicit_resolvers = {
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
            *_Loader.yaml_implicit_resolvers.get(first, []),
        ]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: object) -> bool:
        return True


def flatten(value: object, prefix: str = "") -> dict[str, object]:
    """Nested mappings as one mapping with dotted keys, such as ``{"plan.steps": 10}``; its values are called leaves.

    Lists and empty mappings are leaves, too. A section whose parts are applied one after the other has, where it names
    several, a leaf of its own: the list of their names, so that another order is another recipe.
    """
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    result: dict[str, object] = {}
    for key, item in value.items():
        result |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
        if not prefix and key in ORDERED and isinstance(item, Mapping):
            names = [str(name) for name, part in item.items() if part is not None]
            result |= {str(key): names} if len(names) > 1 else {}
    return result


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[tuple[str, object, object]]:
    """(key, old value, new value) for every leaf that differs between two filled recipes.

    A leaf that is missing has the value ``"(absent)"``.
    """
    before, after = flatten(old), flatten(new)
    keys = [*after, *(key for key in before if key not in after)]
    pairs = [(key, before.get(key, "(absent)"), after.get(key, "(absent)")) for key in keys]
    none: tuple[object, ...] = (
        "(absent)",
        {},
    )  # a recipe filled before the toolkit had a section lacks it, which means the same as an empty one
    return [(key, a, b) for key, a, b in pairs if a != b and not (a in none and b in none)]
