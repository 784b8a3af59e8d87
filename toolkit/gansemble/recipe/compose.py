"""Composes a recipe: included files, deep merge, removal by null, ``--set`` options and ``${key.path}`` references."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from gansemble.errors import near
from gansemble.recipe import packages
from gansemble.recipe.document import Document, KeyPath, Problem, RecipeError, dotted, parse, read

REFERENCE = re.compile(r"\$\{([^{}]*)\}")


def compose(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Reads a recipe file, merges its includes and then each override into it, and follows its references.

    Args:
        path: the YAML file, or the address of one in an installed distribution (see :mod:`gansemble.recipe.packages`).
        overrides: ``key.path=value``, merged in their order.

    Returns:
        The document, whose values are not checked yet.

    Raises:
        RecipeError: if a file or an override cannot be read, includes form a circle, or a reference leads nowhere.
    """
    document = gather(path, overrides)
    resolve_references(document)
    return document


def gather(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Does the same as :func:`compose`, but leaves ``${key.path}`` references as they are written.

    Args:
        path: the YAML file, or the address of one.
        overrides: ``key.path=value``, merged in their order.

    Raises:
        AddressError: if the path is an address that leads nowhere.
        RecipeError: if a file or an override cannot be read, or includes form a circle.
    """
    path = packages.file_of(path)
    shown = Path(os.path.relpath(path)) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
    document = _with_includes(shown, ())
    for override in overrides:
        merge(document, _override(override))
    return document


def merge(base: Document, over: Document, path: KeyPath = ()) -> None:
    """Merges ``over`` into ``base``: mappings key by key at any depth, while everything else is replaced.

    A null removes a mapping. A part whose ``use`` changes is replaced whole, since the keys of the old part mean
    nothing to the new one; so is a weight schedule, whose keys are steps.

    Args:
        base: is changed.
        over: its values win.
        path: of the mappings to merge; ``()`` is the whole documents.
    """
    for key, value in _at(over, path).items():
        child = (*path, key)
        target = _at(base, path)
        old = target.get(key)
        replaced = (
            not (isinstance(old, dict) and isinstance(value, dict)) or _is_schedule(value) or _other_part(old, value)
        )
        if value is None and isinstance(old, dict):
            _forget(base, child)
            del target[key]
        elif replaced:
            _forget(base, child)
            target[key] = value
            _copy_marks(base, over, child)
        else:
            base.keys[child] = over.keys[child]
            merge(base, over, child)


def _at(document: Document, path: KeyPath) -> dict[str | int, object]:
    """The mapping at a path; an empty one if there is none."""
    value: object = document.value
    for key in path:
        value = value[key] if isinstance(value, dict) else {}
    return value if isinstance(value, dict) else {}


def _is_schedule(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(key, int) for key in value)


def _other_part(old: Mapping[str | int, object], new: Mapping[str | int, object]) -> bool:
    return "use" in new and "use" in old and new["use"] != old["use"]


def _forget(document: Document, path: KeyPath) -> None:
    for table in (document.marks, document.keys):
        for known in [known for known in table if known[: len(path)] == path]:
            del table[known]


def _copy_marks(base: Document, over: Document, path: KeyPath) -> None:
    for mine, theirs in ((base.marks, over.marks), (base.keys, over.keys)):
        mine.update({known: mark for known, mark in theirs.items() if known[: len(path)] == path})


def _with_includes(path: Path, chain: tuple[Path, ...]) -> Document:
    resolved = path.resolve()
    own = read(path)
    if own.value and "include" not in own.value:  # nothing to merge it into
        return own
    includes = own.value.pop("include", [])
    mark = own.marks.get(("include",))
    if isinstance(includes, str):
        includes = [includes]
    if not isinstance(includes, list) or not all(isinstance(item, str) for item in includes):
        said = "expected a list of recipe files, relative to this one, or addresses such as acme:ljspeech/v1"
        raise RecipeError([Problem(("include",), said, mark)])
    result = Document()
    for index, item in enumerate(includes):
        where = own.marks.get(("include", index), mark)
        target = Path(os.path.normpath(path.parent / item))
        if not target.exists() and packages.is_address(item):
            try:
                target = packages.find(item).file()
            except packages.AddressError as error:
                raise RecipeError([Problem(("include", index), str(error), where)]) from error
        if target.resolve() in (*chain, resolved):
            raise RecipeError([Problem(("include", index), f"{item} includes itself", where)])
        if not target.is_file():
            raise RecipeError([Problem(("include", index), f"no such file: {target}", where)])
        merge(result, _with_includes(target, (*chain, resolved)))
    result.marks[()] = own.marks.get(()) or result.marks.get(())  # type: ignore[assignment]
    merge(result, own)
    return result


def _override(text: str) -> Document:
    """A document with the single value that ``key.path=value`` sets."""
    name, equals, value = text.partition("=")
    keys = [int(part) if part.isdigit() else part for part in name.strip().split(".")]
    if not equals or not all(str(key) for key in keys):
        raise RecipeError([Problem((), f"--set {text}: expected key.path=value, such as losses.mel.weight=30")])
    indented = "".join(f"{'  ' * depth}{key}:\n" for depth, key in enumerate(keys[:-1]))
    document = parse(f"{indented}{'  ' * (len(keys) - 1)}{keys[-1]}: {value}", f"--set {text}")
    if "\n" in text or "\r" in text:
        raise RecipeError([Problem((), f"--set {text!r}: expected one line")])
    for table in (document.marks, document.keys):
        for path, mark in list(table.items()):
            # The value begins behind the name and "=", the key at the first column; columns count from 1.
            column = max(1, len(name) + 2) if table is document.marks else 1
            table[path] = type(mark)("--set", 1, column, text, len(value) if table is document.marks else len(name))
    return document


def resolve_references(document: Document) -> None:
    """Replaces every ``${key.path}`` in a document by the value at that path.

    Raises:
        RecipeError: if a reference leads nowhere or round in a circle, or is not the whole value.
    """
    problems: list[Problem] = []

    def resolve(path: KeyPath, value: object, chain: tuple[str, ...]) -> object:
        if isinstance(value, dict):
            return {key: resolve((*path, key), child, chain) for key, child in value.items()}
        if isinstance(value, list):
            return [resolve((*path, index), child, chain) for index, child in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        whole = REFERENCE.fullmatch(value)
        if not whole:
            problems.append(Problem(path, f"a reference must be the whole value, got {value!r}", document.mark(path)))
            return None
        return follow(path, whole.group(1), chain)

    def follow(path: KeyPath, name: str, chain: tuple[str, ...]) -> object:
        if name in chain:
            problems.append(
                Problem(path, f"references form a circle: {' -> '.join([*chain, name])}", document.mark(path))
            )
            return None
        target: object = document.value
        for key in name.split("."):
            if not isinstance(target, dict) or key not in target:
                known = [dotted(known) for known in document.marks if known]
                problems.append(
                    Problem(
                        path,
                        f"${{{name}}} leads to no value of this recipe{near(name, known)}",
                        document.mark(path),
                    )
                )
                return None
            target = target[key]
        return resolve(path, target, (*chain, name))

    document.value = {key: resolve((key,), value, ()) for key, value in document.value.items()}
    if problems:
        raise RecipeError(problems)
