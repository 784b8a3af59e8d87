"""``gansemble plugins new`` and ``gansemble plugins check``: what they write, what they refuse, what they say."""

import importlib
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gansemble import __version__
from gansemble.cli import main
from gansemble.plugins import loading
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import KINDS, Broken
from gansemble.recipe import check
from gansemble.recipe.document import parse
from gansemble.testing import conformance

ROOT = Path(__file__).parents[2]
#: Files of every new plugin, beside one for each kind.
COMMON = {".gitignore", "README.md", "pyproject.toml", "tests/test_conformance.py", "NAME/__init__.py"}
SOUND = '''\
from gansemble import hookimpl


class Distance:
    """mean |x - G| of samples.

    Args:
        size: what it is multiplied by.
    """

    turns = frozenset({"generator"})

    def __init__(self, *, size: float = 1.0) -> None:
        self.size = size

    def __call__(self, step, turn):
        return self.size * (step.real - step.fake).abs().mean()


@hookimpl
def gansemble_register(register):
    register("loss", "distance_of_tests", __name__ + ":Distance", "mean absolute difference")
'''
#: A sum where a mean is promised.
FAULTY = SOUND.replace(".abs().mean()", ".abs().sum()")
RECIPE = """\
audio: {sample_rate: 22050}
corpus: {use: folder}
generator: {use: hifigan}
discriminators: {mpd: {use: multi_period}}
objective: {use: lsgan}
losses: {mel: {use: mel_l1, weight: 45}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 10}
optimisers: {generator: {use: adamw}, discriminators: {use: adamw}}
"""


@pytest.fixture
def gansemble(capsys, monkeypatch, tmp_path):
    """Runs a command in this process, in an empty folder: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANSEMBLE_PLUGIN_FILES", "")

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    yield run
    loading._found.cache_clear()  # of plugin files that are gone


@pytest.fixture
def imports(monkeypatch):
    """``imports(root, name)`` imports a written plugin and forgets it afterwards."""
    before = set(sys.modules)

    def load(root, name):
        monkeypatch.syspath_prepend(root)
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        if name.startswith("written_"):
            del sys.modules[name]


def written(root: Path) -> set[str]:
    return {
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def expected(name: str, kinds) -> set[str]:
    return {file.replace("NAME", name) for file in COMMON} | {f"{name}/{kind}.py" for kind in kinds}


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Path:
    """The folder of a plugin with a part of every kind, called written_all."""
    from gansemble import scaffold

    return scaffold.create("written_all", KINDS, tmp_path_factory.mktemp("all"))


def test_one_part_of_every_kind_and_what_to_do_next(gansemble, tmp_path):
    status, out, err = gansemble("plugins", "new", "written_whole", "--all", "--out", "here/there")
    root = tmp_path / "here" / "there" / "gansemble-written-whole"
    assert (status, err) == (0, "") and written(root) == expected("written_whole", KINDS)
    for said in ("pip install -e here/there/gansemble-written-whole", "gansemble plugins check written_whole"):
        assert said in out


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_one_kind_alone_fits_a_recipe_by_its_readmes_line(gansemble, imports, tmp_path, kind):
    name = f"written_{kind}"
    assert gansemble("plugins", "new", name, "--kind", kind)[0] == 0
    root = tmp_path / f"gansemble-written-{kind.replace('_', '-')}"
    assert written(root) == expected(name, [kind])
    loaded = Plugins()
    loaded.add_module(name, imports(root, name))
    (entry,) = [entry for entry in loaded.registry.entries() if entry.plugin == name]
    assert (entry.kind, entry.name) == (kind, name) and entry.load() and entry.summary
    readme = (root / "README.md").read_text()
    lines = readme.partition("```yaml\n")[2].partition("```")[0]
    assert f"gansemble describe {kind} {name}" in readme and name in parse(lines, "README.md").value["plugins"]
    (tmp_path / "base.yaml").write_text(RECIPE)
    (tmp_path / "recipe.yaml").write_text("include: [base.yaml]\n" + lines)
    if kind == "embedder":  # has no section of its own: its line is a comment that shows it within a metric
        assert f"# {kind}" in lines or f"use: {name}" in lines
    elif kind == "representation":  # generators and losses of waveforms do not fit one of ours
        with pytest.raises(check.RecipeError, match=name):
            check.load(tmp_path / "recipe.yaml", registry=loaded.registry)
    else:
        assert name in {part.use for part in check.load(tmp_path / "recipe.yaml", registry=loaded.registry).parts()}


def test_without_a_kind_it_is_a_generator_and_several_may_be_named(gansemble, tmp_path):
    gansemble("plugins", "new", "written_plain")
    assert written(tmp_path / "gansemble-written-plain") == expected("written_plain", ["generator"])
    gansemble("plugins", "new", "written_pair", "--kind", "metric", "--kind", "loss", "--kind", "metric")
    assert written(tmp_path / "gansemble-written-pair") == expected("written_pair", ["loss", "metric"])


def test_underscores_are_dashes_in_the_folder_and_capitals_in_classes(gansemble, tmp_path):
    gansemble("plugins", "new", "written_3_band_net", "--kind", "generator", "--kind", "optimiser")
    root = tmp_path / "gansemble-written-3-band-net"
    package = root / "written_3_band_net"
    assert "class Written3BandNetGenerator(nn.Module):" in (package / "generator.py").read_text()
    assert "def written_3_band_net(" in (package / "optimiser.py").read_text()
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"gansemble.plugins": {"written_3_band_net": "written_3_band_net"}}
    assert project["name"] == "gansemble-written-3-band-net"
    assert 'plugins: {written_3_band_net: "gansemble-written-3-band-net>=0.1"}' in (root / "README.md").read_text()


def test_an_empty_folder_is_filled_and_another_left_alone(gansemble, tmp_path):
    root = tmp_path / "gansemble-written-here"
    root.mkdir()
    assert gansemble("plugins", "new", "written_here")[0] == 0
    before = {path: (root / path).read_bytes() for path in written(root)}
    status, out, err = gansemble("plugins", "new", "written_here", "--all")
    assert (status, out) == (1, "")
    assert "gansemble-written-here: expected no such folder, or an empty one; choose another name" in err
    assert {path: (root / path).read_bytes() for path in written(root)} == before


REFUSED = {
    "Mine": "a plugin's name must be lower_snake, such as my_plugin, got 'Mine'",
    "my-plugin": "a plugin's name must be lower_snake, such as my_plugin, got 'my-plugin'",
    "3d": "a plugin's name must be lower_snake, such as my_plugin, got '3d'",
    "_mine": "a plugin's name must be lower_snake, such as my_plugin, got '_mine'",
    "mélange": "a plugin's name must be lower_snake, such as my_plugin, got 'mélange'",
    "../mine": "a plugin's name must be lower_snake, such as my_plugin, got '../mine'",
    "mine_": "a plugin's name must be lower_snake, such as my_plugin, got 'mine_'",
    "my__own": "a plugin's name must be lower_snake, such as my_plugin, got 'my__own'",
    "": "a plugin's name must be lower_snake, such as my_plugin, got ''",
    "class": "a plugin's name must be lower_snake, such as my_plugin, got 'class'",
    "wave": "'wave' would take the place of another module; choose another name",
    "gansemble": "'gansemble' would take the place of another module; choose another name",
    "gansemble_plugins": "'gansemble_plugins' would take the place of another module; choose another name",
    "numpy": "a module called 'numpy' is installed already; choose another name",
    "vocos": "a plugin called 'vocos' is installed already; choose another name",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_will_not_do_is_refused_and_nothing_is_written(gansemble, tmp_path, name):
    status, out, err = gansemble("plugins", "new", name)
    assert (status, out, err) == (1, "", f"error: {REFUSED[name]}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_would_make_recipes_ambiguous_is_refused(gansemble, tmp_path):
    status, _, err = gansemble("plugins", "new", "hinge", "--kind", "loss", "--kind", "objective")
    assert (status, err) == (1, "error: plugin 'basics' gives the objective 'hinge' already; choose another name\n")
    assert list(tmp_path.iterdir()) == []
    assert gansemble("plugins", "new", "hinge", "--kind", "loss")[0] == 0


def test_an_unknown_kind_is_refused_with_those_there_are(gansemble, tmp_path):
    status, out, err = gansemble("plugins", "new", "written_odd", "--kind", "vocoder")
    assert (status, out) == (2, "") and "'vocoder'" in err and all(kind in err for kind in KINDS)
    assert list(tmp_path.iterdir()) == []


def test_nothing_speaks_of_the_model_it_was_made_from(everything):
    for path in written(everything):
        text = (everything / path).read_text()
        assert "acme" not in (path + text).lower(), path
        assert "@" not in text.replace("@hookimpl", "").replace("@staticmethod", ""), path


def test_it_asks_for_the_toolkit_it_was_written_with(everything):
    project = tomllib.loads((everything / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == [f"gansemble>={__version__}"]
    assert project["entry-points"] == {"gansemble.plugins": {"written_all": "written_all"}}


def test_what_it_writes_is_clean(everything):
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    ours = ["--config", str(ROOT / "pyproject.toml"), "--config", "lint.isort.known-first-party=['gansemble']"]
    for words in (["check", "--select", "E,F,I"], ["check", *ours], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", words[0], "--no-cache", *words[1:], "."]
        done = subprocess.run(command, cwd=everything, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_naming_the_parts_imports_none_of_them(everything, imports):
    loaded = Plugins(discover=False)
    loaded.add_module("written_all", imports(everything, "written_all"))
    assert [entry.kind for entry in loaded.registry.entries()] == list(KINDS)
    assert not [name for name in sys.modules if name.startswith("written_all.")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise_injector", "loss", "metric", "representation"])
def test_its_parts_keep_their_kinds_promises(everything, imports, kind):
    loaded = Plugins(discover=False)
    loaded.add_module("written_all", imports(everything, "written_all"))
    results = list(conformance.examine(loaded.registry.entries(kind)))
    assert len(results) == len(conformance.CHECKS[kind])
    assert [(result.name, result.fault) for result in results if result.fault] == []


def single_file(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    return path


def test_check_counts_the_promises_a_sound_plugin_keeps(gansemble, imports, tmp_path):
    path = single_file(tmp_path, "written_sound", SOUND)
    count = len(conformance.CHECKS["loss"])
    status, out, err = gansemble("--plugin", path, "plugins", "check", "written_sound")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"ok    loss written_sound/distance_of_tests: {count} of {count} promises kept",
        f"1 parts, {count} promises, 0 faults",
    ]


@pytest.mark.parametrize("name", ["distance_of_tests", "written_named/distance_of_tests"])
def test_check_takes_a_part_and_names_each_promise(gansemble, imports, tmp_path, name):
    path = single_file(tmp_path, "written_named", SOUND)
    status, out, _ = gansemble("--plugin", path, "plugins", "check", name, "--verbose")
    assert status == 0
    assert [line.strip() for line in out.splitlines()[1:-1]] == [
        promise.__name__.replace("_", " ") for promise in conformance.CHECKS["loss"]
    ]


def test_check_exits_1_with_the_promise_that_is_broken(gansemble, imports, tmp_path):
    path = single_file(tmp_path, "written_faulty", FAULTY)
    status, out, _ = gansemble("--plugin", path, "plugins", "check", "written_faulty")
    count = len(conformance.CHECKS["loss"])
    assert status == 1
    assert out.startswith(f"FAULT loss written_faulty/distance_of_tests: {count - 1} of {count} promises kept\n")
    assert "      is a mean over items: a batch of 4 gives " in out and "take a mean over items" in out
    assert out.endswith(f"1 parts, {count} promises, 1 faults\n")


def test_check_of_a_part_that_raises_names_the_line(gansemble, imports, tmp_path):
    path = single_file(tmp_path, "written_raises", SOUND.replace("(step.real - step.fake)", "step.reel"))
    status, out, _ = gansemble("--plugin", path, "plugins", "check", "written_raises")
    assert status == 1 and "AttributeError: 'Step' object has no attribute 'reel'" in out
    assert (
        f"({path}:{SOUND.splitlines().index('        return self.size * (step.real - step.fake).abs().mean()') + 1})"
        in out
    )


def test_check_of_an_unknown_name_says_what_may_have_been_meant(gansemble):
    status, out, err = gansemble("plugins", "check", "hifigna")
    assert (status, out) == (1, "")
    assert err.startswith("error: no plugin or part named 'hifigna'; did you mean 'hifigan'?; plugins: basics, ")


def test_check_of_an_unknown_part_says_what_may_have_been_meant(gansemble):
    assert "named 'mel_l2'; did you mean 'mel_l1'?" in gansemble("plugins", "check", "mel_l2")[2]
    assert "named 'vocos/vocso'; did you mean 'vocos/vocos'?" in gansemble("plugins", "check", "vocos/vocso")[2]


def test_check_of_a_broken_single_file_shows_why(gansemble, imports, tmp_path):
    path = single_file(tmp_path, "written_torn", "import no_such_library\n")
    status, _, err = gansemble("--plugin", path, "plugins", "check", "written_torn")
    assert status == 1 and err.startswith("error: plugin 'written_torn' could not be loaded:\nTraceback ")
    assert f'File "{path}", line 1' in err


def test_check_of_a_broken_plugin_shows_why(gansemble, monkeypatch):
    loaded = Plugins(discover=False)
    loaded.registry.broken["torn"] = Broken("torn", ImportError("no module x"), "Traceback …\nImportError: no module x")
    monkeypatch.setattr(loading, "load", lambda: loaded)
    status, out, err = gansemble("plugins", "check", "torn")
    assert (status, out) == (1, "")
    assert err == "error: plugin 'torn' could not be loaded:\nTraceback …\nImportError: no module x\n"


def test_a_new_plugin_may_have_a_recipe_that_builds_on_an_installed_one(gansemble, tmp_path, monkeypatch):
    status, out, _ = gansemble(
        "plugins", "new", "written_housed", "--kind", "loss", "--kind", "metric", "--recipe", "hifigan:ljspeech/v2"
    )
    root = tmp_path / "gansemble-written-housed"
    assert status == 0 and "gansemble run written_housed:ljspeech --mini" in out
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["gansemble.recipes"] == {"written_housed": "written_housed.recipes"}
    conf = root / "written_housed" / "recipes" / "ljspeech" / "conf"
    assert sorted(path.name for path in conf.iterdir()) == ["mini.yaml", "v2.yaml"]
    plugins = Plugins()
    monkeypatch.syspath_prepend(root)
    plugins.add_module("written_housed", importlib.import_module("written_housed"))
    for name in ("v2", "mini"):
        ours = check.load(conf / f"{name}.yaml", (), plugins.registry)
        base = check.load(Path(f"hifigan:ljspeech/{name}"))
        assert set(ours.many["losses"]) - set(base.many["losses"]) == {"written_housed"}
        assert ours.plan == base.plan
    status, _, err = gansemble("plugins", "new", "written_lost", "--recipe", "hifigan:nowhere")
    assert (
        status == 1 and "hifigan has no recipe 'nowhere'" in err and not (tmp_path / "gansemble-written-lost").exists()
    )
