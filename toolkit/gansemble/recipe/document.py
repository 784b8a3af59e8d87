"""Reads YAML so that every value keeps its file, line and column, and has the type that it seems to have.

``1e-4`` is a float. Only ``true`` and ``false`` are bools. There are no octal or sexagesimal numbers and no dates, and
a key that is repeated is an error. So are tags and merge keys (``<<``). A file's size, its depth and the number of its
values are bounded, with those that aliases repeat, so that no file can occupy a machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from gansemble.errors import GansembleError
from gansemble.recipe.text import TextFault, first_unreadable, read_text

#: The most values in a recipe, at any depth, and with what aliases and references repeat; shipped ones have below 500.
MOST_VALUES = 10_000
#: The deepest that lists and mappings are nested.
DEEPEST = 50
#: After so many problems no further ones are looked for.
MOST_PROBLEMS = 100
#: Longest text of a problem, and of a line of a file that is shown with it [characters].
LONGEST_MESSAGE, LONGEST_LINE = 1500, 160
#: Longest key [characters].
LONGEST_KEY = 1000

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
        # Of a very long line, the part around the value.
        start = max(0, self.column - 1 - LONGEST_LINE // 2) if len(self.text) > LONGEST_LINE else 0
        cut, before = self.text[start : start + LONGEST_LINE], self.column - 1 - start
        shown = "".join(each if each == "\t" or each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in cut)
        pad = "".join("\t" if letter == "\t" else " " for letter in shown[:before].ljust(before))
        return f"{number} | {shown}\n{'':5} | {pad}{'^' * max(1, min(self.width, len(shown) - before))}"


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
        name = f"{readable(dotted(self.path), 200)}: ".replace("\n", "\\n") if self.path else ""
        lines = [f"{readable(where, 400)}{name}{readable(self.message)}"]
        if self.note:
            lines.append(f"      ({readable(self.note)})")
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
        if len(problems) > MOST_PROBLEMS:
            count = f"{count}, of which the first {MOST_PROBLEMS} are shown,"
        elif len(problems) == MOST_PROBLEMS:
            count = f"{count}, and no more were looked for,"
        shown = map(str, self.problems[:MOST_PROBLEMS])
        super().__init__("\n\n".join([*shown, f"{count} in the recipe; nothing was built or changed."]))


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


def readable(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Text for a terminal: what is no letter, digit or sign, such as an escape character, as a code, and not too long."""
    if len(text) > longest:
        half = longest // 2
        text = f"{text[:half]} […] {text[-half:]}"
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


class _Loader(yaml.SafeLoader):
    """A YAML loader that has rules of its own for the types of plain values; those of PyYAML stay as they are."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Composes as PyYAML does, and counts: its recursion would end in an error of Python's at some depth."""
        self._depth, self._nodes = self._depth + 1, self._nodes + 1
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self._depth > DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"lists and mappings more than {DEEPEST} deep, which no recipe needs", problem_mark=mark
            )
        if self._nodes > 2 * MOST_VALUES:  # keys count here, too
            raise yaml.MarkedYAMLError(problem=_too_many(), problem_mark=mark)
        try:
            return super().compose_node(parent, index)  # type: ignore[no-untyped-call,no-any-return]
        finally:
            self._depth -= 1


def _too_many() -> str:
    return f"more than {MOST_VALUES:,} values, with those that aliases (*name) repeat, which no recipe needs; leave some out"


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
        return parse(read_text(path), str(path))
    except TextFault as fault:
        if fault.line is None:
            raise RecipeError([Problem((), f"{path}: {fault.message}")]) from fault
        mark = Mark(str(path), fault.line, fault.column, fault.text, 1)
        raise RecipeError([Problem((), fault.message, mark)]) from fault


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
        raise RecipeError([_unreadable(text, file, error)]) from error
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise RecipeError([_not_yaml(error, lines, file)]) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter of PyYAML's scanner, for odd escapes
        raise RecipeError([Problem((), f"{file}: not YAML: {error}")]) from error
    finally:
        loader.dispose()
    document = Document()
    if node is None:
        document.marks[()] = Mark(file, 1, 1, lines[0], 1)  # what is missing in an empty file is missing here
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


def _unreadable(text: str, file: str, error: yaml.YAMLError) -> Problem:
    """A character that YAML cannot hold, with its place."""
    found = first_unreadable(text)
    if found is None:
        return Problem((), f"{file}: not YAML: {str(error).splitlines()[0]}")
    line, column, shown = found
    letter = shown[column - 1]
    name = "a NUL" if letter == "\0" else f"the control character U+{ord(letter):04X}"
    message = f'not YAML: {name}, which text cannot hold; take it out, or write it as "\\x{ord(letter):02x}" in quotes'
    return Problem((), message, Mark(file, line, column, shown, 1))


def _not_yaml(error: yaml.MarkedYAMLError, lines: list[str], file: str) -> Problem:
    mark, said = error.problem_mark or error.context_mark, str(error.problem or error)
    where = Mark(file, mark.line + 1, mark.column + 1, lines[min(mark.line, len(lines) - 1)], 1) if mark else None
    if "single document" in str(error.context):
        said = f"{error.context}, {said}; a recipe is one document, without lines of ---"
    if "\\t" in said:
        said += "; a tab cannot indent YAML: use spaces"
    if said.startswith("could not determine a constructor"):
        said += "; tags are not read"
    return Problem((), f"not YAML: {said}", where)


class _Walker:
    """Builds plain values from YAML nodes, and records where each one stands."""

    def __init__(self, document: Document, lines: list[str], file: str, loader: _Loader) -> None:
        self.document = document
        self.lines = lines
        self.file = file
        self.loader = loader
        self.problems: list[Problem] = []
        self.open: list[yaml.Node] = []
        self.values = 0

    def build(self, node: yaml.Node, path: KeyPath) -> object:
        self.document.marks[path] = self.mark(node)
        self.values += 1
        if self.values > MOST_VALUES or len(path) > DEEPEST:
            too_deep = f"lists and mappings more than {DEEPEST} deep, with what aliases (*name) repeat"
            # At once: the rest of what aliases repeat may have no end in any time.
            raise RecipeError([Problem(path[:3], too_deep if len(path) > DEEPEST else _too_many(), self.mark(node))])
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
                got = repr(key) if isinstance(key_node, yaml.ScalarNode) else f"a {key_node.id}"
                self.problems.append(Problem(path, f"keys must be names or whole numbers, got {got}", mark))
                continue
            if key == "<<" and isinstance(key_node, yaml.ScalarNode) and key_node.style is None:
                message = "merge keys (<<) are not read; write the values out, or include a file that has them"
                self.problems.append(Problem(path, message, mark))
                continue
            if isinstance(key, str) and len(key) > LONGEST_KEY:
                message = f"keys have at most {LONGEST_KEY} characters, this one has {len(key):,}"
                self.problems.append(Problem(path, message, mark))
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
                number = int(text) if len(text) < 100 else None  # Python itself refuses very long ones
                if number is None or not -(2**63) <= number < 2**63:
                    raise OverflowError
                return number
            if kind == "float":
                plain = text.replace("_", "").lower()
                found = float(plain.replace(".inf", "inf").replace(".nan", "nan"))
                if found in (float("inf"), float("-inf")) and "inf" not in plain:  # such as 1e400
                    raise OverflowError
                return found
        except OverflowError:
            self.problems.append(Problem(path, f"too large for a number of a recipe: {text[:60]}", self.mark(node)))
            return None
        except ValueError:
            self.problems.append(Problem(path, f"not a number: {text[:60]!r}", self.mark(node)))
            return None
        return {"bool": text == "true", "null": None}.get(kind, text)

    def mark(self, node: yaml.Node) -> Mark:
        start, end = node.start_mark, node.end_mark
        text = self.lines[start.line] if start.line < len(self.lines) else ""
        width = end.column - start.column if end.line == start.line else len(text) - start.column
        return Mark(self.file, start.line + 1, start.column + 1, text, max(1, width))
