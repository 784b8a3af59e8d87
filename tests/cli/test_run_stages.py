"""``run``: several stages of a recipe in one process."""

import os

import numpy as np
import pytest
import soundfile

from gansemble.errors import Interrupted
from gansemble.stages import STAGES
from gansemble.training.trainer import Trainer

NAMES = [stage.name for stage in STAGES]


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
def run(gansemble, tiny, corpus, tmp_path):
    """``run(words…)`` of the tiny recipe on the sounds, in folders of its own."""
    places = ["--exp", tmp_path / "exp", "--data", corpus, "--dump", tmp_path / "dump"]
    return lambda *words: gansemble("run", tiny, *places, *words)


def stages(out: str) -> list[str]:
    """The stages that spoke, each once, in their order; ``name!`` was run, ``name`` was not."""
    said: dict[str, str] = {}
    for line in out.splitlines():
        if line.startswith("stage "):
            name, _, rest = line.split(maxsplit=2)[2].partition(": ")
            said[name] = f"{name}!" if rest.startswith("done in") else said.get(name, name)
    return list(said.values())


@pytest.mark.recipe
def test_all_stages_run_in_one_process_and_then_are_up_to_date(run, tmp_path, monkeypatch):
    trained, train = [], Trainer.run

    def watched(self, *arguments):
        trained.append(os.getpid())
        return train(self, *arguments)

    monkeypatch.setattr(Trainer, "run", watched)
    status, out, err = run("--jobs", "1")
    assert (status, trained) == (0, [os.getpid()]), err
    assert stages(out) == [f"{name}!" for name in NAMES] and out.endswith("done: stages 0 to 6\n")
    for made in ("checkpoints/step-00000004/manifest.json", "scores/summary.json", "report/index.html"):
        assert (tmp_path / "exp" / made).is_file(), made

    status, out, _ = run()
    assert (status, stages(out), out.count("up to date (")) == (0, NAMES, 7) and len(trained) == 1

    status, out, _ = run("--stage", "4", "--stop-stage", "evaluate", "--force")
    assert (status, stages(out)) == (0, ["synthesise!", "evaluate!"]) and out.endswith("done: stages 4 to 5\n")
    assert "stage 4 synthesise: generate the held-out clips (forced)\n" in out

    status, out, _ = run("--stage", "report", "--set", "evaluation.shown=1")
    assert (status, stages(out)) == (0, ["report!"]) and len(trained) == 1

    status, out, _ = run("--set", "plan.batch_size=1", "--dry-run")
    assert status == 0 and "plan.batch_size: 2 -> 1" in out and "done" not in out and len(trained) == 1


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
        (
            ("--stage", "train", "--stop-stage", "1"),
            "error: nothing to run: --stage train comes after --stop-stage 1\n",
        ),
        (("--stage", "trian"), "error: no stage 'trian'; did you mean 'train'?; stages: 0 fetch, 1 prepare, "),
        (("--stop-stage", "7"), "error: no stage '7'; stages: 0 fetch, 1 prepare, "),
    ],
)
def test_stages_in_the_wrong_order_or_of_no_name_are_refused(run, tmp_path, words, message):
    status, out, err = run(*words)
    assert (status, out) == (1, "") and err.startswith(message) and not (tmp_path / "exp").exists()


def test_an_error_names_its_stage_and_stops_what_follows(run, corpus, tmp_path):
    for path in list(corpus.iterdir())[1:]:
        path.unlink()
    status, out, err = run("--jobs", "1")
    assert (status, stages(out)) == (1, ["fetch!", "prepare!", "statistics!", "train"]), err
    assert err.startswith(f"error: stage 3 train: {tmp_path}/dump/manifest.jsonl: no clip is in the validation split")


def test_a_stage_before_that_was_not_done_is_named(run):
    status, _, err = run("--stage", "synthesise")
    assert status == 1 and err.startswith("error: stage 4 synthesise: ") and "stage 1 prepare has not been done" in err


def test_a_wrong_recipe_is_refused_in_the_first_stage(run, tmp_path):
    status, _, err = run("--set", "plan.setps=3")
    assert status == 1 and err.startswith("error: stage 0 fetch: --set:1:1: plan.setps: plan takes no such parameter")
    assert not (tmp_path / "exp").exists()


@pytest.mark.recipe
def test_an_interruption_keeps_its_exit_code(run, monkeypatch):
    def stop(self, *arguments):
        raise Interrupted("stopped after step 2 of 4")

    monkeypatch.setattr(Trainer, "run", stop)
    status, out, err = run("--jobs", "1")
    assert (status, err) == (75, "stopped after step 2 of 4\n")
    assert stages(out) == ["fetch!", "prepare!", "statistics!", "train"]
