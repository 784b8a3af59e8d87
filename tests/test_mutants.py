"""The mutation runner: what it changes in a file, what it leaves alone, and which tests it runs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from mutants import mutants_of  # noqa: E402
from nearest_tests import ROOMS, TestMap  # noqa: E402


def changes(text: str) -> set[str]:
    """What becomes of a piece of code, mutant by mutant."""
    whole = text.encode()
    return {mutant.changed(whole).decode() for mutant in mutants_of("a.py", whole)}


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("a = b < c", "a = (b <= c)"),
        ("a = b == c", "a = (b != c)"),
        ("a = b not in c", "a = (b in c)"),
        ("a = b + c", "a = (b - c)"),
        ("a = b // c", "a = (-(-b // c))"),
        ("a = b and c", "a = (b or c)"),
        ("a = not b", "a = (b)"),
        ("a = 3", "a = (4)"),
        ("a = 3", "a = (2)"),
        ("a = True", "a = (False)"),
        ("a = b if c else d", "a = (b if not c else d)"),
        ("a = b[c:d]", "a = (b[c + 1:d])"),
        ("a = b[c:d]", "a = (b[c:d + 1])"),
        ("a = range(b)", "a = (range(b + 1))"),
        ("a = f(b, c)", "a = (f(c, b))"),
        ("f(b)", "pass"),
        ("a += b", "pass"),
        ("def f():\n    return b", "def f():\n    return None"),
        ("if a:\n    raise b", "if not (a):\n    raise b"),
        ("if a:\n    raise b", "if a:\n    pass"),
        ("a = 'ä' + f(b, 3)  # ü", "a = 'ä' + f(b, (4))  # ü"),
    ],
)
def test_each_kind_of_mistake_is_made(text, mistake):
    assert mistake in changes(text)


@pytest.mark.parametrize(
    "text",
    [
        "a = max(b, c)",
        "a = torch.equal(b, c)",
        '"""A docstring of 3 words."""',
        "a: Literal[3]",
        "def f(a: Literal[3]) -> Literal[4]: ...",
        "import a",
        "if TYPE_CHECKING:\n    import a",
        'log.warning("%d", 3 + a)',
        'a = f"{b + 1}"',
        "@mark(3)\ndef f(): ...",
        "a = isinstance(b, c)",
        'a = "b" + c',
    ],
)
def test_what_computes_nothing_is_left_alone(text):
    assert changes(text) <= {text.replace("...", "pass")}


def test_every_mutant_of_a_real_file_parses_and_is_another_program():
    path = ROOT / "toolkit" / "gansemble" / "training" / "schedule.py"
    whole = path.read_bytes()
    found = mutants_of("schedule.py", whole)
    assert len(found) > 50 and len({mutant.changed(whole) for mutant in found}) == len(found)
    same = ast.dump(ast.parse(whole))
    assert all(ast.dump(ast.parse(mutant.changed(whole))) != same for mutant in found)


@pytest.fixture(scope="module")
def tests() -> TestMap:
    return TestMap(ROOT)


def test_the_tests_of_a_module_are_those_of_its_room_that_import_it(tests):
    assert tests.nearest("toolkit/gansemble/training/ema.py") == ["tests/training/test_ema.py"]
    assert "tests/training/test_watchdog.py" in tests.nearest("toolkit/gansemble/training/watchdog.py")
    assert "tests/plugins/test_band_metrics.py" in tests.nearest("plugins/gansemble_plugins/metrics/bands.py")


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_of_a_room_has_tests(tests, room):
    place, folders = ROOMS[room]
    modules = sorted((ROOT / place).rglob("*.py"))
    assert modules and all((ROOT / folder).is_dir() for folder in folders)
    assert all(tests.nearest(path.relative_to(ROOT).as_posix()) for path in modules)
