"""Finding plugins: a broken one never takes the others down, and switches and single files do what they say."""

import importlib.metadata
import os
import subprocess
import sys
import types
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from gansemble import hookimpl
from gansemble.errors import PluginError
from gansemble.plugins import loading
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import KINDS

BUILT_IN = {"basics", "corpora", "hifigan", "metrics", "specdiff", "vocos"}
FILE = """\
from gansemble import hookimpl

class Zero:
    turns = frozenset({"generator"})

    def __init__(self, *, size: int = 1) -> None:
        self.size = size
    def __call__(self, step, turn):
        return self.size

@hookimpl
def gansemble_register(register):
    register("loss", "zero", __name__ + ":Zero", "nothing")
"""


class Point:
    """An entry point without a distribution's files."""

    def __init__(self, name, value="x:Y", load=None, dist="d", requires=None):
        self.name, self.value, self.load = name, value, load
        self.dist = types.SimpleNamespace(name=dist, version="1.0", requires=requires)


def plugin(*parts, **hooks):
    """A plugin with losses of these names."""

    @hookimpl
    def gansemble_register(register):
        for part in parts:
            register("loss", part, "math:sqrt", "a loss")

    made = types.ModuleType("a_plugin")
    vars(made).update(hooks, gansemble_register=gansemble_register)
    return made


@pytest.fixture
def points(monkeypatch):
    """``points["group"] = [Point, …]`` stands for everything that is installed."""
    groups: dict[str, list[Point]] = {}
    installed = types.SimpleNamespace(select=lambda group: groups.get(group, []))
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda: installed)
    for variable in ("GANSEMBLE_PLUGINS", "GANSEMBLE_DISABLE", "GANSEMBLE_STRICT"):
        monkeypatch.delenv(variable, raising=False)
    return groups


def fails():
    raise RuntimeError("boom")


def names(loaded: Plugins) -> set[str]:
    return {entry.plugin + "/" + entry.name for entry in loaded.registry.entries()}


def said(act, *arguments) -> str:
    with pytest.raises(PluginError) as caught:
        act(*arguments)
    return str(caught.value)


def test_the_built_in_plugins_are_installed_as_a_third_partys_would_be():
    installed = {point.name for point in importlib.metadata.entry_points(group=loading.GROUP)}
    assert installed >= BUILT_IN
    loaded = Plugins()
    assert loaded.registry.broken == {} and loaded.registry.ambiguous() == []


def test_every_built_in_part_can_be_loaded():
    entries = Plugins().registry.entries()
    assert {entry.plugin for entry in entries} >= BUILT_IN
    assert all(callable(entry.load()) and entry.summary for entry in entries)


def test_a_broken_plugin_is_kept_with_its_traceback_and_the_others_work(points):
    points[loading.GROUP] = [Point("bad", load=fails), Point("good", "g", lambda: plugin("a"))]
    loaded = Plugins()
    assert names(loaded) == {"good/a"}
    broken = loaded.registry.broken["bad"]
    assert str(broken.error) == "boom" and 'raise RuntimeError("boom")' in broken.traceback
    assert "plugin 'bad' could not be loaded (RuntimeError: boom)" in said(loaded.registry.get, "loss", "bad/a")


def test_a_plugin_that_exits_at_import_is_only_broken(points):
    points[loading.GROUP] = [Point("bad", load=lambda: sys.exit(3)), Point("good", "g", lambda: plugin("a"))]
    loaded = Plugins()
    assert names(loaded) == {"good/a"} and set(loaded.registry.broken) == {"bad"}


def test_strict_raises_at_once(points, monkeypatch):
    points[loading.GROUP] = [Point("bad", load=fails)]
    monkeypatch.setenv("GANSEMBLE_STRICT", "1")
    with pytest.raises(RuntimeError, match="boom"):
        Plugins()


def test_a_plugin_that_fails_half_way_leaves_nothing_behind(points):
    points[loading.GROUP] = [Point("bad", load=lambda: plugin("a", "b", "a"))]
    loaded = Plugins()
    assert "registers loss 'a' twice" in str(loaded.registry.broken["bad"].error)
    assert names(loaded) == set() and not loaded.manager.has_plugin("bad")


def test_a_hook_with_an_argument_that_does_not_exist_leaves_nothing_behind(points):
    @hookimpl
    def gansemble_run_start(run, speed): ...

    points[loading.GROUP] = [Point("bad", load=lambda: plugin("a", gansemble_run_start=gansemble_run_start))]
    loaded = Plugins()
    assert "speed" in str(loaded.registry.broken["bad"].error)
    assert names(loaded) == set() and not loaded.manager.has_plugin("bad")


def test_a_misspelt_hook_is_refused(empty_plugins):
    @hookimpl
    def gansemble_run_strat(run): ...

    message = said(empty_plugins.add_module, "p", plugin(gansemble_run_strat=gansemble_run_strat))
    assert message.startswith("p: no such hook: gansemble_run_strat; hooks: gansemble_register, ")


def test_a_plugin_without_the_required_hook_is_refused(empty_plugins):
    message = said(empty_plugins.add_module, "p", types.ModuleType("a_plugin"))
    assert message == "p: lacks the required hook gansemble_register(register)"


def test_a_register_hook_that_is_not_marked_is_refused_and_not_passed_over(empty_plugins):
    unmarked = types.ModuleType("a_plugin")
    unmarked.gansemble_register = lambda register: register("loss", "a", "m:A")
    assert "hookimpl" in said(empty_plugins.add_module, "p", unmarked)


def test_two_plugins_of_one_name_are_refused_and_the_first_stays(points, empty_plugins):
    empty_plugins.add_module("p", plugin("a"))
    assert "two plugins are called 'p'" in said(empty_plugins.add_module, "p", plugin("b"))
    points[loading.GROUP] = [Point("p", "one", lambda: plugin("a")), Point("p", "two", lambda: plugin("b"))]
    loaded = Plugins()
    assert names(loaded) == {"p/a"} and "two plugins" in str(loaded.registry.broken["p"].error)


def test_no_other_plugin_takes_the_place_of_one_of_ours(points):
    ours = Point("hifigan", "z", lambda: plugin("a"), dist="gansemble")
    points[loading.GROUP] = [Point("hifigan", "a", lambda: plugin("b"), dist="other"), ours]
    loaded = Plugins()
    assert names(loaded) == {"hifigan/a"}
    message = str(loaded.registry.broken["hifigan"].error)
    assert message.startswith("two plugins are called 'hifigan', one of gansemble and one of other, which is left out")
    assert loaded.registry.fault("hifigan") is None, "the one that is there is sound"


def test_an_entry_point_that_is_listed_twice_counts_once(points):
    points[loading.GROUP] = [Point("p", "one", lambda: plugin("a"))] * 2
    loaded = Plugins()
    assert names(loaded) == {"p/a"} and loaded.registry.broken == {}


def test_several_plugins_register_their_own_parts_only(empty_plugins):
    for name in "pqr":
        empty_plugins.add_module(name, plugin("a" + name))
    assert names(empty_plugins) == {"p/ap", "q/aq", "r/ar"}


@pytest.mark.parametrize(
    ("variable", "value", "left"),
    [
        ("GANSEMBLE_PLUGINS", "p, q", {"p", "q"}),
        ("GANSEMBLE_PLUGINS", "", set()),
        ("GANSEMBLE_DISABLE", "p", {"q", "bad"}),
        ("GANSEMBLE_DISABLE", "", {"p", "q", "bad"}),
    ],
)
def test_plugins_are_chosen_by_name_and_the_others_are_not_imported(points, monkeypatch, variable, value, left):
    imported = set()

    def loads(name):
        imported.add(name)
        return fails() if name == "bad" else plugin("a" + name)

    points[loading.GROUP] = [Point(name, name, lambda name=name: loads(name)) for name in ("p", "q", "bad")]
    monkeypatch.setenv(variable, value)
    loaded = Plugins()
    assert imported == left
    assert loaded.registry.disabled == dict.fromkeys({"p", "q", "bad"} - left, variable)
    for name in {"p", "q"} - left:
        assert f"switched off by {variable}" in said(loaded.registry.get, "loss", f"{name}/a{name}")


GROUPS = {
    "gansemble.generators": "generator",
    "gansemble.discriminators": "discriminator",
    "gansemble.noise_injectors": "noise_injector",
    "gansemble.regularisers": "regulariser",
    "gansemble.metrics": "metric",
    "gansemble.objectives": "objective",
    "gansemble.losses": "loss",
    "gansemble.representations": "representation",
    "gansemble.corpora": "corpus",
    "gansemble.optimisers": "optimiser",
    "gansemble.degradations": "degradation",
    "gansemble.monitors": "monitor",
    "gansemble.augmentations": "augmentation",
    "gansemble.perturbations": "perturbation",
    "gansemble.features": "feature",
    "gansemble.observers": "observer",
    "gansemble.schedules": "schedule",
    "gansemble.embedders": "embedder",
}


def test_every_kind_has_an_entry_point_group():
    assert sorted(GROUPS.values()) == sorted(KINDS)


@pytest.mark.parametrize("group", GROUPS)
def test_a_single_part_needs_no_plugin_around_it(points, group):
    points[group] = [Point("mine", "math:sqrt", dist="my-dist")]
    registry = Plugins().registry
    found = registry.get(GROUPS[group], "my-dist/mine")
    assert registry.entries() == [found]
    assert (found.name, found.plugin, found.target) == ("mine", "my-dist", "math:sqrt")


def test_a_malformed_single_part_is_broken_alone_and_a_switched_off_one_is_off(points, monkeypatch):
    points["gansemble.losses"] = [Point("a", "no_colon"), Point("b", "m:B"), Point("c", "m:C", dist="off")]
    monkeypatch.setenv("GANSEMBLE_DISABLE", "off")
    loaded = Plugins()
    assert set(loaded.registry.broken) == {"d:a"} and set(loaded.registry.disabled) == {"off"}
    assert names(loaded) == {"d/b"}


def test_a_part_of_a_broken_single_file_or_distribution_is_not_called_missing(points, tmp_path):
    (tmp_path / "torn_file.py").write_text("import no_such_library")
    points["gansemble.losses"] = [Point("a", "no_colon"), Point("b", "m:B")]
    registry = Plugins(files=[tmp_path / "torn_file.py"]).registry
    message = said(registry.get, "loss", "torn_file/zero")
    assert message.startswith("loss torn_file/zero: plugin 'torn_file' could not be loaded (ModuleNotFoundError: ")
    assert "plugin 'd' could not be loaded (PluginError: d/a: target must be " in said(registry.get, "loss", "d/a")
    assert registry.get("loss", "d/b").target == "m:B"


def test_a_single_file_is_a_plugin_named_after_it(points, tmp_path):
    path = tmp_path / "my_losses.py"
    path.write_text(FILE)
    loaded = Plugins(files=[path])
    assert names(loaded) == {"my_losses/zero"}
    assert loaded.registry.get("loss", "my_losses/zero").load()(size=2).size == 2


def known(kind: str) -> set[str]:
    """Names of the parts of a kind, in this process."""
    return {entry.name for entry in loading.registry().entries(kind)}


def test_a_single_file_is_known_to_the_processes_that_are_started(tmp_path, monkeypatch):
    """Such as those that score files, which are new processes and are told nothing."""
    path = tmp_path / "losses_of_a_file.py"
    path.write_text(FILE)
    monkeypatch.setenv(loading.FILES, "")
    assert "zero" not in known("loss")
    loading.add_files([path])
    loading.add_files([path])
    assert "zero" in known("loss") and loading.files() == (path,)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert "zero" in pool.submit(known, "loss").result()


def test_a_single_file_takes_no_other_modules_place(points, tmp_path):
    import json

    path = tmp_path / "json.py"
    path.write_text(FILE)
    try:
        loaded = Plugins(files=[path])
        assert sys.modules["json"] is json
    finally:
        sys.modules["json"] = json
    assert loaded.registry.broken or loaded.registry.get("loss", "zero").load()


@pytest.mark.parametrize(("name", "content"), [("absent.py", None), ("text.txt", FILE), ("wrong.py", "1 +")])
def test_a_single_file_that_cannot_be_read_is_recorded(points, tmp_path, name, content):
    if content:
        (tmp_path / name).write_text(content)
    loaded = Plugins(files=[tmp_path / name])
    assert list(loaded.registry.broken) == [f"file:{name}"]


def test_nothing_is_imported_from_the_working_directory(points, tmp_path, monkeypatch):
    (tmp_path / "gansemble_here.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert Plugins().registry.entries() == []


CHEAP = {
    "help": "--help",
    "version": "--version",
    "plugins list": "plugins list",
    "plugins list as JSON": "plugins list --json --kind metric",
    "import formats": "import --help",
    "a command's help": "train --help",
}


@pytest.mark.parametrize("case", CHEAP)
def test_looking_around_imports_no_torch(case, tmp_path):
    code = "import sys\nfrom gansemble.cli import group\ntry:\n    group.main(sys.argv[1:])\nfinally:\n    print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *CHEAP[case].split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.split()[-1]) == (0, "False"), done.stderr
    assert done.stdout


def test_the_environment_declares_every_plugin_of_pyproject():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    installed = {point.name for point in importlib.metadata.entry_points(group=loading.GROUP)}
    assert project["entry-points"][loading.GROUP].keys() <= installed, "run pip install -e . again"
    assert "GANSEMBLE_DISABLE" not in os.environ


@pytest.mark.parametrize("line", ["gansemble>=99", "Gansemble (>=99)", "gansemble[mini]>=99 ; python_version>'3'"])
def test_a_plugin_that_needs_a_newer_core_is_broken_and_says_so(points, line):
    points[loading.GROUP] = [Point("late", "p", lambda: plugin("a"), dist="acme", requires=["numpy", line])]
    error = Plugins().registry.broken["late"].error
    assert "acme 1.0 needs gansemble>=99, this is" in str(error) and "upgrade gansemble" in str(error)


@pytest.mark.parametrize("line", ["gansemble", "gansemble>=0.1", "gansemble-extras>=99"])
def test_a_plugin_that_needs_this_core_loads(points, line):
    points[loading.GROUP] = [Point("well", "p", lambda: plugin("a"), requires=[line])]
    loaded = Plugins()
    assert names(loaded) == {"well/a"} and not loaded.registry.broken
    assert loaded.registry.sources["well"].requirement() == "d>=1.0"
