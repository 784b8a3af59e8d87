"""run.sh: what it accepts, what it refuses and in which words. No stage does any work here."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from gansemble.cli.run_options import OPTIONS

EGS = Path(__file__).parents[2] / "egs"
SPECDIFF = EGS / "ljspeech" / "specdiff" / "run.sh"
RUNNERS = sorted(EGS.glob("*/*/run.sh"))
STAGES = ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate", "report")


class Runner:
    """run.sh called from a folder of its own, with nothing to download from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = ["--exp", str(folder / "exp"), "--data", str(folder / "data"), "--dump", str(folder / "dump")]

    def __call__(self, *words: str, script: Path = SPECDIFF) -> tuple[int, str]:
        """(exit status, everything printed)."""
        offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
        done = subprocess.run(
            ["bash", script, *words],
            cwd=self.folder,
            env=os.environ | offline | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr

    def left(self) -> list[str]:
        """What was written in the folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@pytest.fixture
def run(tmp_path) -> Runner:
    return Runner(tmp_path)


REFUSED = {
    "--stage two": "--stage two: no such stage; stages are 0 to 6, or: " + " ".join(STAGES),
    "--stage=two": "--stage two: no such stage; stages are 0 to 6, or: " + " ".join(STAGES),
    "--stop-stage 7": "--stop-stage 7: no such stage; stages are 0 to 6, or: ",
    "--stage -1": "--stage -1: no such stage",
    "--stage prep": "--stage prep: no such stage; did you mean 'prepare'?",
    "--stage=": "--stage : no such stage",
    "--stage 5 --stop-stage 3": "nothing to run: --stage 5 (evaluate) comes after --stop-stage 3 (train)",
    "--stage report --stop-stage fetch": "nothing to run: --stage 6 (report) comes after --stop-stage 0 (fetch)",
    "--stages 3": "unknown option --stages; did you mean '--stage'?; see run.sh --help",
    "--stop 3": "unknown option --stop; did you mean '--stop-stage'?; see run.sh --help",
    "--dry": "unknown option --dry; did you mean '--dry-run'?; see run.sh --help",
    "--xyz": "unknown option --xyz; see run.sh --help",
    "--xyz=3": "unknown option --xyz; see run.sh --help",
    "-x": "unexpected word '-x'; options begin with --; see run.sh --help",
    "word": "unexpected word 'word'; options begin with --; see run.sh --help",
    "--stage 2 3": "unexpected word '3'; options begin with --; see run.sh --help",
    "--stage": "--stage needs a value; see run.sh --help",
    "--set": "--set needs a value; see run.sh --help",
    "--set key": "--set key: expected KEY=VALUE, such as losses.mel.weight=30",
    "--config nope": "--config nope: no such file here or in ",
    "--config=": "--config : no such file here or in ",
    "--jobs 0": "--jobs must be a whole number from 1 to 1024, got '0'",
    "--main-port 99999999": "--main-port must be a whole number from 1 to 65535, got '99999999'",
    "--main-port 0": "--main-port must be a whole number from 1 to 65535, got '0'",
    "--machine-rank -1": "--machine-rank must be a whole number from 0 to 65535, got '-1'",
    "--num-processes 999999999": "--num-processes must be a whole number from 1 to 65536, got '999999999'",
    "--jobs two": "--jobs must be a whole number from 1 to 1024, got 'two'",
    "--num-processes 1.5": "--num-processes must be a whole number from 1 to 65536, got '1.5'",
    "--num-machines 2": "--num-machines 2 needs --main-address, the address of machine 0",
    "--num-machines 2 --main-address h --num-processes 3": "--num-processes 3 must be a multiple of --num-machines 2",
    "--mini --config v1": "--mini chooses conf/mini.yaml; leave --config out",
}


@pytest.mark.parametrize("words", REFUSED)
def test_refused_in_one_line_before_anything_runs(run, words):
    status, said = run(*words.split(), "--dry-run") if words.split()[-1] not in ("--stage", "--set") else run(words)
    assert status == 2
    assert said.startswith(f"run.sh: {REFUSED[words]}") and said.count("\n") == 1
    assert run.left() == []


def test_a_flag_given_a_value_is_told_that_it_takes_none(run):
    status, said = run("--force=yes", "--dry-run")
    assert status == 2 and "--force takes no value" in said


def test_an_option_is_not_taken_for_the_value_of_the_one_before(run):
    status, said = run(*run.places, "--stage", "report", "--data", "--dry-run")
    assert status == 2 and "--data needs a value" in said


def test_a_number_with_a_leading_zero_is_no_octal_number(run):
    status, said = run(*run.places, "--stage", "report", "--jobs", "08", "--dry-run")
    assert "Traceback" not in said
    assert status == 0 or said.count("\n") == 1


def test_a_machine_beyond_the_last_is_refused(run):
    machines = ["--num-machines", "2", "--num-processes", "2", "--main-address", "h", "--machine-rank", "2"]
    status, said = run(*run.places, "--stage", "report", *machines, "--dry-run")
    assert status == 2 and "--machine-rank" in said


def test_a_missing_configuration_lists_those_there_are(run):
    _, said = run("--config", "nope", "--dry-run")
    assert all(path.name in said for path in (SPECDIFF.parent / "conf").glob("*.yaml"))


@pytest.mark.parametrize("script", RUNNERS, ids=lambda path: path.parent.name)
def test_help_lists_every_stage_every_option_and_every_configuration(run, script):
    status, said = run("--help", script=script)
    assert status == 0
    lines = [line.split() for line in said.splitlines() if line.strip()]
    assert [line[1] for line in lines if line[0].isdigit()] == list(STAGES)
    options = [option.name for option in OPTIONS]
    assert len(options) >= 20
    assert [option for option in options if f"{option} " not in said] == []
    assert all(path.name in said for path in (script.parent / "conf").glob("*.yaml"))
    assert said.splitlines()[0] == script.read_text().splitlines()[1].removeprefix("# ")


def test_short_help_is_help(run):
    assert run("-h") == run("--help")


def test_stages_are_the_toolkits_own():
    from gansemble.stages import STAGES as OURS

    assert tuple(stage.name for stage in OURS) == STAGES


def test_a_dry_run_names_every_stage_and_writes_nothing(run):
    status, said = run(*run.places, "--dry-run")
    assert status == 0
    assert [line.split(":")[0] for line in said.splitlines()] == [f"stage {n} {name}" for n, name in enumerate(STAGES)]
    assert run.left() == []


def test_a_dry_run_finds_what_is_wrong_with_the_recipe(run):
    status, said = run(*run.places, "--dry-run", "--set", "plan.batch_size=-3")
    assert status == 1 and "plan.batch_size: must be from 1 to 1000000, got -3" in said
    assert run.left() == []


@pytest.mark.parametrize(
    "words", ["--stage 5 --stop-stage 5", "--stage=5 --stop-stage=evaluate", "--stage evaluate --stop-stage 5"]
)
def test_stages_are_chosen_by_number_or_name_with_a_space_or_an_equals_sign(run, words):
    status, said = run(*run.places, "--dry-run", *words.split())
    assert (status, said) == (0, "stage 5 evaluate: score them (to do)\n")


@pytest.mark.parametrize("name", ["v2", "v2.yaml", "conf/v2.yaml"])
def test_a_configuration_is_found_by_its_bare_name(run, name):
    assert run(*run.places, "--dry-run", "--stage", "6", "--config", name)[0] == 0


def test_a_configuration_of_ones_own_is_found_from_where_one_is(run):
    (run.folder / "mine.yaml").write_text(f"include: [{SPECDIFF.parent}/conf/v1.yaml]\n")
    assert run(*run.places, "--dry-run", "--stage", "6", "--config", "mine.yaml")[0] == 0


def test_mini_makes_no_corpus_in_a_dry_run(run):
    status, _ = run(*run.places, "--mini", "--dry-run", "--stage", "6")
    assert status == 0 and run.left() == []


@pytest.mark.parametrize(
    "text", ["$(touch x)", "name=$(touch x)", "name=`touch x`", "name=; touch x", "name=' \" touch x"]
)
def test_what_is_given_is_never_executed(run, text):
    run(*run.places, "--dry-run", "--stage", "6", "--set", text)
    assert run.left() == []


def test_a_failing_stage_shows_how_to_go_on_and_paths_are_relative_to_where_one_is(run):
    words = [
        "--stage",
        "1",
        "--stop-stage=1",
        "--exp",
        "my exp",
        "--data",
        "no where",
        "--dump",
        "packed",
        "--set",
        "name=a b",
    ]
    status, said = run(*words)
    assert status == 1
    assert f"{run.folder}/no where: no such folder" in said
    assert "Stage 1 prepare failed (exit 1); its last lines are above." in said
    again = shlex.split(said.splitlines()[-1].partition("ontinue with: ")[2])
    assert again == [str(SPECDIFF), *words[2:], "--stage", "1"]
    assert not (run.folder / "packed").exists()


def test_a_wrong_override_fails_in_words(run):
    status, said = run(*run.places, "--stage", "1", "--stop-stage", "1", "--set", "plan.segmnet=3")
    assert status == 1
    assert "plan.segmnet: plan takes no such parameter; did you mean 'segment'?" in said and "Traceback" not in said


@pytest.mark.parametrize("script", RUNNERS, ids=lambda path: path.parent.name)
def test_every_runner_is_executable_and_differs_only_in_what_it_is(script):
    assert os.access(script, os.X_OK)
    assert '. "$recipe_dir/../../_shared/recipe.sh"' in script.read_text()
