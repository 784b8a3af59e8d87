"""What is told of an experiment's jobs, from SLURM's queue and their own notes, and how they are ended."""

import json
import os
import socket

import pytest
from click.testing import CliRunner

from gansemble.cluster import jobs, records
from gansemble.errors import GansembleError


def submitted(exp, *rows, executor="slurm", run=100.0):
    """Notes submissions: (stage, number, what each job of an array is for)."""
    for stage, number, elements in rows:
        row = {"run": run, "stage": stage, "job": number, "elements": elements, "executor": executor, "at": run}
        records.note_submission(exp / "jobs", row)


def noted(exp, job, status=None, task=0, node="n1", attempt=0):
    record = {"job": job, "task": task, "attempt": attempt, "node": node, "pid": 1, "began": 200.0, "training": []}
    records.note_task(exp / "jobs", record if status is None else {**record, "ended": 300.0, "status": status})


def squeue(programs, *lines):
    programs.make("squeue", "\n".join(f"echo '{line}'" for line in lines))


def words(exp):
    return [(job.number, job.word, job.node, job.reason) for job in jobs.found(exp)[0]]


def test_queued_and_running_jobs_are_told_with_their_reason_and_their_nodes(tmp_path, programs):
    submitted(tmp_path, ("prepare", "10", ["1/2", "2/2"]), ("train", "11", []))
    squeue(
        programs,
        "10_0|RUNNING|n1|None|2026-11-30T10:00:00",
        "10_1|PENDING||Resources|N/A",
        "11|PENDING||Dependency|N/A",
        "999|RUNNING|n9|None|N/A",
    )
    assert words(tmp_path) == [
        ("10_0", "running", "n1", ""),
        ("10_1", "queued", "", "Resources"),
        ("11", "queued", "", "Dependency"),
    ]
    assert "--user=" in programs.called()[0], "others' jobs may be many thousands"
    lines = jobs.told(tmp_path)
    assert lines[0] == "jobs:"
    assert lines[1].split() == ["prepare", "1/2", "10_0", "running", "on", "n1,", "since", "2026-11-30T10:00:00"]
    assert lines[3].startswith("  train       11         queued since ") and lines[3].endswith(
        ", Dependency (it waits for the job before it)"
    )


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ([0, 0], ("12", "done", "n1,n2", "")),
        ([75, 75], ("12", "saved", "n1,n2", "the same command goes on")),
        ([75, 3], ("12", "failed", "n1,n2", "exit 3; see its log")),
        ([0, None], ("12", "gone", "n1,n2", "killed, or its node failed; see its log")),
        ([], ("12", "gone", "", "it did not begin: a job before it failed, or it was cancelled")),
    ],
)
def test_how_a_job_ended_is_known_from_its_tasks(tmp_path, programs, ends, told):
    squeue(programs)
    submitted(tmp_path, ("train", "12", []))
    for number, end in enumerate(ends):
        noted(tmp_path, "12", end, number, f"n{number + 1}")
    assert words(tmp_path) == [told]


def test_a_job_that_was_cancelled_is_told_as_such(tmp_path, programs):
    squeue(programs)
    submitted(tmp_path, ("prepare", "11", []), ("train", "12", []))
    noted(tmp_path, "12", 75)
    records.cancel(tmp_path / "jobs", ["11", "12"])
    assert words(tmp_path) == [("11", "cancelled", "", ""), ("12", "cancelled", "n1", "what it has done is saved")]


def test_how_often_a_job_was_queued_again_is_told(tmp_path, programs):
    squeue(programs, "12|RUNNING|n1|None|N/A")
    submitted(tmp_path, ("train", "12", []))
    noted(tmp_path, "12", attempt=2)
    assert jobs.told(tmp_path)[1].endswith("queued again 2 times")
    noted(tmp_path, "12", 75, attempt=2)
    squeue(programs, "12|PENDING||BeginTime|N/A")
    assert jobs.told(tmp_path)[1].endswith("queued again 3 times"), "and now it waits for the fourth attempt"


def test_jobs_of_an_array_that_wait_alike_are_told_in_one_line(tmp_path, programs):
    submitted(tmp_path, ("prepare", "10", [f"{n}/50" for n in range(1, 51)]))
    squeue(programs, *(f"10_{n}|{'RUNNING|n1|None' if n < 2 else 'PENDING||Priority'}|N/A" for n in range(50)))
    lines = jobs.told(tmp_path)
    assert len(lines) == 4 and "prepare (48 jobs)" in lines[3] and "Priority" in lines[3]


def test_only_the_last_submission_is_told_and_nothing_once_all_is_done(tmp_path, programs):
    squeue(programs)
    submitted(tmp_path, ("train", "5", []), run=50.0)
    submitted(tmp_path, ("train", "12", []))
    noted(tmp_path, "12", 0)
    assert words(tmp_path) == [("12", "done", "n1", "")]
    assert jobs.told(tmp_path) == []


def test_what_an_earlier_submission_has_left_in_the_queue_is_told_too(tmp_path, programs):
    """As of a matrix, some of whose cells were submitted before the others."""
    submitted(tmp_path, ("cells", "5", ["a"]), ("cells", "6", []), run=50.0)
    submitted(tmp_path, ("cells", "12", []))
    squeue(programs, "5|RUNNING|n1|None|N/A", "12|PENDING||Priority|N/A")
    assert [(number, word) for number, word, _, _ in words(tmp_path)] == [("5", "running"), ("12", "queued")]


def test_where_slurm_does_not_answer_that_is_told(tmp_path, programs):
    programs.make("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    submitted(tmp_path, ("train", "12", []))
    told = "\n".join(jobs.told(tmp_path))
    assert "unknown" in told and "Unable to contact slurm controller" in told
    with pytest.raises(GansembleError, match="nothing was cancelled: squeue: slurm_load_jobs error"):
        jobs.cancel(tmp_path, now=False)


def test_an_experiment_without_jobs_asks_nobody(tmp_path, programs):
    squeue(programs)
    assert jobs.found(tmp_path) == ([], "") and jobs.told(tmp_path) == [] and programs.called() == []


def test_damaged_notes_are_passed_over(tmp_path, programs):
    squeue(programs)
    submitted(tmp_path, ("train", "12", []))
    with (tmp_path / "jobs" / "submitted.jsonl").open("a") as file:
        file.write('{"run": 1}\nnot JSON\n')
    noted(tmp_path, "12", 0)
    (tmp_path / "jobs" / "tasks" / "12-1.json").write_text("{")
    assert words(tmp_path) == [("12", "done", "n1", "")]


def test_cancelling_empties_the_queue_and_lets_what_runs_save(tmp_path, programs):
    squeue(programs, "10|RUNNING|n1|None|N/A", "11|PENDING||Dependency|N/A")
    programs.make("scancel")
    submitted(tmp_path, ("train", "10", []), ("report", "11", []))
    assert [job.number for job in jobs.cancel(tmp_path, now=False)] == ["10", "11"]
    assert programs.called()[1:] == ["scancel 11", "scancel --signal=USR1 10"]
    assert records.cancelled(tmp_path / "jobs", "10"), "or its script would queue it again"


def test_cancelling_at_once_leaves_it_to_slurm(tmp_path, programs):
    squeue(programs, "10|RUNNING|n1|None|N/A")
    programs.make("scancel")
    submitted(tmp_path, ("train", "10", []))
    jobs.cancel(tmp_path, now=True)
    assert programs.called()[1:] == ["scancel 10"]


def test_a_second_submission_waits_for_the_end_of_the_first(tmp_path, programs):
    submitted(tmp_path, ("train", "10", []))
    squeue(programs, "10|RUNNING|n1|None|N/A")
    with pytest.raises(GansembleError, match=r"has jobs that have not ended:\n  train       10 "):
        jobs.demand_none(tmp_path)
    squeue(programs)
    noted(tmp_path, "10", 1)
    jobs.demand_none(tmp_path)


def test_a_local_job_runs_as_long_as_its_process_is_there(tmp_path):
    submitted(tmp_path, ("train", str(os.getpid()), []), executor="local")
    noted(tmp_path, str(os.getpid()), node=socket.gethostname())
    assert [job.word for job in jobs.found(tmp_path)[0]] == ["running"]


def test_the_command_says_what_it_ends_and_what_there_is_not(tmp_path, programs):
    from gansemble.cli.cancel import cancel

    squeue(programs, "10|RUNNING|n1|None|N/A", "11|PENDING||Dependency|N/A")
    programs.make("scancel")
    submitted(tmp_path, ("train", "10", []), ("report", "11", []))
    lines = CliRunner().invoke(cancel, [str(tmp_path)]).output.splitlines()
    assert lines[:2] == ["train 10 saves its state and leaves", "report 11 leaves the queue"]
    squeue(programs)
    assert "no jobs are queued or running" in CliRunner().invoke(cancel, [str(tmp_path)]).output
    missing = CliRunner().invoke(cancel, [str(tmp_path / "none")])
    assert isinstance(missing.exception, GansembleError) and "no such folder" in str(missing.exception)


def test_status_shows_jobs_beside_the_stages(tmp_path, programs, mark_done):
    from gansemble.cli.status import status
    from gansemble.stages import Project

    recipe = tmp_path / "r.yaml"
    recipe.write_text("corpus: {use: folder}\n")
    project = Project.of(recipe, exp=tmp_path / "exp", data=tmp_path / "data")
    project.exp.mkdir()
    project.remember()
    mark_done(project, ["fetch"])
    squeue(programs, "11|PENDING||Priority|N/A")
    submitted(project.exp, ("train", "11", []))
    text = CliRunner().invoke(status, [str(project.exp)]).output
    assert text.splitlines()[-2] == "jobs:" and "train       11         queued" in text
    rows = json.loads(CliRunner().invoke(status, [str(project.exp), "--json"]).output)
    assert [(row["name"], [job["reason"] for job in row["jobs"]]) for row in rows if row["jobs"]] == [
        ("train", ["Priority"])
    ]
