"""Composes a recipe: included files, deep merge, removal by null, ``--set`` options and ``${key.path}`` references."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from gansemble.errors import GansembleError, near
from gansemble.recipe import packages
from gansemble.recipe.document import (
    DEEPEST,
    LONGEST_KEY,
    MOST_VALUES,
    Document,
    KeyPath,
    Mark,
    Problem,
    RecipeError,
    dotted,
    parse,
    read,
    readable,
)

#: The most files of a recipe, counted as often as they are included.
MOST_FILES = 50
#: Longest ``--set`` option [characters].
LONGEST_OVERRIDE = 10_000
#: A key of ``--set`` that is a step of a schedule.
STEP = re.compile(r"[0-9]{1,18}")
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
    return override(_Includes().merged(shown, ()), overrides)


def override(document: Document, overrides: Sequence[str]) -> Document:
    """Merges ``key.path=value`` of ``--set`` options into a document, in their order, and returns it.

    Raises:
        RecipeError: if one cannot be read.
    """
    for each in overrides:
        merge(document, _override(each))
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
    for known in _paths(document, path):
        document.marks.pop(known, None)
        document.keys.pop(known, None)


def _copy_marks(base: Document, over: Document, path: KeyPath) -> None:
    for known in _paths(over, path):
        for mine, theirs in ((base.marks, over.marks), (base.keys, over.keys)):
            if known in theirs:
                mine[known] = theirs[known]


def _paths(document: Document, path: KeyPath) -> Iterator[KeyPath]:
    """The path of a value of a document, and those of all values in it."""
    value: object = document.value
    for key in path:
        if not isinstance(value, dict | list) or (isinstance(value, dict) and key not in value):
            return
        value = value[key]  # type: ignore[index,call-overload]
    found: list[tuple[KeyPath, object]] = [(path, value)]
    while found:
        here, value = found.pop()
        yield here
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        found += [((*here, key), item) for key, item in items]


class _Includes:
    """Merges a recipe file with those that it includes, and counts them."""

    def __init__(self) -> None:
        self.files = self.values = 0

    def merged(self, path: Path, chain: tuple[Path, ...]) -> Document:
        """A file's document, merged into those of its includes.

        Args:
            path: the file.
            chain: the files through which it is included, resolved.
        """
        own = read(path)
        self.values += len(own.marks)
        if self.values > 2 * MOST_VALUES:
            text = f"more than {2 * MOST_VALUES:,} values in this file and those that it is merged with; leave some out"
            raise RecipeError([Problem((), text, own.marks.get(()))])
        resolved = path.resolve()
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
            self.files += 1
            if self.files > MOST_FILES:
                text = f"more than {MOST_FILES} files are included, each counted as often as it is; include each once"
                raise RecipeError([Problem(("include", index), text, where)])
            try:
                target = _target(path, item)
                again = target.resolve() in (*chain, resolved)
            except (GansembleError, OSError, ValueError, RuntimeError) as error:
                # ValueError: a NUL in the name; RuntimeError: symbolic links in a circle
                said = str(error) if isinstance(error, GansembleError) else f"{item!r} cannot be looked for ({error})"
                raise RecipeError([Problem(("include", index), said, where)]) from error
            if again:
                raise RecipeError([Problem(("include", index), f"{item} includes itself", where)])
            merge(result, self.merged(target, (*chain, resolved)))
        result.marks[()] = own.marks.get(()) or result.marks.get(())  # type: ignore[assignment]
        merge(result, own)
        return result


def _target(path: Path, item: str) -> Path:
    """The file that a recipe's include means.

    Raises:
        GansembleError: if there is no such file.
        OSError, ValueError, RuntimeError: if it cannot even be looked for.
    """
    target = Path(os.path.normpath(path.parent / item))
    if not target.exists() and packages.is_address(item):
        return packages.find(item).file()
    if not item.strip() or target.is_dir():
        raise GansembleError(f"expected a recipe file, got the folder {target}" if item.strip() else "names no file")
    if not target.is_file():
        what = "no plain file" if target.exists() else "no such file"
        raise GansembleError(f"{what}: {target}")
    return target


def _override(text: str) -> Document:
    """A document with the single value that ``key.path=value`` sets."""
    name, equals, value = text.partition("=")
    keys: list[str | int] = [int(part) if STEP.fullmatch(part) else part for part in name.strip().split(".")]
    if len(text) > LONGEST_OVERRIDE:
        raise _wrong(
            f"{readable(name, 60)}=…", f"longer than {LONGEST_OVERRIDE:,} characters; write it in a recipe file"
        )
    if not equals or not all(_is_key(key) for key in keys) or len(keys) > DEEPEST:
        raise _wrong(text, "expected key.path=value, such as losses.mel.weight=30")
    if "\n" in text or "\r" in text or value.strip()[:1] in ("|", ">"):
        raise _wrong(repr(text), "expected one line")
    given = parse(f"value: {value}", f"--set {text}")
    mark = given.marks[("value",)]
    rest = f"value: {value}"[mark.column - 1 + mark.width :].strip() if value.strip() else ""
    if rest.startswith("#") or value.strip().startswith("#"):  # all that follows would silently be left out
        raise _wrong(text, "in YAML # begins a comment; write the value in quotes of its own, such as name='\"a #1\"'")
    document = Document()
    nested: object = given.value["value"]
    for key in reversed(keys):
        nested = {key: nested}
    document.value = cast("dict[str, object]", nested)
    # The value begins behind the name and "=", the key at the first column; columns count from 1.
    there = Mark("--set", 1, max(1, len(name) + 2), text, len(value))
    for path in _paths(document, ()):
        document.marks[path] = there
        if path:
            document.keys[path] = Mark("--set", 1, 1, text, len(name))
    return document


def _is_key(key: str | int) -> bool:
    return isinstance(key, int) or (key == key.strip() != "" and key.isprintable() and len(key) <= LONGEST_KEY)


def _wrong(text: str, message: str) -> RecipeError:
    return RecipeError([Problem((), f"--set {text}: {message}")])


def resolve_references(document: Document) -> None:
    """Replaces every ``${key.path}`` in a document by the value at that path.

    Raises:
        RecipeError: if a reference leads nowhere or round in a circle, or is not the whole value.
    """
    problems: list[Problem] = []
    known = [dotted(path) for path in itertools.islice(filter(None, document.marks), 1000)]
    values = 0

    def resolve(path: KeyPath, value: object, chain: tuple[str, ...]) -> object:
        nonlocal values
        values += 1
        if values > 2 * MOST_VALUES or len(path) > DEEPEST:
            many = f"has more than {2 * MOST_VALUES:,} values, with those that references (${{…}}) repeat"
            text = (
                many
                if len(path) <= DEEPEST
                else f"nested more than {DEEPEST} deep, with what references (${{…}}) repeat"
            )
            raise RecipeError([*problems, Problem(path[:3], text, document.mark(path))])
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
        if name in chain or len(chain) > DEEPEST:
            circle = " -> ".join([*chain, name][-DEEPEST:])
            text = (
                f"references form a circle: {circle}"
                if name in chain
                else f"references lead on more than {DEEPEST} times"
            )
            problems.append(Problem(path, text, document.mark(path)))
            return None
        target: object = document.value
        for key in name.split("."):
            if not isinstance(target, dict) or key not in target:
                # A suggestion costs time for each name that is known.
                hint = near(name, known) if len(problems) < 10 else ""
                problems.append(
                    Problem(path, f"${{{name}}} leads to no value of this recipe{hint}", document.mark(path))
                )
                return None
            target = target[key]
        return resolve(path, target, (*chain, name))

    document.value = {key: resolve((key,), value, ()) for key, value in document.value.items()}
    if problems:
        raise RecipeError(problems)
