"""Expansion of a matrix file into cells: the recipe of each combination, or the reason why its parts do not fit.

A matrix file is a recipe with a section ``matrix`` of axes::

    include: [conf/mini.yaml]
    matrix:
      generator: [mine, {use: yours, dim: 64}]
      discriminators: {mpd only: [mpd], both: [mpd, mrd]}
      noise_injector: [null, mine]
      seed: [1, 2]

A cell is one combination: one choice of every axis. An axis is a section of the recipe, ``seed``, or a key path such as
``plan.batch_size``. Its choices are a list, or a mapping from names to choices. A part that is the same as the recipe's
own is merged with it; another part replaces it. In a section of several parts, such as ``discriminators``, a list of
names keeps only the parts of these names.

Keys that must change together are choices of the axis ``recipe``. Each choice is a piece of a recipe, which is merged
over the rest in the same way as a recipe over one that it includes::

    matrix:
      recipe:
        ours: {}
        theirs: {generator: {use: yours}, discriminators: {critic: {use: yours}}}

Several such axes are told apart by a word behind a dot, as ``recipe.networks`` and ``recipe.sizes``.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from gansemble.errors import GansembleError, near
from gansemble.plugins.registry import Registry
from gansemble.recipe import check
from gansemble.recipe.compose import gather, merge, resolve_references
from gansemble.recipe.document import Document, KeyPath, Mark, Problem, RecipeError
from gansemble.recipe.names import title_of
from gansemble.recipe.schema import MANY, SINGLE, Recipe
from gansemble.recipe.sections import SECTIONS

#: Short names of axes, and the key paths they stand for.
SHORT = {"seed": "plan.seed"}
#: Largest number of cells of a matrix.
MOST = 2000
#: The axis whose choices are pieces of a recipe.
WHOLE = "recipe"
#: Largest number of characters in the name of a cell, which names its folder: file systems allow 255 bytes.
LONGEST = 150


@dataclass
class Cell:
    """One combination of a matrix.

    Args:
        name: of the cell and its folder, made of the labels of its choices.
        choices: label of the chosen value, by axis.
        document: its recipe as composed, before it is checked.
        recipe: the checked recipe; None where the document could not be read as one.
        problems: why the parts do not fit together; empty for a cell that can be run.
    """

    name: str
    choices: dict[str, str]
    document: Document
    recipe: Recipe | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def possible(self) -> bool:
        """Whether the parts fit together, so that the cell can be run."""
        return self.recipe is not None and not self.problems


@dataclass
class Matrix:
    """An expanded matrix file.

    Args:
        path: the file.
        name: of the comparison.
        axes: labels of the choices of each axis.
        cells: all combinations, including impossible ones; the choice of the last axis changes fastest.
    """

    path: Path
    name: str
    axes: dict[str, list[str]]
    cells: list[Cell]

    def cell(self, name: str) -> Cell:
        """The cell with a name.

        Raises:
            GansembleError: if there is no such cell; the message suggests a similar name.
        """
        for cell in self.cells:
            if cell.name == name:
                return cell
        known = [cell.name for cell in self.cells]
        raise GansembleError(f"{self.path}: no cell {name!r}{near(name, known)}; cells: {', '.join(known)}")


def expand(path: Path, overrides: tuple[str, ...] = (), registry: Registry | None = None) -> Matrix:
    """Reads a matrix file and makes its cells.

    Args:
        path: the file.
        overrides: ``key=value`` changes of the recipe, which apply to every cell unless an axis sets the key.
        registry: the parts that are known; None loads the installed plugins.

    Raises:
        RecipeError: if the file cannot be read, it has no valid axes, it has too many cells, two choices would share a
            folder, or a choice of an axis ``recipe`` sets a key that an axis of another kind sets, too.
    """
    base = gather(path, overrides)
    given = base.value.pop("matrix", None)
    where = base.keys.get(("matrix",))
    if not isinstance(given, dict) or not given:
        message = "expected axes by name, such as matrix: {generator: [mine, yours], seed: [1, 2]}"
        raise RecipeError([Problem(("matrix",), f"{path}: {message}" if where is None else message, where)])
    axes = {axis: _choices(base, axis, choices) for axis, choices in given.items()}
    count = 1
    for choices in axes.values():
        count *= len(choices)
    if count > MOST:
        raise RecipeError(
            [Problem(("matrix",), f"has {count} cells, at most {MOST} are run; leave some choices out", where)]
        )
    for axis, choices in axes.items():
        slugs = [_slug(label) for label in choices]
        twice = [label for label in choices if slugs.count(_slug(label)) > 1]
        if twice:
            text = f"choices {' and '.join(map(repr, twice))} would share one folder; name them apart"
            raise RecipeError([Problem(("matrix", axis), text, base.key_mark(("matrix", axis)))])
    _demand_apart(base, axes)
    cells = [_cell(base, axes, labels, path, registry) for labels in itertools.product(*axes.values())]
    name = str(base.value.get("name") or path.stem)
    return Matrix(path, name, {axis: list(choices) for axis, choices in axes.items()}, cells)


#: The choices of an axis by label, each as (key path in the file, for error messages; value).
Choices = Mapping[str, tuple[KeyPath, object]]


def _choices(base: Document, axis: object, given: object) -> Choices:
    """Reads the choices of one axis.

    Raises:
        RecipeError: if there is no such axis, or the choices are neither a list nor a mapping of names.
    """
    path: KeyPath = ("matrix", axis if isinstance(axis, str | int) else str(axis))
    known = [*SINGLE, *MANY, *SECTIONS, *SHORT, "audio", WHOLE]
    if not isinstance(axis, str) or axis.partition(".")[0] not in known:
        hint = near(str(axis).partition(".")[0], known)
        text = f"no such section{hint or '; an axis is a section, seed, or a key path such as plan.batch_size'}"
        raise RecipeError([Problem(path, text, base.key_mark(path))])
    if _is_whole(axis):
        _demand_pieces(base, path, given, known[:-1])
    if isinstance(given, dict) and given and "use" not in given:
        return {str(label): ((*path, label), value) for label, value in given.items()}
    if not isinstance(given, list) or not given:
        text = f"expected a list of choices, or choices by name, got {given!r}"
        raise RecipeError([Problem(path, text, base.mark(path))])
    found: dict[str, tuple[KeyPath, object]] = {}
    for index, value in enumerate(given):
        label = plain = _label(value)  # equal labels in a list, such as of one part with two settings, get a number
        number = 2
        while label in found:
            label, number = f"{plain} {number}", number + 1
        found[label] = ((*path, index), value)
    return found


def _demand_apart(base: Document, axes: Mapping[str, Choices]) -> None:
    """Raises a RecipeError if two axes set one key, as ``seed`` and ``plan.seed`` do: one would silently have no effect.

    Beside an axis ``recipe``, a key that contains the other's counts as well. Among other axes it does not, as a choice
    of ``generator`` may stand beside an axis ``generator.latent``, which changes it.
    """
    for (first, choices), (second, others) in itertools.combinations(axes.items(), 2):
        whole, set_before = _is_whole(first) or _is_whole(second), _keys(first, choices)
        for key, where in _keys(second, others).items():
            for other, there in set_before.items():
                # The dot keeps plan.step from containing plan.steps.
                within = f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")
                if key == other or (whole and within):
                    place, named, axis = (there, other, second) if _is_whole(first) else (where, key, first)
                    text = f"sets {named}, which the axis {axis} sets too; leave it to one of them"
                    raise RecipeError([Problem(place, text, base.mark(place))])


def _keys(axis: str, choices: Choices) -> dict[str, KeyPath]:
    """The recipe's keys that the choices of an axis set, each with the place of a choice that does."""
    target: tuple[str, ...] = () if _is_whole(axis) else (axis,)
    found: dict[str, KeyPath] = {}
    for where, value in choices.values():
        for leaf in _leaves(value) if isinstance(value, dict) else [()]:
            section, *rest = (*target, *leaf)
            found.setdefault(".".join((SHORT.get(section, section), *rest)), where)
    return found


def _leaves(value: object) -> list[tuple[str, ...]]:
    """Key paths of all values in nested mappings that are no mappings themselves; empty for any other value."""
    found = []
    for path in _paths(value) if isinstance(value, dict) else ():
        inner: object = value
        for key in path:
            inner = inner[key] if isinstance(inner, dict) else None
        if path and not isinstance(inner, dict) and all(isinstance(key, str) for key in path):
            found.append(tuple(map(str, path)))
    return found


def _is_whole(axis: str) -> bool:
    return axis.partition(".")[0] == WHOLE


def _demand_pieces(base: Document, path: KeyPath, given: object, sections: list[str]) -> None:
    """Raises a RecipeError unless the choices of the axis ``recipe`` are pieces of a recipe by name."""
    if not isinstance(given, dict) or not given:
        text = f"expected pieces of a recipe by name, such as {{ours: {{}}, theirs: {{generator: {{use: mine}}}}}}, got {given!r}"
        raise RecipeError([Problem(path, text, base.mark(path))])
    for label, piece in given.items():
        here = (*path, label)
        if not isinstance(piece, dict):
            raise RecipeError([Problem(here, f"expected a piece of a recipe, got {piece!r}", base.mark(here))])
        for section in piece:
            if section not in sections:
                hint = near(str(section), sections)
                raise RecipeError(
                    [Problem((*here, section), f"no such section{hint}", base.key_mark((*here, section)))]
                )


def _label(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return str(value["use"]) if "use" in value else "+".join(map(str, value)) or "none"
    if isinstance(value, list):
        return "+".join(map(str, value)) or "none"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _cell(
    base: Document,
    axes: Mapping[str, Choices],
    labels: tuple[str, ...],
    path: Path,
    registry: Registry | None,
) -> Cell:
    choices = dict(zip(axes, labels, strict=True))
    name = _short("+".join(_slug(label) for label in labels))
    document = copy.deepcopy(base)
    problems: list[Problem] = []
    for axis, label in choices.items():
        where, value = axes[axis][label]
        problems += _apply(document, axis, where, value)
    cell = Cell(name, choices, document, problems=problems)
    if not problems:
        try:
            resolve_references(document)
            document.value["name"] = title_of(" · ".join(labels))  # a label may look like a reference
            cell.recipe, cell.problems = check.inspect(document, path, registry)
        except RecipeError as error:
            cell.problems = error.problems
    return cell


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", label).strip("-.") or "x"


def _short(name: str) -> str:
    """A name of at most ``LONGEST`` characters: of a longer one its beginning, a hyphen and 10 digits of its hash."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 11]}-{sha256(name.encode()).hexdigest()[:10]}"


def _apply(document: Document, axis: str, where: KeyPath, value: object) -> list[Problem]:
    """Merges one choice into the recipe of a cell.

    Args:
        document: the recipe of the cell, which is changed.
        axis: of the choice.
        where: key path of the choice in the matrix file, which messages about its values refer to.
        value: of the choice.

    Returns:
        Why the choice cannot be applied; empty if it was.
    """
    if _is_whole(axis):
        for key, piece in value.items() if isinstance(value, dict) else ():
            _merge_value(document, tuple(str(SHORT.get(key, key)).split(".")), piece, (*where, key))
        return []
    target: KeyPath = tuple(SHORT.get(axis, axis).split("."))
    section = target[0]
    if len(target) == 1 and section in SINGLE and isinstance(value, str):
        value = {"use": value}
    if len(target) == 1 and section in MANY:
        own = _mapping(document.value.get(section))
        if not isinstance(value, list | dict | None):
            text = f"expected a list of names, such as [{value}], or parts by name, got {value!r}"
            return [Problem(where, text, document.mark(where))]
        if isinstance(value, list):
            unknown = [name for name in value if not isinstance(name, str) or name not in own]
            if unknown:
                hint = near(str(unknown[0]), list(own))
                text = f"the recipe's {section} have no {unknown[0]!r}{hint} (it has: {', '.join(own) or 'none'})"
                return [Problem(where, text, document.mark(where))]
            value = {name: {} for name in value}
        named = _mapping(value)
        # Null takes a part out of a recipe: here every part of the section that the choice does not name.
        value = {**named, **{name: None for name in own if name not in named}}
    _merge_value(document, target, value, where)
    return []


def _merge_value(document: Document, target: KeyPath, value: object, where: KeyPath) -> None:
    """Merges a value into a recipe as if an including recipe had it at ``target``.

    The marks of ``where``, its actual place in the matrix file, are kept for error messages.
    """
    over = Document()
    mark = document.mark(where)
    nested = value
    for key in reversed(target):
        nested = {key: nested}
    over.value = _mapping(nested)
    for depth in range(len(target) + 1):
        _put(over, target[:depth], mark)
    for path in _paths(value):
        here = (*where, *path)
        value_mark = document.marks.get(here, mark)
        _put(over, (*target, *path), value_mark, document.keys.get(here) if path else None)
    _leave_in_place(document, target)
    merge(document, over)


def _put(over: Document, path: KeyPath, mark: Mark | None, key: Mark | None = None) -> None:
    if mark is not None:
        over.marks[path], over.keys[path] = mark, key or mark


def _leave_in_place(document: Document, target: KeyPath) -> None:
    """Adds an empty mapping for each section on the way to ``target`` that the recipe does not have yet."""
    value = document.value
    for key in map(str, target[:-1]):
        inner = value.get(key)
        if not isinstance(inner, dict):
            inner = value[key] = {}
        value = inner


def _mapping(value: object) -> dict[str, object]:
    """A value of YAML as a mapping; an empty one if it is something else, such as null."""
    return value if isinstance(value, dict) else {}


def _paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))
