"""The jobs that SLURM would be given, run by submitit's local executor: the same files, and on again after a warning."""

import pytest

from checkpoint_files import files
from gansemble.cluster import records

pytest.importorskip("submitit", reason="submitit is not installed (extra cluster)")
LOCAL = ("cluster.executor=local", "cluster.nodes=2", "cluster.shards=2")


@pytest.mark.processes
@pytest.mark.end_to_end
def test_two_tasks_make_the_files_of_one_launcher(house, tmp_path):
    """Each task stands for a node; the recordings are packed by two jobs of an array, and put together."""
    alone = house.words(tmp_path / "alone", dump=tmp_path / "dump-alone")
    house.finished(*alone, "--num-processes", "2", "--stop-stage", "train", "--jobs", "1")
    words = house.words(tmp_path / "jobs", *LOCAL, dump=tmp_path / "dump-jobs")
    said = house.finished(*words, "--num-processes", "2", "--stop-stage", "train", "--jobs", "1", slurm=True)
    assert files(tmp_path / "jobs") == files(tmp_path / "alone")
    rows = records.submissions(tmp_path / "jobs" / "jobs")
    assert [(row["stage"], row["elements"]) for row in rows] == [
        ("prepare", ["1/2"]),
        ("prepare", ["2/2"]),
        ("prepare", []),
        ("statistics", []),
        ("train", []),
    ]
    assert "stage 3 train: job" in said and "2 processes on 2 nodes" in said
    again = house.finished(*words, "--num-processes", "2", "--stop-stage", "train", slurm=True)
    assert "Nothing to submit: the stages are up to date" in again


@pytest.mark.processes
def test_a_job_that_is_warned_of_its_time_limit_saves_and_goes_on(prepared, tmp_path):
    """Its minute would do; it is asked to leave 8 s after each beginning, wherever it is then, at most three times."""
    sets = ("plan.steps=300", "plan.save_every=1000")
    words = [*prepared.words(tmp_path / "jobs", *sets), "--stage", "train", "--stop-stage", "train"]
    limits = ("executor=local", "time=1", "signal_delay_s=52", "requeues=3")
    prepared.run(*words, *(word for each in limits for word in ("--set", f"cluster.{each}")), slurm=True)
    [row] = records.submissions(tmp_path / "jobs" / "jobs")
    [note] = records.tasks(tmp_path / "jobs" / "jobs", row["job"])
    assert note["attempt"] >= 1, "the job was never run again"
    prepared.finished(*words)
    prepared.finished(*prepared.words(tmp_path / "alone", *sets), "--stage", "train", "--stop-stage", "train")
    last = "checkpoints/step-00000300/"
    ours, theirs = files(tmp_path / "jobs"), files(tmp_path / "alone")
    assert {name: each for name, each in ours.items() if name.startswith(last)} == {
        name: each for name, each in theirs.items() if name.startswith(last)
    }


@pytest.mark.processes
def test_a_stage_that_fails_ends_the_run_with_its_log_named(prepared, tmp_path):
    words = prepared.words(tmp_path / "exp", "cluster.executor=local")
    done = prepared.run(*words, "--num-processes", "3", "--stage", "train", "--stop-stage", "train", slurm=True)
    assert done.returncode == 1
    [row] = records.submissions(tmp_path / "exp" / "jobs")
    log = records.log(tmp_path / "exp" / "jobs", row["job"])
    assert f"its log is {log}" in done.stdout and "Continue with: gansemble run" in done.stdout
    assert "plan.batch_size" in log.read_text()


@pytest.mark.processes
def test_a_wrong_recipe_is_refused_before_anything_is_submitted(prepared, tmp_path):
    words = prepared.words(tmp_path / "exp", "cluster.executor=local", "plan.batch_size=0")
    done = prepared.run(*words, "--stage", "train", "--stop-stage", "train", slurm=True)
    assert done.returncode == 1 and "plan.batch_size" in done.stderr
    assert not (tmp_path / "exp" / "jobs").exists()


@pytest.mark.processes
def test_what_would_be_submitted_is_told_without_doing_it(house, tmp_path):
    words = house.words(tmp_path / "exp", *LOCAL, dump=tmp_path / "dump")
    said = house.finished(*words, "--dry-run", "--num-processes", "4", slurm=True)
    assert said.splitlines()[:4] == [
        "stage 0 fetch: here",
        "stage 1 prepare: an array of 2 jobs, then a job",
        "stage 2 statistics: a job",
        "stage 3 train: a job of 4 processes on 2 nodes",
    ]
    assert not (tmp_path / "exp").exists() and not (tmp_path / "dump").exists()
