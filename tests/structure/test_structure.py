"""The core's rooms: arrows point down, nothing goes in circles, modules and functions are short, no method has a name here."""

from __future__ import annotations

import ast
import importlib.util
import re
import statistics
import sys
from pathlib import Path

import pytest

from gansemble.plugins.loading import registry

ROOT = Path(__file__).parents[2]


def _load():
    spec = importlib.util.spec_from_file_location("structure", ROOT / "tools" / "structure.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["structure"] = module
    spec.loader.exec_module(module)
    return module


structure = _load()
FILES = structure.modules()
#: Names of parts that are ordinary words of this program, or of packages that it depends on, too.
ORDINARY = {"identity", "waveform", "phase", "pairs", "folder", "pesq", "pitch", "step"}


@pytest.fixture(scope="module")
def arrows():
    """Of the core; a fixture, for every process that only collects the tests would compute them, too."""
    return structure.arrows(FILES)


def test_no_import_points_up(arrows):
    assert [f"{one} imports {other}" for one, other in structure.upwards(arrows, FILES)] == []


def test_neither_files_nor_rooms_go_in_circles(arrows):
    assert structure.circles(arrows) == []
    assert structure.circles(structure.between_rooms(arrows, FILES)) == []


@pytest.mark.parametrize(
    "how", ["{}", "def late():\n    {}", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}"]
)
def test_an_import_that_is_turned_round_is_found_and_named(tmp_path, how):
    """At the top, within a function and for annotations only."""
    core = tmp_path / "gansemble"
    for name, text in {
        "__init__.py": "",
        "recipe/__init__.py": "",
        "recipe/check.py": how.format("from gansemble.training.trainer import Trainer"),
        "training/__init__.py": "",
        "training/trainer.py": "from gansemble.recipe import check",
    }.items():
        (core / name).parent.mkdir(parents=True, exist_ok=True)
        (core / name).write_text(text)
    files = structure.modules(core)
    found = structure.arrows(files)
    assert structure.upwards(found, files) == [("recipe.check", "training.trainer")]
    assert structure.circles(found) == [["recipe.check", "training.trainer"]]


def test_any_is_said_where_a_value_is_of_unknown_shape_and_hardly_elsewhere():
    counts = structure.explicit_any(FILES)
    assert sum(counts.values()) <= 60, counts


def test_the_packages_face_is_counted_too(tmp_path):
    """What ``gansemble/__init__`` imports, and who imports from it."""
    core = tmp_path / "gansemble"
    for name, text in {
        "__init__.py": "from gansemble.recipe import check\n__version__ = '1'",
        "recipe/__init__.py": "",
        "recipe/check.py": "from gansemble import __version__",
    }.items():
        (core / name).parent.mkdir(parents=True, exist_ok=True)
        (core / name).write_text(text)
    assert structure.circles(structure.arrows(structure.modules(core))) == [["", "recipe.check"]]


def test_at_most_eight_modules_stand_at_the_root():
    roots = [module for module in FILES if module == "" or structure.room(module, FILES) == "root"]
    assert len(roots) <= 8, sorted(roots)


def test_modules_are_short():
    sizes = structure.lengths(FILES)
    assert statistics.median(sizes.values()) <= 130
    assert {module: size for module, size in sizes.items() if size > 400} == {}


def test_functions_are_short():
    assert {name: size for name, size in structure.function_lengths(FILES).items() if size > 60} == {}


def test_the_stage_runner_only_finds_python_and_hands_over():
    assert len((ROOT / "egs" / "_shared" / "recipe.sh").read_text().splitlines()) <= 60


def test_no_part_has_its_name_in_the_core():
    """What exists is asked of the registry; neither code nor documentation in the core names a part or a
    paper's plugin."""
    names = {entry.name for entry in registry().entries()} - ORDINARY
    methods = {path.parent.name for path in ROOT.glob("plugins/gansemble_plugins/*/fidelity.yaml")}
    found = []
    for module, path in FILES.items():
        if module.startswith("scaffold"):  # whose text is a plugin's
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said = (
                    {node.value}
                    | set(re.findall(r"use: (\w+)", node.value))
                    | set(re.findall(r"``(\w+)``", node.value))
                )
                said = (said & names) | (set(re.findall(r"\w+", node.value)) & methods)
                found += [f"{module}:{node.lineno}: {name}" for name in sorted(said)]
    assert found == []


def test_the_core_imports_no_plugin():
    named = [
        path for path in FILES.values() if re.search(r"^\s*(from|import) gansemble_plugins", path.read_text(), re.M)
    ]
    assert named == []


def test_test_files_have_names_of_their_own():
    """But for packages: two files of one name could not be imported in one run."""
    files = (ROOT / "tests").rglob("test_*.py")
    names = [path.name for path in files if not (path.parent / "__init__.py").is_file()]
    assert sorted(names) == sorted(set(names)), sorted({name for name in names if names.count(name) > 1})
