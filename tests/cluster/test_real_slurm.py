"""A real SLURM of two nodes on this host: the same files as without it, preempted and queued again, cancelled."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_slurm import SmallSlurm, why_not

from checkpoint_files import files
from gansemble.cluster import jobs, records

pytest.importorskip("submitit", reason="submitit is not installed (extra cluster)")
WHY_NOT = why_not()
pytestmark = [
    pytest.mark.processes,
    pytest.mark.end_to_end,
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]
TWO_NODES = ("cluster.nodes=2", "cluster.time=30", "cluster.partition=low")
TRAIN = ("--stage", "train", "--stop-stage", "train")
LONG = ("plan.steps=150", "plan.save_every=1000")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The daemons of this file's tests, in a folder with a short name, as sockets need."""
    with SmallSlurm(tmp_path_factory.mktemp("s")) as found:
        before = os.environ.get("SLURM_CONF")
        os.environ.update(found.environment)
        yield found
        if before is None:
            os.environ.pop("SLURM_CONF", None)
    assert found.left() == [], "a daemon or a job was left behind"


def until(true, what, seconds=240.0):
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, f"{what()} after {seconds:.0f} s"
        time.sleep(0.3)


def ended(exp: Path, seconds: float = 240.0) -> list[jobs.Job]:
    """The jobs of an experiment, when none is queued or running."""

    def told() -> str:
        logs = "\n".join(path.read_text(errors="replace")[-800:] for path in (exp / "jobs").glob("*_log.out"))
        return "\n".join(jobs.told(exp)) + "\n" + logs

    until(lambda: all(job.word not in jobs.OPEN for job in jobs.found(exp)[0]), told, seconds)
    return jobs.found(exp)[0]


def steps(exp: Path) -> int:
    log = exp / "logs" / "train.jsonl"
    return len(log.read_text().splitlines()) if log.is_file() else 0


def begun_again(slurm, exp: Path, number: str, log: Path) -> None:
    """Waits until a job that was queued again runs.

    SLURM lets it wait for as long as its credentials last; an administrator may shorten it. That is asked for now and then only,
    as each time the job is put back into the queue.
    """
    asked = time.monotonic()

    def runs() -> bool:
        nonlocal asked
        if "running" in {job.word for job in jobs.found(exp)[0]}:
            return True
        if time.monotonic() - asked > 4:
            slurm.ask("scontrol", "update", f"JobId={number}", "StartTime=now")
            asked = time.monotonic()
        return False

    def told() -> str:
        states = slurm.ask("scontrol", "show", "job", number) + slurm.ask("scontrol", "show", "nodes")
        return log.read_text() + "\n" + states

    until(runs, told)


def test_stages_as_jobs_of_two_nodes_make_the_files_of_one_launcher(house, slurm, tmp_path):
    exp = tmp_path / "jobs"
    words = house.words(exp, *TWO_NODES, "cluster.shards=2", dump=tmp_path / "dump-jobs")
    house.finished(*words, "--stop-stage", "train", "--jobs", "1", slurm=True)
    waiting = {job.stage: job.reason for job in jobs.found(exp)[0] if job.word == "queued"}
    assert waiting["train"] == "Dependency"
    refused = house.run(*words, slurm=True)
    assert refused.returncode != 0 and "has jobs that have not ended" in refused.stderr
    alone = house.words(tmp_path / "alone", dump=tmp_path / "dump-alone")
    house.finished(*alone, "--num-processes", "2", "--stop-stage", "train", "--jobs", "1")
    assert {job.word for job in ended(exp)} == {"done"}
    assert files(exp) == files(tmp_path / "alone")
    [train] = [row["job"] for row in records.submissions(exp / "jobs") if row["stage"] == "train"]
    assert [note["node"] for note in records.tasks(exp / "jobs", train)] == ["n1", "n2"]


def test_a_job_preempted_twice_and_queued_again_ends_with_the_files_of_one_that_was_not(prepared, slurm, tmp_path):
    """Once another job takes its place; once SLURM warns it, as it does before a time limit."""
    exp = tmp_path / "jobs"
    prepared.finished(*prepared.words(exp, *LONG, *TWO_NODES), *TRAIN, slurm=True)
    [row] = records.submissions(exp / "jobs")
    number, place = row["job"], exp / "jobs"
    log = records.log(place, number)
    until(lambda: steps(exp) > 5, lambda: log.read_text() if log.exists() else "nothing")
    slurm.ask("sbatch", "--partition=high", "--nodes=2", "--output=/dev/null", "--wrap", "sleep 1")
    until(lambda: "is queued again (1 of" in log.read_text(), log.read_text)
    first = steps(exp)
    begun_again(slurm, exp, number, log)
    until(lambda: steps(exp) > first + 5, log.read_text)
    slurm.ask("scancel", "--signal=USR1", number)
    until(lambda: "is queued again (2 of" in log.read_text(), log.read_text)
    assert steps(exp) < 150, "it was to be interrupted"
    begun_again(slurm, exp, number, log)
    [job] = ended(exp)
    assert (job.word, job.attempts) == ("done", 2)
    prepared.finished(*prepared.words(tmp_path / "alone", *LONG), *TRAIN, "--num-processes", "2")
    last = "checkpoints/step-00000150/"
    ours, theirs = ({n: f for n, f in files(each).items() if n.startswith(last)} for each in (exp, tmp_path / "alone"))
    assert ours == theirs and ours


def test_cancelled_jobs_save_and_are_not_queued_again(prepared, slurm, tmp_path):
    exp = tmp_path / "jobs"
    prepared.finished(*prepared.words(exp, *LONG, *TWO_NODES), "--stage", "train", slurm=True)
    until(lambda: steps(exp) > 5, lambda: "\n".join(jobs.told(exp)))
    said = subprocess.run([sys.executable, "-m", "gansemble", "cancel", str(exp)], capture_output=True, text=True)
    assert said.stdout.splitlines()[0].startswith("train ") and "saves its state and leaves" in said.stdout
    words = {job.stage: (job.word, job.reason) for job in ended(exp, 90)}
    assert words["train"] == ("cancelled", "what it has done is saved")
    assert {word for word, _ in words.values()} == {"cancelled"} and len(words) == 4
    assert list((exp / "checkpoints").glob("step-*"))


def test_what_slurm_refuses_is_told_in_plain_words(prepared, slurm, tmp_path):
    def refusal(*sets):
        words = prepared.words(tmp_path / "exp", *(f"cluster.{each}" for each in sets))
        done = prepared.run(*words, *TRAIN, slurm=True)
        assert done.returncode == 1 and jobs.found(tmp_path / "exp")[0] == []
        return done.stderr

    assert "no partition 'lov'; did you mean 'low'?; it has high, low" in refusal("partition=lov")
    assert "See cluster.gpus_per_node" in refusal("gpus_per_node=1")


def test_a_job_that_slurm_takes_and_will_never_begin_is_told_as_such(prepared, slurm, tmp_path):
    prepared.finished(*prepared.words(tmp_path, "cluster.nodes=3"), *TRAIN, slurm=True)
    until(lambda: jobs.found(tmp_path)[0][0].reason not in ("", "Priority"), lambda: "\n".join(jobs.told(tmp_path)), 60)
    assert ", PartitionConfig (the partition has not as many nodes" in jobs.told(tmp_path)[1]
    jobs.cancel(tmp_path, now=False)
    assert [job.word for job in ended(tmp_path, 30)] == ["cancelled"]
