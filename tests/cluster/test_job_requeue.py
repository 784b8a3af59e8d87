"""A job is queued again where its tasks have saved, a bounded number of times, and not where it failed or was cancelled."""

import pytest

from gansemble.cluster import records, requeue


def note(jobs, task, status=None, attempt=0, job="12"):
    record = {"job": job, "task": task, "attempt": attempt, "node": "n1", "pid": 1, "began": 1.0, "training": []}
    records.note_task(jobs, record if status is None else {**record, "ended": 2.0, "status": status})


@pytest.fixture
def job(tmp_path, monkeypatch, programs):
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    programs.make("scontrol", "echo JobId=12 JobState=RUNNING")
    return tmp_path / "jobs"


@pytest.mark.parametrize(
    ("ends", "status", "wanted"),
    [
        ((75, 75), 75, True),
        ((0, 75), 75, True),
        ((75, None), 137, True),  # the other one was killed, or its node failed
        ((75, 1), 75, False),
        ((0, 0), 0, False),
        ((1,), 1, False),
        ((), 143, True),  # asked to leave before it had begun
        ((), 1, False),
        ((None,), 137, False),  # killed: it would be again
    ],
)
def test_whether_a_job_goes_on(tmp_path, ends, status, wanted):
    for number, end in enumerate(ends):
        note(tmp_path, number, end)
    assert requeue.wanted(records.tasks(tmp_path, "12"), 0, status) is wanted


def test_ends_of_an_earlier_attempt_are_of_no_account(tmp_path):
    note(tmp_path, 0, 75, attempt=0)
    assert requeue.wanted(records.tasks(tmp_path, "12"), 0, 75)
    assert not requeue.wanted(records.tasks(tmp_path, "12"), 1, 1)


def test_a_job_that_has_saved_is_queued_again(job, programs):
    note(job, 0, 75)
    assert (
        requeue.again(job, 3, 75)
        == "Job 12 has left with what it has done saved, and is queued again (1 of at most 3 times)."
    )
    assert programs.called()[-1] == "scontrol requeue 12"


def test_one_job_of_an_array_is_queued_again_alone(job, programs, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "10")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    note(job, 0, 75, job="10_2")
    requeue.again(job, 3, 75)
    assert programs.called()[-1] == "scontrol requeue 10_2"


def test_no_more_often_than_allowed(job, programs, monkeypatch):
    monkeypatch.setenv("SLURM_RESTART_COUNT", "3")
    note(job, 0, 75, attempt=3)
    assert "cluster.requeues allows 3 times" in requeue.again(job, 3, 75)
    assert "scontrol requeue 12" not in programs.called()


def test_not_after_the_user_has_cancelled_it(job, programs):
    note(job, 0, 75)
    records.cancel(job, ["12"])
    assert "was cancelled" in requeue.again(job, 3, 75)
    assert programs.called() == []


def test_nor_where_slurm_was_told_to(job, programs):
    programs.make("scontrol", "echo JobId=12 JobState=CANCELLED")
    note(job, 0, 75)
    assert "was cancelled" in requeue.again(job, 3, 75)


def test_a_refusal_of_slurm_is_told(job, programs):
    programs.make(
        "scontrol", 'if [ "$1" = requeue ]; then echo "Requested operation is presently disabled" >&2; exit 1; fi'
    )
    note(job, 0, 75)
    assert "refuses to queue it again: Requested operation is presently disabled" in requeue.again(job, 3, 75)
