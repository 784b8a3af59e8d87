"""The structure of the core, computed from its source: imports between modules and rooms, sizes, explicit ``Any``.

    python tools/structure.py          prints the figures and every arrow that points up

Imports within functions and under ``TYPE_CHECKING`` are counted like any other: what a file cannot be read without is what
it depends on. Of ``__main__.py`` alone nothing is counted: it starts the program, and nothing can import it.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

CORE = Path(__file__).resolve().parent.parent / "toolkit" / "gansemble"
#: From the top of the house down; a module imports from its own room and from rooms below it.
ROOMS = (
    "cli",
    "scaffold",
    "testing",
    "matrix",
    "cluster",
    "suite",
    "publishing",
    "demo",
    "evaluation",
    "listening",
    "pages",
    "live",
    "exporting",
    "inference",
    "training",
    "scoring",
    "parts",
    "data",
    "bundle",
    "stages",
    "recipe",
    "plugins",
    "audio",
    "abilities",
    "interfaces",
    "root",
)
STARTER = "__main__"
Arrow = tuple[str, str]


def modules(core: Path = CORE) -> dict[str, Path]:
    """Files by module name within the package; a package's own file has the package's name."""
    found = {}
    for path in sorted(core.rglob("*.py")):
        parts = path.relative_to(core).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str, files: Mapping[str, Path]) -> str:
    """The room of a module; ``root`` for the files beside the rooms."""
    first, _, rest = module.partition(".")
    return first if rest or (module and files[module].name == "__init__.py") else "root"


def arrows(files: Mapping[str, Path], package: str = "gansemble") -> set[Arrow]:
    """(importing module, imported module) of every import within the package."""
    return {
        (module, target)
        for module, path in files.items()
        if module != STARTER
        for target in _imported(ast.parse(path.read_text(encoding="utf-8")), files, package)
        if target != module
    }


def _imported(tree: ast.Module, files: Mapping[str, Path], package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            head, _, inner = name.partition(".")
            if head == package:
                yield from _module_of(inner, files)


def _module_of(name: str, files: Mapping[str, Path]) -> Iterator[str]:
    """The module that a dotted name is, or is defined in."""
    for candidate in (name, name.rpartition(".")[0]):
        if candidate in files:
            yield candidate
            return


def upwards(found: Iterable[Arrow], files: Mapping[str, Path]) -> list[Arrow]:
    """Arrows from a room to one above it, and from or to rooms that have no floor."""
    floors = {name: number for number, name in enumerate(ROOMS)}
    return sorted(
        (one, other)
        for one, other in found
        if floors.get(room(one, files), -1) > floors.get(room(other, files), len(floors))
        or room(one, files) not in floors
    )


def circles(found: Iterable[Arrow]) -> list[list[str]]:
    """Sets of modules each of which leads to every other (strongly connected components), by Tarjan's algorithm."""
    after: dict[str, list[str]] = {}
    for one, other in sorted(found):
        after.setdefault(one, []).append(other)
        after.setdefault(other, [])
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    knots: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in after[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            knot = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(knot) > 1:
                knots.append(sorted(knot))

    for node in after:
        if node not in index:
            visit(node)
    return knots


def between_rooms(found: Iterable[Arrow], files: Mapping[str, Path]) -> set[Arrow]:
    """The arrows of modules as arrows of their rooms."""
    pairs = {(room(one, files), room(other, files)) for one, other in found}
    return {(one, other) for one, other in pairs if one != other}


def explicit_any(files: Mapping[str, Path]) -> dict[str, int]:
    """How often each module says ``Any``, imports left out; modules that never do are left out."""
    counts = {}
    for module, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        count = sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))
        if count:
            counts[module] = count
    return counts


def lengths(files: Mapping[str, Path]) -> dict[str, int]:
    """Lines of each module that holds any code."""
    counts = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in files.items()}
    return {module: count for module, count in counts.items() if count > 1}


def function_lengths(files: Mapping[str, Path]) -> dict[str, int]:
    """Lines of each function from its ``def``, decorators left out."""
    found = {}
    for module, path in files.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{module}:{node.name}:{node.lineno}"] = (node.end_lineno or node.lineno) - node.lineno + 1
    return found


def main() -> int:
    """Prints the figures; 1 where an arrow points up or a circle is closed."""
    files = modules()
    found = arrows(files)
    up, knots = upwards(found, files), circles(found)
    sizes, functions = lengths(files), function_lengths(files)
    roots = sorted(module or "__init__" for module in files if module == "" or room(module, files) == "root")
    print(f"modules {len(sizes)}, arrows {len(found)}, rooms {len(ROOMS) - 1}, at the root {len(roots)}")
    print(f"lines: median {statistics.median(sizes.values()):g}, most {max(sizes.values())}")
    print(f"longest function: {max(functions, key=lambda name: functions[name])} ({max(functions.values())} lines)")
    print(f"explicit Any: {sum(explicit_any(files).values())}")
    for one, other in up:
        print(f"up: {one} imports {other}")
    for knot in knots:
        print(f"circle: {', '.join(knot)}")
    return 1 if up or knots else 0


if __name__ == "__main__":
    sys.exit(main())
