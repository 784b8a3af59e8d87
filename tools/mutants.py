"""Small mistakes that could be made in a Python file, each as one replaced stretch of its text."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult,
}  # fmt: skip
#: Calls whose arguments are words for people: what they say is not what is computed.
TELLING = frozenset({"warning", "info", "debug", "say", "print"})
#: Calls that give the same whatever the order of their arguments.
SYMMETRIC = frozenset({"min", "max", "minimum", "maximum", "gcd", "lcm", "equal", "array_equal"})


@dataclass(frozen=True)
class Mutant:
    """A stretch of a file, from one byte to another, and the text that takes its place.

    Args:
        path: of the file, relative to the repository.
        line: of the stretch's beginning.
        start, end: of the stretch [bytes].
        before, after: the text that is there, and the text instead.
    """

    path: str
    line: int
    start: int
    end: int
    before: str
    after: str

    def changed(self, whole: bytes) -> bytes:
        """The file's content with the stretch replaced."""
        return whole[: self.start] + self.after.encode() + whole[self.end :]

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.path}:{self.line}: {before} -> {after}"


def mutants_of(path: str, whole: bytes) -> list[Mutant]:
    """All mutants of a file that still parse, in the order of their places."""
    starts, place = [], 0
    for line in whole.splitlines(keepends=True):
        starts.append(place)
        place += len(line)
    found = {}
    for node, after in _changes(ast.parse(whole)):
        start, end = (
            starts[n - 1] + c for n, c in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        )
        before = whole[start:end].decode()
        mutant = Mutant(path, node.lineno, start, end, before, after)
        if before != after and _parses(mutant.changed(whole)):
            found[start, end, after] = mutant
    return [found[key] for key in sorted(found)]


def _parses(whole: bytes) -> bool:
    try:
        ast.parse(whole)
    except SyntaxError:
        return False
    return True


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """(a node, the text instead of it) for everything below a node that is computed: no docstring, annotation, text for
    people or import."""
    for child in _computed(node):
        if isinstance(child, ast.stmt):
            yield from _statement(child)
        elif isinstance(child, ast.expr):
            yield from ((child, f"({ast.unparse(new)})") for new in _expression(child))
        yield from _changes(child)


def _computed(node: ast.AST) -> Iterator[ast.AST]:
    skipped: list[ast.AST | None] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        skipped = [node.returns, *node.decorator_list]
    elif isinstance(node, ast.ClassDef):
        skipped = [*node.decorator_list, *node.bases]
    elif isinstance(node, ast.arg | ast.AnnAssign):
        skipped = [node.annotation]
    elif isinstance(node, ast.Raise):
        return  # what an error says is another thing than when it is raised
    for child in ast.iter_child_nodes(node):
        telling = isinstance(child, ast.Expr) and (isinstance(child.value, ast.Constant) or _tells(child.value))
        imports = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        # Of what lies within an f-string, Python 3.11 does not tell the place.
        if child not in skipped and not telling and not imports and not isinstance(child, ast.JoinedStr):
            yield child


def _tells(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and _name(value) in TELLING


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _statement(node: ast.stmt) -> Iterator[tuple[ast.AST, str]]:
    """Left out, or without what it returns; a condition turned round."""
    if isinstance(node, ast.Expr | ast.AugAssign | ast.Raise | ast.Continue | ast.Break):
        yield node, "pass"
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield node, "return None"
    elif isinstance(node, ast.If | ast.While):
        yield node.test, f"not ({ast.unparse(node.test)})"


def _expression(node: ast.expr) -> Iterator[ast.expr]:
    """The same expression with one thing wrong."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield _with(node, ops=[COMPARISONS[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.BinOp) and not any(_is_text(side) for side in (node.left, node.right)):
        if type(node.op) in ARITHMETIC:
            yield _with(node, op=ARITHMETIC[type(node.op)]())
        elif isinstance(node.op, ast.FloorDiv):  # rounded up instead of down
            yield _minus(ast.BinOp(_minus(node.left), ast.FloorDiv(), node.right))
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from _constant(node)
    elif isinstance(node, ast.IfExp):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        for side in ("lower", "upper"):
            bound = getattr(node.slice, side)
            if bound is not None and not isinstance(bound, ast.Constant):
                yield _with(node, slice=_with(node.slice, **{side: _one_more(bound)}))
    elif isinstance(node, ast.Call):
        yield from _call(node)


def _constant(node: ast.Constant) -> Iterator[ast.expr]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield from (ast.Constant(node.value + step) for step in (1, -1))


def _call(node: ast.Call) -> Iterator[ast.expr]:
    """Two arguments changed round; a range that ends one later."""
    plain = getattr(node.func, "id", "") in ("isinstance", "hasattr", "getattr")  # no test is needed to see that
    if plain or any(isinstance(each, ast.Starred) for each in node.args):
        return
    symmetric = _name(node) in SYMMETRIC and len(node.args) == 2
    if len(node.args) >= 2 and not symmetric and ast.dump(node.args[0]) != ast.dump(node.args[1]):
        yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    if isinstance(node.func, ast.Name) and node.func.id == "range" and node.args:
        last = min(1, len(node.args) - 1)
        if not isinstance(node.args[last], ast.Constant):
            yield _with(node, args=[*node.args[:last], _one_more(node.args[last]), *node.args[last + 1 :]])


def _with(node: ast.expr, **changes: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in changes.items():
        setattr(changed, name, value)
    return changed


def _one_more(node: ast.expr) -> ast.expr:
    return ast.BinOp(node, ast.Add(), ast.Constant(1))


def _minus(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), node)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
