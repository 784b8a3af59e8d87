"""The hash of what a score is: two scores may stand in one column only where theirs is the same."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping

from gansemble import inputs
from gansemble.recipe import types
from gansemble.recipe.sections import Part

#: Hexadecimal digits of a hash: twelve make two definitions of one hash less likely than a disk's error.
DIGITS = 12


def packages_of(metric: object) -> dict[str, str]:
    """The distributions whose version decides a metric's values, each with the version that is installed.

    A metric names them by an attribute ``packages``, such as ``packages = ("pesq",)``.
    """
    found = {}
    for name in getattr(metric, "packages", ()):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def definition_hash(part: Part, metric: object, **conditions: object) -> str:
    """A hash of all that decides what a score means, in hexadecimal digits.

    That is the part, what it says of its definition, its parameters, the content of the files that it reads, the versions
    of the packages that compute it, and the conditions. Parameters that change no value, which the metric names by an
    attribute ``without_effect``, do not count, nor where files lie.

    Args:
        part: the metric in the recipe.
        metric: the object that was built of it. One whose definition names the number of clips has another hash for each.
        conditions: whatever else decides the values, such as the sample rate [Hz]; anything that JSON can hold.
    """
    arguments = types.with_defaults(part.target, part.arguments)
    for name in getattr(metric, "without_effect", ()):
        arguments.pop(name, None)
    facts = {
        "part": f"{part.entry.plugin}/{part.entry.name}",
        "definition": getattr(metric, "definition", ""),
        "parameters": {name: _plain(value) for name, value in arguments.items()},
        "packages": packages_of(metric),
        "conditions": conditions,
    }
    text = json.dumps(facts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _plain(value: object) -> object:
    """A value as JSON holds it; a file counts by its content alone, wherever it lies."""
    if isinstance(value, inputs.INPUTS):
        return inputs.identity(value).rpartition(inputs.MARK)[2]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)
