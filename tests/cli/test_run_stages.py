"""``run``: the stages of a recipe, one after the other, given a file or a folder."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.stages import STAGES

NAMES = [stage.name for stage in STAGES]
#: Notes the process of each training, and stops one where a file says so.
WATCHING = """
import os
from pathlib import Path
from gansemble import hookimpl
from gansemble.errors import Interrupted

HERE = Path(__file__).parent

@hookimpl
def gansemble_register(register):
    pass

@hookimpl
def gansemble_run_start(run):
    with (HERE / "trained").open("a") as stream:
        stream.write(f"{os.getpid()} {os.getpgid(0)}\\n")
    if (HERE / "stop").exists():
        type(run)._step = stop

def stop(self, batches):
    raise Interrupted("stopped after step 2 of 4")
"""


@pytest.fixture
def corpus(tmp_path):
    """Five sounds of a third of a second."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    source = np.random.default_rng(0)
    for number in range(5):
        time = np.arange(int(22050 * source.uniform(0.3, 0.4))) / 22050
        tone = 0.3 * np.sin(2 * np.pi * source.uniform(100, 4000) * time)
        soundfile.write(folder / f"clip{number}.wav", tone + 0.05 * source.standard_normal(len(time)), 22050)
    return folder


@pytest.fixture
def run(gansemble, tiny, corpus, tmp_path, monkeypatch):
    """``run(words…)`` of the tiny recipe on the sounds, in folders of its own."""
    places = ["--exp", tmp_path / "exp", "--data", corpus, "--dump", tmp_path / "dump"]
    (tmp_path / "watching.py").write_text(WATCHING)
    monkeypatch.delitem(sys.modules, "watching", raising=False)  # that of another test, from another folder
    return lambda *words: gansemble("run", tiny, *places, "--plugin", tmp_path / "watching.py", *words)


def stages(out: str) -> list[str]:
    """The stages that spoke, each once, in their order; ``name!`` was run, ``name`` was not."""
    said: dict[str, str] = {}
    for line in out.splitlines():
        if line.startswith("stage "):
            name, _, rest = line.split(maxsplit=2)[2].partition(": ")
            said[name] = f"{name}!" if rest.startswith("done in") else said.get(name, name)
    return list(said.values())


@pytest.mark.recipe
def test_all_stages_run_and_then_are_up_to_date(run, tmp_path):
    status, out, err = run("--jobs", "1")
    assert status == 0, err
    ((process, group),) = (line.split() for line in (tmp_path / "trained").read_text().splitlines())
    assert process == group != str(os.getpgid(0)), "the training is the head of a process group of its own"
    done = f"Experiment: {tmp_path}/exp\n"
    assert stages(out) == [f"{name}!" for name in NAMES] and out.endswith(f"Done: stages 0 to 6. {done}")
    for made in ("checkpoints/step-00000004/manifest.json", "scores/summary.json", "report/index.html"):
        assert (tmp_path / "exp" / made).is_file(), made

    status, out, _ = run()
    assert (status, stages(out), out.count("up to date (")) == (0, NAMES, 7)

    status, out, _ = run("--stage", "4", "--stop-stage", "evaluate", "--force")
    assert (status, stages(out)) == (0, ["synthesise!", "evaluate!"]) and out.endswith(f"Done: stages 4 to 5. {done}")
    assert "stage 4 synthesise: generate the held-out clips (forced)\n" in out

    status, out, _ = run("--stage", "report", "--set", "evaluation.shown=1")
    assert (status, stages(out)) == (0, ["report!"])

    status, out, _ = run("--set", "plan.batch_size=1", "--dry-run")
    assert status == 0 and "plan.batch_size: 2 -> 1" in out and "done" not in out.lower()
    assert len((tmp_path / "trained").read_text().splitlines()) == 1


def test_a_dry_run_makes_nothing(run, tmp_path):
    status, out, _ = run("--dry-run")
    assert status == 0 and stages(out) == NAMES and "done" not in out
    assert not (tmp_path / "exp").exists() and not (tmp_path / "dump").exists()


def test_stages_by_number_and_by_name_are_the_same(run):
    by_number, by_name = (
        run("--dry-run", "--stage", first, "--stop-stage", last) for first, last in (("1", "3"), ("prepare", "train"))
    )
    assert by_number == by_name and stages(by_number[1]) == ["prepare", "statistics", "train"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--stage", "train", "--stop-stage", "1"), "nothing to run: --stage 3 (train) comes after --stop-stage 1 (prepare)\n"),
        (("--stage", "trian"), "--stage trian: no such stage; did you mean 'train'?; stages are 0 to 6, or: fetch prepare "),
        (("--stop-stage", "7"), "--stop-stage 7: no such stage; stages are 0 to 6, or: fetch prepare "),
        (("--fource",), "unknown option --fource; did you mean '--force'?; see gansemble run --help\n"),
        (("--config", "v1"), "--config chooses a recipe of a folder, and "),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(run, tmp_path, words, message):
    status, out, err = run(*words)
    assert (status, out) == (2, "") and err.startswith(f"gansemble run: {message}") and not (tmp_path / "exp").exists()


def test_an_error_names_its_stage_and_stops_what_follows(run, corpus, tmp_path):
    for path in list(corpus.iterdir())[1:]:
        path.unlink()
    status, out, err = run("--jobs", "1")
    assert (status, stages(out)) == (1, ["fetch!", "prepare!", "statistics!", "train"]), err
    assert err.startswith(f"error: {tmp_path}/dump/manifest.jsonl: no clip is in the validation split")
    assert "\nStage 3 train failed (exit 1); its last lines are above.\nThe same would fail again: mend " in err
    assert "Then continue with: gansemble run " in err


def test_a_stage_before_that_was_not_done_is_named(run):
    status, _, err = run("--stage", "synthesise")
    assert status == 1 and err.startswith("error: stage 4 synthesise: ") and "stage 1 prepare has not been done" in err


def test_a_wrong_recipe_is_refused_in_the_first_stage(run, tmp_path):
    status, _, err = run("--set", "plan.setps=3")
    assert status == 1 and err.startswith("error: --set:1:1: plan.setps: plan takes no such parameter")
    assert "Mend the recipe, or the --set" in err and "ontinue with" not in err, "a command that must fail again"
    assert "Stage 0 fetch failed" in err and not (tmp_path / "exp").exists()


@pytest.mark.recipe
def test_an_interruption_keeps_its_exit_code(run, tmp_path):
    (tmp_path / "stop").touch()
    status, out, err = run("--jobs", "1")
    assert status == 75
    ended = "Interrupted; nothing was saved beyond what was there before."  # by the part that stands in for training
    assert f"\nstopped after step 2 of 4\n{ended}\nContinue with: " in err
    assert err.endswith(" --stage 3\n")
    assert stages(out) == ["fetch!", "prepare!", "statistics!", "train"]


# a recipe's folder --------------------------------------------------------

SPECDIFF = Path(__file__).parents[2] / "egs" / "ljspeech" / "specdiff"


def test_a_folder_stands_for_the_configuration_that_its_run_sh_names(gansemble, tmp_path):
    places = ["--exp", tmp_path / "exp", "--data", tmp_path / "data", "--dump", tmp_path / "dump"]
    places += ["--dry-run", "--stage", "6"]
    file = gansemble("run", SPECDIFF / "conf" / "v1.yaml", *places)
    assert file[0] == 0 and gansemble("run", SPECDIFF, *places) == file
    assert gansemble("run", SPECDIFF, "--config", "v2", *places)[0] == 0


def test_a_folder_without_a_run_sh_lists_its_configurations_where_there_are_several(gansemble, tmp_path):
    (tmp_path / "mine" / "conf").mkdir(parents=True)
    for name in ("one", "two", "mini"):
        (tmp_path / "mine" / "conf" / f"{name}.yaml").touch()
    status, _, err = gansemble("run", "mine")
    assert status == 2
    assert "has no run.sh that names a configuration; choose with --config: mini.yaml one.yaml two.yaml" in err


def test_a_recipe_that_is_not_there_is_named(gansemble):
    status, _, err = gansemble("run", "nowhere.yaml")
    assert (status, err) == (
        2,
        "gansemble run: nowhere.yaml: no such recipe; give a recipe file, a recipe's folder, or an address that "
        "gansemble recipes list shows\n",
    )
    status, _, err = gansemble("run")
    assert status == 2 and err.startswith("gansemble run: give a recipe file, a recipe's folder, or the address")


def test_the_help_of_a_folder_begins_with_what_its_run_sh_says_of_itself(gansemble):
    status, out, _ = gansemble("run", SPECDIFF, "--help")
    assert status == 0 and out.startswith("SpecDiff-GAN on LJSpeech: ") and "small.yaml" in out
    assert gansemble("run", "-h")[1].startswith("Usage: gansemble run RECIPE [options]\n")
    assert max(map(len, out.splitlines()[1:])) <= 100
