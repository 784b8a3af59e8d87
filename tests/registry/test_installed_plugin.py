"""Plugins as third parties install them: into an environment of their own, used by recipes, and taken away again."""

import importlib.util
import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from gansemble.plugins.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "gansemble-bandnoise"
SHORT = ("plan.steps=6", "plan.save_every=3", "validation.every=6", "validation.clips=1")
GENERATOR, INJECTOR = "generator: {use: acorn}", "noise_injector: {use: band_noise, snr_db: 30}"

pytestmark = pytest.mark.end_to_end


@dataclass(frozen=True)
class Place:
    """An environment with this toolkit and two plugins in it, and a copy of a recipe, all outside the repository."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / "venv"

    @property
    def plugin(self) -> Path:
        return self.root / "elsewhere" / "gansemble-acorn"

    @property
    def recipe(self) -> Path:
        return self.root / "egs" / "ljspeech" / "hifigan"

    @property
    def environment(self) -> dict[str, str]:
        """What processes see: this environment, and nothing of the tests' own settings."""
        ours = ("GANSEMBLE_", "PYTEST_", "PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return kept | {
            "VIRTUAL_ENV": str(self.venv),
            "PATH": f"{self.venv / 'bin'}{os.pathsep}{kept.get('PATH', '')}",
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def start(self, *words: object, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Starts a program of the environment."""
        program = str(self.venv / "bin" / str(words[0])) if (self.venv / "bin" / str(words[0])).exists() else words[0]
        return subprocess.Popen(
            [str(program), *map(str, words[1:])],
            cwd=cwd or self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, *words: object, cwd: Path | None = None) -> tuple[int, str]:
        """(exit status, everything printed)."""
        return ended(self.start(*words, cwd=cwd))

    def run_sh(self, *words: object) -> tuple[int, str]:
        """run.sh --mini of the copied recipe, shortened."""
        short = [word for value in SHORT for word in ("--set", value)]
        return self(self.recipe / "run.sh", "--mini", *short, *words)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        said, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    return process.returncode, said


def make_environment(folder: Path) -> None:
    """A virtual environment that sees, behind its own packages, those of the environment the tests run in."""
    pip = [] if importlib.util.find_spec("pip") is None else ["--without-pip"]  # then it sees that of the tests
    subprocess.run([sys.executable, "-m", "venv", *pip, str(folder)], check=True)
    own = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    seen = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()])
    lines = [f"import site; site.addsitedir({path!r})" for path in seen]
    (Path(own) / "of_the_tests.pth").write_text("\n".join(lines) + "\n")


def install(place: Place, *folders: Path) -> None:
    """``pip install --no-deps -e``; skips where the build backend can be had neither here nor from an index."""
    here = all(importlib.util.find_spec(name) for name in ("hatchling", "editables"))
    apart = ["--no-build-isolation"] if here else []
    words = [word for folder in folders for word in ("-e", folder)]
    status, said = place("python", "-m", "pip", "install", "--quiet", "--no-deps", *apart, *words)
    if status and not here:
        last = said.strip().splitlines()[-1] if said.strip() else "no message"
        pytest.skip(f"hatchling and editables are not installed, and pip could not get them: {last}")
    assert status == 0, said


def tracked() -> str:
    """What git says of the repository's tracked files; nothing where this is no git checkout."""
    words = ["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"]
    done = subprocess.run(words, capture_output=True, text=True) if shutil.which("git") else None
    return done.stdout if done else ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The environment with the example and a scaffolded plugin installed, and a recipe that uses both."""
    made = Place(tmp_path_factory.mktemp("third-party"))
    make_environment(made.venv)
    install(made, ROOT)
    status, said = made("gansemble", "plugins", "new", "acorn", "--all", "--out", made.plugin.parent)
    assert status == 0, said
    install(made, EXAMPLE, made.plugin)
    copied = shutil.ignore_patterns("exp", "data", "dump", "README.md")
    shutil.copytree(ROOT / "egs" / "_shared", made.root / "egs" / "_shared")
    shutil.copytree(ROOT / "egs" / "ljspeech" / "hifigan", made.recipe, ignore=copied)
    write_recipe(made, GENERATOR, INJECTOR)
    return made


def write_recipe(place: Place, *lines: str) -> None:
    """``conf/mini.yaml`` as shipped, with these lines for its generator and injector."""
    shipped = (ROOT / "egs" / "ljspeech" / "hifigan" / "conf" / "mini.yaml").read_text().splitlines()
    kept = [line for line in shipped if not line.startswith(("generator:", "noise_injector:"))]
    assert len(kept) == len(shipped) - 1
    (place.recipe / "conf" / "mini.yaml").write_text("\n".join([*kept, *lines]) + "\n")


@pytest.fixture(scope="module")
def trained(place: Place) -> Path:
    """The experiment of the recipe with both plugins' parts, stages 0 to 3."""
    status, said = place.run_sh("--stop-stage", 3)
    assert status == 0, said[-3000:]
    return place.recipe / "exp" / "mini"


@pytest.fixture(scope="module")
def before() -> str:
    """The state of the repository's files before any of this."""
    return tracked()


@pytest.fixture(scope="module")
def uninstalled(place: Place, trained: Path) -> Place:
    """The same after both plugins were uninstalled."""
    status, said = place("python", "-m", "pip", "uninstall", "--quiet", "-y", "gansemble-bandnoise", "gansemble-acorn")
    assert status == 0, said
    return place


def test_their_parts_are_listed(before: str, place: Place) -> None:
    """By the entry points alone."""
    status, said = place("gansemble", "plugins", "list", "--json")
    assert status == 0, said
    listed = {(row["plugin"], row["kind"], row["name"]) for row in json.loads(said)["parts"]}
    assert {("acorn", kind, "acorn") for kind in KINDS} <= listed
    assert ("bandnoise", "noise_injector", "band_noise") in listed
    assert ("gansemble-bandnoise", "objective", "huber") in listed


def test_doctor_finds_nothing_wrong(place: Place) -> None:
    """All parts load beside the built-in ones, and no name is given twice."""
    status, said = place("gansemble", "plugins", "doctor")
    assert status == 0 and said.endswith("0 broken plugins, 0 missing targets\n") and said.count("\n") == 1, said


def test_their_own_tests_pass(place: Place) -> None:
    """Both suites, as their authors would run them."""
    pytest_of = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    running = [place.start(*pytest_of, cwd=folder) for folder in (EXAMPLE, place.plugin)]
    for process, least in zip(running, (30, 60), strict=True):
        status, said = ended(process)
        assert status == 0, said[-3000:]
        passed = [line for line in said.splitlines() if " passed" in line][-1]
        assert int(passed.split(" passed")[0].split()[-1]) >= least and "skipped" not in passed


def test_a_plugins_command_is_found(place: Place) -> None:
    """And a misspelt one is known by it."""
    assert place("gansemble", "bandnoise-curve", "--help")[0] == 0
    status, said = place("gansemble", "bandnose-curve")
    assert status == 2 and "did you mean 'bandnoise-curve'?" in said


def test_a_recipe_with_their_parts_trains(trained: Path) -> None:
    """Two lines of YAML put them in; the checkpoint says what it needs."""
    saved = (trained / "checkpoints" / "step-00000006" / "recipe.yaml").read_text()
    assert "use: acorn" in saved and "use: band_noise" in saved
    for name in ("acorn", "bandnoise"):
        assert f"{name}: gansemble-{name}>=0.1.0" in saved


def test_the_recipe_check_of_a_plugin_is_heard(place: Place) -> None:
    """A band above half the sample rate is told at its key, before anything is built."""
    conf = place.recipe / "conf" / "mini.yaml"
    status, said = place("gansemble", "check", conf, "--set", "noise_injector.high_hz=12000")
    assert status == 1 and "noise_injector.high_hz: must be at most half the sample rate, which is 11025 Hz" in said


def test_a_missing_plugin_is_named_by_the_recipe_that_asks_for_it(uninstalled: Place) -> None:
    """Its ``plugins:`` section says how to get it."""
    write_recipe(uninstalled, GENERATOR, 'plugins: {acorn: "gansemble-acorn>=0.1"}')
    status, said = uninstalled.run_sh("--stage", 3, "--stop-stage", 3, "--exp", uninstalled.root / "fresh")
    assert status == 1, said
    assert "mini.yaml" in said and "plugin 'acorn' is not installed" in said and "no generator named 'acorn'" in said
    assert "pip install 'gansemble-acorn>=0.1'" in said and "Stage 3 train failed" in said


def test_a_missing_plugin_is_named_by_the_experiment_that_used_it(uninstalled: Place, trained: Path) -> None:
    """Without a ``plugins:`` section the experiment remembers; nothing of it changes."""
    write_recipe(uninstalled, GENERATOR, INJECTOR)
    checkpoints = sorted(path.name for path in (trained / "checkpoints").iterdir())
    status, said = uninstalled.run_sh("--stage", 3, "--stop-stage", 3, "--set", "plan.steps=12")
    assert status == 1, said
    assert "no generator named 'acorn'" in said and "no noise_injector named 'band_noise'" in said
    for name in ("acorn", "bandnoise"):
        assert f"used plugin {name!r}; get it with: pip install 'gansemble-{name}>=0.1.0'" in said
    assert sorted(path.name for path in (trained / "checkpoints").iterdir()) == checkpoints


def test_a_missing_plugin_is_named_by_a_part_that_says_its_plugin(uninstalled: Place) -> None:
    """``plugin/name`` names it without any section or experiment."""
    write_recipe(uninstalled, "generator: {use: acorn/acorn}")
    status, said = uninstalled.run_sh("--stage", 3, "--stop-stage", 3, "--exp", uninstalled.root / "fresher")
    assert status == 1, said
    assert "generator acorn/acorn: plugin 'acorn' is not installed" in said and "(pip install …)" in said


def test_synthesis_from_the_experiment_names_what_it_lacks(uninstalled: Place, trained: Path) -> None:
    """The checkpoint's own recipe knows the distribution."""
    clip = min((uninstalled.recipe / "data" / "mini").rglob("*.wav"))
    status, said = uninstalled("gansemble", "synthesise", "--exp", trained, "--input", clip, "--output", "out")
    assert status == 1, said
    assert "plugin 'acorn' is not installed; get it with: pip install 'gansemble-acorn>=0.1.0'" in said
    assert "Traceback" not in said


def test_the_others_recipes_do_not_notice(uninstalled: Place) -> None:
    """A recipe without their parts is as sound as before."""
    assert uninstalled("gansemble", "check", uninstalled.recipe / "conf" / "v1.yaml")[0] == 0


def test_none_of_it_changed_the_repository(before: str, uninstalled: Place) -> None:
    """Installing, training and uninstalling leave its tracked files as they were."""
    assert tracked() == before
