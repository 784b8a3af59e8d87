"""Installed plugins that are wrong in every way: one never takes another down, and each is told for what it is.

They are installed as far as Python can tell: a folder with modules and ``dist-info`` on the path.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gansemble.cli import main
from gansemble.plugins import loading

EGS = Path(__file__).parents[2] / "egs" / "ljspeech"
SOUND_RECIPES = [EGS / "hifigan" / "conf" / "mini.yaml", EGS / "specdiff" / "conf" / "mini.yaml"]
PART = """\
from gansemble import hookimpl


class Part:
    turns = frozenset({"generator"})

    def __init__(self, *, size: float = 1.0) -> None:
        self.size = size

    def __call__(self, step, turn):
        return step.fake.mean() * self.size


@hookimpl
def gansemble_register(register):
    register("loss", "part", __name__ + ":Part", "a mean")
"""


@dataclass(frozen=True)
class Bad:
    """A plugin ``name`` in a module ``bad_name``, and what is said of it.

    Args:
        text: of its module, or None where there is none.
        doctor: what ``plugins doctor`` says.
        recipe: what a recipe that uses ``name/part`` is told.
        requires: requirements of its distribution.
        broken: whether it is known as a broken plugin, not one whose part is missing.
        group: its entry point's group, a plugin's or that of a single part.
        point: what its entry point names, where that is not the module.
    """

    name: str
    text: str | None
    doctor: tuple[str, ...]
    recipe: tuple[str, ...]
    requires: tuple[str, ...] = ()
    broken: bool = True
    group: str = "gansemble.plugins"
    point: str = ""

    @property
    def use(self) -> str:
        """How a recipe names its part."""
        return f"{self.name}/part" if self.group == "gansemble.plugins" else f"gansemble-{self.name}/part"

    def install(self, site: Path) -> None:
        """Writes the module and its distribution's metadata."""
        value = self.point or f"bad_{self.name}"
        key = self.name if self.group == "gansemble.plugins" else "part"
        install(site, f"gansemble-{self.name}", f"[{self.group}]\n{key} = {value}\n", self.requires)
        if self.text is not None:
            (site / f"bad_{self.name}.py").write_text(self.text)


def install(site: Path, distribution: str, points: str, requires: tuple[str, ...] = ()) -> None:
    """Metadata as pip leaves it."""
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {distribution}",
        "Version: 1.0",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "entry_points.txt").write_text(points)


LOADED = "could not be loaded"
DOCTOR = "see `gansemble plugins doctor`"
BAD = (
    Bad(
        "torn",
        "\nimport no_such_library\n",
        ("broken: torn\n", 'bad_torn.py", line 2', "ModuleNotFoundError: No module named 'no_such_library'"),
        (f"plugin 'torn' {LOADED} (ModuleNotFoundError: No module named 'no_such_library')", DOCTOR),
    ),
    Bad(
        "absent",
        None,
        ("broken: absent\n", "ModuleNotFoundError: No module named 'bad_absent'"),
        (f"plugin 'absent' {LOADED} (ModuleNotFoundError: No module named 'bad_absent')", DOCTOR),
    ),
    Bad(
        "lost",
        PART.replace('":Part"', '":Prat"'),
        ("missing: loss lost/part: ", "its target bad_lost:Prat cannot be imported (AttributeError: "),
        ("loss lost/part: its target bad_lost:Prat cannot be imported (AttributeError: ", DOCTOR),
        broken=False,
    ),
    Bad(
        "typo",
        PART + "\n\n@hookimpl\ndef gansemble_comands(group): ...\n",
        ("broken: typo\n", "typo: no such hook: gansemble_comands; hooks: gansemble_register, gansemble_commands, "),
        (f"plugin 'typo' {LOADED} (PluginError: typo: no such hook: gansemble_comands", DOCTOR),
    ),
    Bad(
        "twice",
        PART + '    register("loss", "part", __name__ + ":Part", "again")\n',
        ("broken: twice\n", "twice: registers loss 'part' twice"),
        (f"plugin 'twice' {LOADED} (PluginError: twice: registers loss 'part' twice)", DOCTOR),
    ),
    Bad(
        "ahead",
        PART,
        (
            "broken: ahead\n",
            "gansemble-ahead 1.0 needs gansemble>=99, this is ",
            "upgrade gansemble, or install another",
        ),
        (f"plugin 'ahead' {LOADED} (PluginError: gansemble-ahead 1.0 needs gansemble>=99", "upgrade gansemble"),
        requires=("numpy", "gansemble>=99"),
    ),
    Bad(
        "deaf",
        PART.replace("(self, step, turn)", "(self, prediction, target, mask)"),
        ("missing: loss deaf/part: ", "its __call__ takes (prediction, target, mask)"),
        (
            "loss deaf/part: bad_deaf:Part: its __call__ takes (prediction, target, mask), but a loss's is called with (step, turn)",
            "Term",
        ),
        broken=False,
    ),
    Bad(
        "greedy",
        PART.replace("size: float = 1.0)", "size: float = 1.0, **options: float)"),
        ("missing: loss greedy/part: ", "takes **options, which hides misspelt keys"),
        ("loss greedy/part: bad_greedy:Part: takes **options, which hides misspelt keys; name every parameter",),
        broken=False,
    ),
    Bad(
        "lone",
        None,
        ("missing: loss gansemble-lone/part: ", "its target bad_lone:Part cannot be imported (ModuleNotFoundError: "),
        ("loss gansemble-lone/part: its target bad_lone:Part cannot be imported (ModuleNotFoundError: ", DOCTOR),
        broken=False,
        group="gansemble.losses",
        point="bad_lone:Part",
    ),
)
CASES = [pytest.param(bad, id=bad.name) for bad in BAD]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder whose distributions count as installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith("bad_")]:
        del sys.modules[name]


@pytest.fixture
def gansemble(capsys, monkeypatch, tmp_path):
    """Runs a command in this process as if it were the first: (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANSEMBLE_PLUGIN_FILES", "")  # so that what a command adds is gone after the test
    for variable in ("GANSEMBLE_PLUGINS", "GANSEMBLE_DISABLE", "GANSEMBLE_STRICT"):
        monkeypatch.delenv(variable, raising=False)

    def run(*words):
        loading._found.cache_clear()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    yield run
    loading._found.cache_clear()  # what was installed for the test is gone


@pytest.mark.parametrize("bad", CASES)
def test_doctor_says_what_is_wrong_and_exits_1(gansemble, site, bad):
    bad.install(site)
    status, out, _ = gansemble("plugins", "doctor")
    assert status == 1
    assert [said for said in bad.doctor if said not in out] == []
    assert out.endswith(f"{1 if bad.broken else 0} broken plugins, {0 if bad.broken else 1} missing targets\n")


@pytest.mark.parametrize("bad", CASES)
def test_listing_goes_on_with_the_others(gansemble, site, bad):
    _, before, _ = gansemble("plugins", "list", "--json")
    bad.install(site)
    status, out, _ = gansemble("plugins", "list", "--json")
    now, then = json.loads(out), json.loads(before)
    others = [row for row in now["parts"] if row["plugin"] not in (bad.name, f"gansemble-{bad.name}")]
    assert status == 0 and others == then["parts"]
    assert now["broken"] == ([bad.name] if bad.broken else [])
    status, out, err = gansemble("plugins", "list")
    assert status == 0 and ("hifigan" in out) and (f"broken: {bad.name} (" in err) == bad.broken


@pytest.mark.parametrize("bad", CASES)
def test_a_recipe_that_uses_it_is_told_and_others_are_sound(gansemble, site, bad):
    bad.install(site)
    status, out, err = gansemble("check", SOUND_RECIPES[0], "--set", f"losses.more.use={bad.use}")
    assert (status, out) == (1, "") and "1 problem in the recipe" in err
    assert [said for said in (f"losses.more.use={bad.use}", *bad.recipe) if said not in err] == []
    status, out, err = gansemble("check", *SOUND_RECIPES)
    assert (status, err) == (0, "") and out.count(": ok (") == len(SOUND_RECIPES)


def test_what_is_switched_off_is_no_fault(gansemble, site, monkeypatch):
    BAD[0].install(site)
    monkeypatch.setenv("GANSEMBLE_DISABLE", BAD[0].name)
    loading._found.cache_clear()
    with pytest.raises(SystemExit) as left:
        main(["plugins", "doctor"])
    assert not left.value.code


SHADOW = """\
from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    register("generator", "hifigan", "gansemble_plugins.hifigan.generator:HifiGan", "another")
"""


@pytest.mark.slow
def test_a_part_named_like_a_built_in_one_changes_no_recipe_and_is_told(gansemble, site, caplog):
    install(site, "gansemble-shadow", "[gansemble.plugins]\nshadow = bad_shadow\n")
    (site / "bad_shadow.py").write_text(SHADOW)
    uses, other = SOUND_RECIPES
    assert gansemble("check", uses)[0] == 0
    told = "generator 'hifigan' means hifigan/hifigan, which comes with the toolkit; for the other of this name say "
    assert [record.message for record in caplog.records] == [told + "'shadow/hifigan'"]
    assert loading.registry().get("generator", "hifigan").plugin == "hifigan"
    for name in ("hifigan/hifigan", "shadow/hifigan"):
        assert gansemble("check", uses, "--set", f"generator.use={name}")[0] == 0
    assert gansemble("check", other)[0] == 0
    status, out, _ = gansemble("plugins", "list", "--kind", "generator")
    assert status == 0 and [line.split()[0] for line in out.splitlines()].count("hifigan") == 2
    assert gansemble("describe", "generator", "hifigan")[0] == 0
    assert gansemble("describe", "generator", "shadow/hifigan")[0] == 0
    status, out, _ = gansemble("plugins", "doctor")
    assert status == 0 and "ambiguous: generator 'hifigan' is given by 2 plugins" in out
    assert "the name alone means hifigan/hifigan, of hifigan/hifigan, shadow/hifigan" in out


def test_a_single_part_named_like_a_built_in_one_changes_no_recipe(gansemble, site):
    install(site, "gansemble-shade", "[gansemble.generators]\nhifigan = gansemble_plugins.hifigan.generator:HifiGan\n")
    assert gansemble("check", *SOUND_RECIPES)[0] == 0
    assert loading.registry().get("generator", "gansemble-shade/hifigan").plugin == "gansemble-shade"


def test_a_name_that_two_plugins_give_and_the_toolkit_does_not_is_to_be_told_apart(gansemble, site):
    for name in ("one", "two"):
        install(site, f"gansemble-{name}", f"[gansemble.plugins]\n{name} = bad_{name}\n")
        (site / f"bad_{name}.py").write_text(PART)
    status, _, err = gansemble("check", SOUND_RECIPES[0], "--set", "losses.more.use=part")
    assert status == 1 and "loss 'part' is given by several plugins; say 'one/part' or 'two/part'" in err
    assert gansemble("check", SOUND_RECIPES[0], "--set", "losses.more.use=two/part")[0] == 0
    status, out, _ = gansemble("plugins", "doctor")
    assert status == 1 and "recipes must say one of one/part, two/part" in out


def test_recipes_named_like_the_toolkits_do_not_take_their_place(gansemble, site):
    install(site, "aaa-usurper", "[gansemble.recipes]\nhifigan = no_such_recipes\n")
    assert gansemble("check", "hifigan:ljspeech/v1")[0] == 0


def test_entry_points_that_cannot_be_read_leave_all_others_alone(gansemble, site):
    install(site, "gansemble-garbled", "[gansemble.plugins]\nno equals sign\n")
    assert gansemble("check", *SOUND_RECIPES)[0] == 0
    status, out, _ = gansemble("plugins", "doctor")
    assert status == 1 and "broken: gansemble-garbled\n" in out and "its entry points cannot be read" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "x = 1\nimport no_such_library\n",
            ":2: could not be loaded (ModuleNotFoundError: No module named 'no_such_library')",
        ),
        ("raise SystemExit(3)\n", ":1: could not be loaded (SystemExit: 3)"),
        ("def broken(:\n", ":1: could not be loaded (SyntaxError: "),
        ("\0", ": could not be loaded (SyntaxError: "),
        ("x = 1\n", ": could not be loaded (bad_file: lacks the required hook gansemble_register(register))"),
        (
            "from gansemble import hookimpl\n@hookimpl\ndef gansemble_register(register): pass\n",
            ": could not be loaded (it registers nothing; call register(kind, name, ",
        ),
    ],
)
@pytest.mark.parametrize("words", [("check", SOUND_RECIPES[0]), ("run", SOUND_RECIPES[0], "--dry-run")])
def test_a_single_file_that_cannot_be_loaded_ends_the_command_that_named_it(gansemble, tmp_path, content, said, words):
    path = tmp_path / "bad_file.py"
    path.write_text(content)
    status, _, err = gansemble("--plugin", path, *words)
    assert status == 1 and err.startswith(f"error: --plugin {path}") and said in err
    assert f"`gansemble --plugin {path} plugins doctor` shows its traceback" in err
    if words[0] == "run":
        assert gansemble(*words, "--plugin", path)[2] == err
    status, out, _ = gansemble("--plugin", path, "plugins", "doctor")
    assert status == 1 and "broken: file:bad_file.py\n" in out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.py", "no such file"),
        (".", "is a folder, expected a Python file"),
        ("a:b.py", "must not have ':' in it"),
    ],
)
def test_a_single_file_that_is_none_is_named(gansemble, tmp_path, name, said):
    (tmp_path / "a:b.py").write_text(PART)
    status, _, err = gansemble("--plugin", name, "check", SOUND_RECIPES[0])
    assert status == 1 and err.startswith(f"error: --plugin {name}: ") and said in err


def test_a_plugin_named_like_a_built_in_one_is_left_out(gansemble, site):
    install(site, "gansemble-usurper", "[gansemble.plugins]\nhifigan = bad_usurper\n")
    (site / "bad_usurper.py").write_text(PART)
    assert gansemble("check", *SOUND_RECIPES)[0] == 0
    status, out, _ = gansemble("plugins", "doctor")
    assert status == 1 and "two plugins are called 'hifigan', one of gansemble and one of gansemble-usurper" in out
    assert gansemble("plugins", "check", "hifigan/nothing")[2].startswith("error: no plugin or part named ")


HOOKS = (
    PART
    + """

@hookimpl
def gansemble_check_recipe(recipe):
    ANSWER
"""
)


def test_a_recipe_check_that_fails_is_a_problem_of_the_recipes_that_use_the_plugin(gansemble, site, caplog):
    install(site, "gansemble-dizzy", "[gansemble.plugins]\ndizzy = bad_dizzy\n")
    (site / "bad_dizzy.py").write_text(HOOKS.replace("ANSWER", 'raise RuntimeError("boom")'))
    assert gansemble("check", *SOUND_RECIPES)[0] == 0
    assert "plugin 'dizzy' fails to check it (RuntimeError: boom)" in caplog.text
    status, _, err = gansemble("check", SOUND_RECIPES[0], "--set", "losses.more.use=dizzy/part")
    assert status == 1 and "plugin 'dizzy' fails to check it (RuntimeError: boom); tell its author" in err


def test_a_recipe_check_points_at_keys_the_way_messages_show_them(gansemble, site):
    install(site, "gansemble-keen", "[gansemble.plugins]\nkeen = bad_keen\n")
    answer = 'return [("discriminators.mpd.periods[1]", "no prime"), ("plan", "too long")]'
    (site / "bad_keen.py").write_text(HOOKS.replace("ANSWER", answer))
    status, _, err = gansemble("check", SOUND_RECIPES[0], "--set", "discriminators.mpd.periods=[2, 9]")
    assert status == 1 and "2 problems" in err and "--set:1:28: discriminators.mpd.periods[1]: no prime" in err
    assert ": plan: too long" in err


def started(site: Path, code: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own that sees the folder."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GANSEMBLE_")} | {"PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=site, capture_output=True, text=True, timeout=60
    )


@pytest.mark.slow
def test_all_of_them_together_leave_the_rest_alone(tmp_path):
    for bad in BAD:
        bad.install(tmp_path)
    done = started(tmp_path, "from gansemble.cli import main; main(['plugins', 'doctor'])")
    assert done.returncode == 1
    assert [said for bad in BAD for said in bad.doctor if said not in done.stdout] == []
    broken = sum(bad.broken for bad in BAD)
    assert done.stdout.endswith(f" {broken} broken plugins, {len(BAD) - broken} missing targets\n")


LISTING = """\
import sys
from gansemble.cli import group
try:
    group.main(["plugins", "list", "--json"])
finally:
    print([name for name in ("torch", "numpy", "bad_7", "bad_7_parts") if name in sys.modules], file=sys.stderr)
"""


def test_fifty_plugins_are_listed_without_torch_and_without_their_parts(tmp_path):
    for number in range(50):
        install(tmp_path, f"gansemble-many-{number}", f"[gansemble.plugins]\nmany_{number} = bad_{number}\n")
        text = PART.replace('"part", __name__ + ":Part"', f'"part_{number}", __name__ + "_parts:Part"')
        (tmp_path / f"bad_{number}.py").write_text(text)
        (tmp_path / f"bad_{number}_parts.py").write_text("import torch\n")
    done = started(tmp_path, LISTING)
    assert done.returncode == 0, done.stderr
    listed = {row["plugin"]: row for row in json.loads(done.stdout)["parts"] if row["plugin"].startswith("many_")}
    assert len(listed) == 50
    assert all(listed[f"many_{n}"]["target"] == f"bad_{n}_parts:Part" for n in range(50))
    assert done.stderr == "['bad_7']\n"
