"""Builds the parts that are parameters of other parts; see :mod:`gansemble.plugins.nested`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gansemble.contract import Contract
from gansemble.errors import GansembleError
from gansemble.plugins import declarations, loading
from gansemble.plugins.nested import kind_of
from gansemble.plugins.registry import Entry
from gansemble.recipe import types
from gansemble.recipe.contract import contract_of
from gansemble.recipe.document import Document, Problem
from gansemble.recipe.sections import Part


def build(kind: str, given: Mapping[str, object]) -> Any:
    """The part that a mapping describes.

    Args:
        kind: of the part.
        given: ``use`` and the arguments of its constructor, as in a recipe.

    Raises:
        GansembleError: if there is no such part, it does not take these arguments, a file that it reads is not there or not
            what is demanded, or it declares what the toolkit does not understand.
    """
    part = _part(kind, given)
    missing = types.absent((kind,), types.with_defaults(part.target, part.arguments), Document())
    if missing:
        raise GansembleError("\n".join(map(str, missing)))
    try:
        made = part.target(**part.arguments)
    except ValueError as error:
        raise GansembleError(f"{kind} {part.use}: {error}") from error
    wrong = declarations.fault(kind, made)
    if wrong is not None:
        raise GansembleError(f"{kind} {part.entry.plugin}/{part.entry.name} ({part.entry.target}): {wrong}")
    return made


def contract(kind: str, given: Mapping[str, object]) -> Contract:
    """The contract of the part that a mapping describes.

    Raises:
        GansembleError: if there is no such part, or it does not take these arguments.
    """
    return contract_of(_part(kind, given), {})


def entries(part: Part) -> Iterator[Entry]:
    """Yields the registered parts that the parameters of a part name, given or by default."""
    registry = loading.registry()
    arguments = types.with_defaults(part.target, part.arguments)
    for name, hint in types.ranged_hints(part.target).items():
        kind, given = kind_of(hint), arguments.get(name)
        if kind is not None and isinstance(given, Mapping):
            yield registry.get(kind, str(given["use"]))


def _part(kind: str, given: Mapping[str, object]) -> Part:
    problems: list[Problem] = []
    checked = types.check_part(given, kind, (kind,), Document(), problems)
    if problems:
        raise GansembleError("\n".join(map(str, problems)))
    entry = loading.registry().get(kind, str(checked["use"]))
    arguments = {name: value for name, value in checked.items() if name != "use"}
    return Part(kind, (kind,), str(checked["use"]), entry, entry.load(), arguments)
