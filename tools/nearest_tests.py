"""Which test files are near a module, by who imports it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

#: Rooms whose code is mutated: where it is, and the tests that are about it whatever they import.
ROOMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "training": ("toolkit/gansemble/training", ("tests/training", "tests/measure")),
    "data": ("toolkit/gansemble/data", ("tests/data",)),
    "recipe": ("toolkit/gansemble/recipe", ("tests/recipe",)),
    "demo": ("toolkit/gansemble/demo", ("tests/demo",)),
    "inference": ("toolkit/gansemble/inference", ("tests/synthesis",)),
    "evaluation": ("toolkit/gansemble/evaluation", ("tests/evaluation", "tests/measure", "tests/synthesis")),
    "pages": ("toolkit/gansemble/pages", ("tests/pages",)),
    "scoring": ("toolkit/gansemble/scoring", ("tests/evaluation", "tests/training")),
    "bundle": ("toolkit/gansemble/bundle", ("tests/bundle",)),
    "publishing": ("toolkit/gansemble/publishing", ("tests/bundle",)),
    "parts": ("toolkit/gansemble/parts", ("tests/training", "tests/synthesis")),
    "metrics": ("plugins/gansemble_plugins/metrics", ("tests/plugins",)),
    "set_metrics": ("plugins/gansemble_plugins/set_metrics", ("tests/plugins",)),
}


class TestMap:
    """The test files near each module.

    Args:
        root: of the repository.
    """

    __test__ = False  # it is not a test, though pytest would take it for one by its name

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, str] = {}  # module -> file
        for source in ("toolkit", "plugins"):
            for path in sorted((root / source).rglob("*.py")):
                parts = path.relative_to(root / source).with_suffix("").parts
                self._names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = _relative(path, root)
        self._users: dict[str, set[str]] = defaultdict(set)  # file -> the files that import it
        imports = {path: self._imports(root / path) for path in self._names.values()}
        tests = {_relative(path, root): self._imports(path) for path in sorted((root / "tests").rglob("*.py"))}
        for path in tests:
            # What the fixtures of a folder import is as if each test of it did.
            fixtures = [f"{folder.as_posix()}/conftest.py" for folder in Path(path).parents]
            imports[path] = tests[path].union(*(tests.get(name, set()) for name in fixtures))
        self._users: dict[str, set[str]] = defaultdict(set)  # file -> the files that import it
        for path, used in imports.items():
            for each in used:
                self._users[each].add(path)

    def nearest(self, path: str) -> list[str]:
        """The test files that import a module, or else what imports it, and so on: those of its own room where there are
        any, else all that are as near."""
        seen, layer = {path}, {path}
        while layer:
            layer = {user for each in layer for user in self._users[each]} - seen
            seen |= layer
            found = sorted(each for each in layer if Path(each).name.startswith("test_"))
            if found:
                own = set(self.around(path))
                return [each for each in found if each in own] or found
        return self.around(path)

    def around(self, path: str) -> list[str]:
        """The test files of a module's room."""
        folders = [folder for place, folders in ROOMS.values() if path.startswith(f"{place}/") for folder in folders]
        return [
            _relative(each, self.root) for folder in folders for each in sorted((self.root / folder).rglob("test_*.py"))
        ]

    def _imports(self, path: Path) -> set[str]:
        """The files of ours that a file imports, wherever in it."""
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                below = {f"{node.module}.{alias.name}" for alias in node.names} & self._names.keys()
                found |= below or {node.module}
        return {self._names[name] for name in found if name in self._names}


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
