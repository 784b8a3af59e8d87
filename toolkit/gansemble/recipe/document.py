"""Reads YAML so that every value keeps its file, line and column, and has the type that it seems to have.

``1e-4`` is a float. Only ``true`` and ``false`` are bools. There are no octal or sexagesimal numbers and no dates, and
a key that is repeated is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from gansemble.errors import GansembleError

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Mark:
    """Where a key or a value stands.

    Args:
        file: name of the file, or ``--set``.
        line: counted from 1.
        column: counted from 1.
        text: the whole line.
        width: number of characters to underline.
    """

    file: str
    line: int
    column: int
    text: str
    width: int

    @property
    def place(self) -> str:
        """``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"

    def caret(self) -> str:
        """The line, and below it a line of carets under the value."""
        number = f"{self.line:5d}"
        pad = "".join("\t" if letter == "\t" else " " for letter in self.text[: self.column - 1])
        return f"{number} | {self.text}\n{'':5} | {pad}{'^' * max(1, self.width)}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a recipe.

    Args:
        path: of the value at fault.
        message: what is wrong with it.
        mark: where it stands.
        note: a line about what was expected.
        other: the value that it does not agree with, as a sentence.
        other_mark: where that value stands; None if it is a default.
        fix: ``--set`` options that make it right.
    """

    path: KeyPath
    message: str
    mark: Mark | None = None
    note: str = ""
    other: str = ""
    other_mark: Mark | None = None
    fix: str = ""

    def __str__(self) -> str:
        where = f"{self.mark.place}: " if self.mark else ""
        name = f"{dotted(self.path)}: " if self.path else ""
        lines = [f"{where}{name}{self.message}"]
        if self.note:
            lines.append(f"      ({self.note})")
        if self.mark:
            lines.append(self.mark.caret())
        if self.other:
            lines.append(f"  {self.other_mark.place}: {self.other}" if self.other_mark else f"  {self.other}")
            if self.other_mark:
                lines.append(self.other_mark.caret())
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class RecipeError(GansembleError):
    """All problems of a recipe, sorted by file and line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(
            problems, key=lambda p: (p.mark.file, p.mark.line, p.mark.column) if p.mark else ("", 0, 0)
        )
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        super().__init__(
            "\n\n".join([*map(str, self.problems), f"{count} in the recipe; nothing was built or changed."])
        )


@dataclass
class Document:
    """The values of a YAML file, and where each of them stands.

    Args:
        value: the values, as nested mappings and lists.
        marks: where each value stands, by its path.
        keys: where each key stands, by the path of its value.
    """

    value: dict[str, object] = field(default_factory=dict)
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    keys: dict[KeyPath, Mark] = field(default_factory=dict)

    def mark(self, path: KeyPath) -> Mark | None:
        """Where a value stands, or else the nearest mapping or list around it."""
        while path:
            if path in self.marks:
                return self.marks[path]
            path = path[:-1]
        return self.marks.get(())

    def key_mark(self, path: KeyPath) -> Mark | None:
        """Where the key of a value stands, or else the value."""
        return self.keys.get(path) or self.mark(path)


def dotted(path: KeyPath) -> str:
    """A path as text, such as ``losses.mel.weight`` or ``discriminators.mpd.periods[2]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


class _Loader(yaml.SafeLoader):
    """A YAML loader that has rules of its own for the types of plain values; those of PyYAML stay as they are."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


_KINDS = frozenset({"map", "seq", "str", "int", "float", "bool", "null"})
# In YAML 1.1, which PyYAML reads, "yes" is a bool, "1:30" is 90, "010" is 8 and "1e-4" is text. Not so by these rules.
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"[-+]?([0-9][0-9_]*\.?[0-9]*([eE][-+]?[0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?|\.(inf|Inf|INF))$|\.(nan|NaN|NAN)$"
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read(path: Path) -> Document:
    """Reads one YAML file, without its includes.

    Raises:
        RecipeError: if the file is missing, is not YAML, repeats a key, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecipeError([Problem((), f"{path}: no such recipe file")]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([Problem((), f"{path}: cannot be read as text ({error})")]) from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Document:
    """Reads YAML text.

    Args:
        text: the YAML.
        file: name of the text in messages.

    Raises:
        RecipeError: if the text is not YAML, repeats a key, or is not a mapping.
    """
    lines = text.splitlines() or [""]
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # a character that YAML cannot hold
        raise RecipeError([Problem((), f"{file}: not YAML: {str(error).splitlines()[0]}")]) from error
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Mark(file, mark.line + 1, mark.column + 1, lines[min(mark.line, len(lines) - 1)], 1) if mark else None
        context = f"{error.context}, " if "single document" in str(error.context) else ""
        hint = "; a tab cannot indent YAML: use spaces" if "\\t" in str(error.problem) else ""
        raise RecipeError([Problem((), f"not YAML: {context}{error.problem or error}{hint}", where)]) from error
    except yaml.YAMLError as error:
        raise RecipeError([Problem((), f"{file}: not YAML: {error}")]) from error
    finally:
        loader.dispose()
    document = Document()
    if node is None:
        return document
    walker = _Walker(document, lines, file, loader)
    value = walker.build(node, ())
    if isinstance(value, dict):
        document.value = value
    else:
        walker.problems.append(
            Problem((), f"a recipe must be a mapping of sections, got {type(value).__name__}", document.marks[()])
        )
    if walker.problems:
        raise RecipeError(walker.problems)
    return document


class _Walker:
    """Builds plain values from YAML nodes, and records where each one stands."""

    def __init__(self, document: Document, lines: list[str], file: str, loader: _Loader) -> None:
        self.document = document
        self.lines = lines
        self.file = file
        self.loader = loader
        self.problems: list[Problem] = []
        self.open: list[yaml.Node] = []

    def build(self, node: yaml.Node, path: KeyPath) -> object:
        self.document.marks[path] = self.mark(node)
        if node in self.open:
            self.problems.append(Problem(path, "an alias inside its own anchor has no end", self.mark(node)))
            return None
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind not in _KINDS or (kind == "bool" and node.value not in ("true", "false")):
            self.problems.append(Problem(path, f"YAML tags such as {node.tag} are not read", self.mark(node)))
            return None
        if not isinstance(node, yaml.ScalarNode):
            self.open.append(node)
            try:
                if isinstance(node, yaml.MappingNode):
                    return self.mapping(node, path)
                return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
            finally:
                self.open.pop()
        assert isinstance(node, yaml.ScalarNode)
        return self.scalar(node, path)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str | int, object]:
        result: dict[str | int, object] = {}
        for key_node, value_node in node.value:
            key = self.scalar(key_node, path) if isinstance(key_node, yaml.ScalarNode) else None
            mark = self.mark(key_node)
            if not isinstance(key, str | int) or isinstance(key, bool):
                self.problems.append(Problem(path, f"keys must be names or whole numbers, got {key!r}", mark))
                continue
            child = (*path, key)
            if key in result:
                first = self.document.keys[child].line
                self.problems.append(Problem(child, f"key already given on line {first}", mark))
                continue
            self.document.keys[child] = mark
            result[key] = self.build(value_node, child)
        return result

    def scalar(self, node: yaml.ScalarNode, path: KeyPath) -> str | int | float | bool | None:
        kind, text = node.tag.rpartition(":")[2], node.value
        try:
            if kind == "int":
                return int(text)
            if kind == "float":
                plain = text.replace("_", "").lower()
                return float(plain.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self.problems.append(Problem(path, f"not a number: {text!r}", self.mark(node)))
            return None
        return {"bool": text == "true", "null": None}.get(kind, text)

    def mark(self, node: yaml.Node) -> Mark:
        start, end = node.start_mark, node.end_mark
        text = self.lines[start.line] if start.line < len(self.lines) else ""
        width = end.column - start.column if end.line == start.line else len(text) - start.column
        return Mark(self.file, start.line + 1, start.column + 1, text, max(1, width))
