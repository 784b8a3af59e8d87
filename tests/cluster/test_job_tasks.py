"""What runs on each machine of a job: signals, the end with the state saved, and what an attempt that follows is told."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gansemble.cluster import meeting, records
from gansemble.cluster.task import LOCAL_AGAIN, Place, Task
from gansemble.errors import GansembleError

#: Saves when it is asked to leave by SIGTERM, which it says; is it asked by SIGUSR1 itself, it dies of that.
SAVES = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("ready", flush=True)
time.sleep(60)
"""


def task(tmp_path, script="", **more):
    words = (sys.executable, "-c", script)
    return Task("train", words, tmp_path, tmp_path / "exp", tmp_path / "jobs", {}, **more)


def local(**more):
    return Place("local", "7", 0, **more)


@pytest.mark.parametrize(("script", "status"), [("", 0), ("raise SystemExit(3)", 3)])
def test_the_end_of_a_command_is_the_tasks_and_is_noted(tmp_path, script, status):
    assert task(tmp_path, script).run(local()) == status
    [note] = records.tasks(tmp_path / "jobs", "7")
    assert note["status"] == status and note["attempt"] == 0 and note["ended"] >= note["began"]


def test_one_that_was_killed_counts_as_a_shell_does(tmp_path):
    assert task(tmp_path, "import os; os.kill(os.getpid(), 9)").run(local()) == 128 + 9


@pytest.mark.parametrize(("executor", "status"), [("local", LOCAL_AGAIN), ("slurm", 75)])
def test_a_saved_state_ends_the_task_so_that_the_job_is_run_again(tmp_path, executor, status):
    """Locally by submitit's controller; of SLURM, the job's script queues it again when all its tasks have ended."""
    attempt = None if executor == "local" else 0
    place = Place(executor, "7", 0, attempt=attempt)
    assert task(tmp_path, "raise SystemExit(75)", requeues=1).run(place) == status


def test_a_local_job_is_run_again_no_more_often_than_allowed(tmp_path):
    job = task(tmp_path, "raise SystemExit(75)", requeues=2)
    assert [job.run(local()) for _ in range(3)] == [LOCAL_AGAIN, LOCAL_AGAIN, 75]


def test_a_cancelled_job_is_not_run_again(tmp_path):
    records.cancel(tmp_path / "jobs", ["7"])
    assert task(tmp_path, "raise SystemExit(75)", requeues=2).run(local()) == 75


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_a_warning_reaches_the_command_as_one_request_to_save(tmp_path, number):
    """Also where SLURM sends it to every process of the job: the command itself takes no notice of SIGUSR1."""
    driver = f"""
import sys
from pathlib import Path
from gansemble.cluster.task import Place, Task
folder = Path(sys.argv[1])
job = Task("train", (sys.executable, "-c", {SAVES!r}), folder, folder / "exp", folder / "jobs", {{}})
sys.exit(job.run(Place("slurm", "7", 0, "n1", 0)))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", driver, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stdout.readline() == "ready\n"
    own = [int(pid) for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
    assert len(own) == 1
    if number != signal.SIGTERM:
        os.kill(own[0], number)
        time.sleep(0.2)
    child.send_signal(number)
    assert child.wait(20) == 75
    [note] = records.tasks(tmp_path / "jobs", "7")
    assert note["status"] == 75


@pytest.mark.parametrize("then", ["time.sleep(60)", "time.sleep(0.5); sys.exit(1)"])
def test_a_command_that_was_asked_to_leave_before_it_had_anything_to_save_begins_again(tmp_path, then):
    """Whether it dies of that, or fails because a process of another machine has."""
    handler = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if "exit" in then else ""
    script = f"import os, signal, sys, time; {handler}os.kill(os.getppid(), signal.SIGUSR1); {then}"
    assert task(tmp_path, script).run(Place("slurm", "7", 0, "n1", 0)) == 75


def test_a_later_attempt_goes_on_and_sets_nothing_aside_that_the_first_has_made(tmp_path):
    job = task(tmp_path, "raise SystemExit(75)", force=True, requeues=5)
    job.run(local())
    note = records.task(tmp_path / "jobs", "7", 0)
    assert job._again(note) == ["--force"]
    job.run(local())
    note = records.task(tmp_path / "jobs", "7", 0)
    assert note["attempt"] == 1 and job._again(note) == ["--force", "--force-unlock"]
    (tmp_path / "exp" / "checkpoints" / "step-00000003").mkdir(parents=True)
    assert job._again(note) == ["--force-unlock"]


def test_machines_of_a_job_meet_where_its_first_one_says(tmp_path):
    job = task(tmp_path, processes=4, machines=2)
    first = job._together(Place("local", "7", 0), 0)
    second = job._together(Place("local", "7", 1), 0)
    assert first[-2:] == second[-2:] and first[-4:-2] == ["--main-address", "127.0.0.1"]
    assert first[:4] == ["--num-processes", "4", "--num-machines", "2"]
    assert (first[4:6], second[4:6]) == (["--machine-rank", "0"], ["--machine-rank", "1"])
    again = job._together(Place("local", "7", 0), 1)
    assert again[-1] != first[-1], "an attempt that follows meets anew"


def test_a_first_machine_that_never_comes_is_waited_for_within_a_bound(tmp_path):
    with pytest.raises(GansembleError, match="was not written within 0 s; the first machine of the job did not start"):
        meeting.arranged(tmp_path / "meeting.json", False, "", wait=0.1)


def test_the_address_of_a_node_is_the_one_that_slurm_reaches_it_by(programs):
    programs.make("scontrol", "echo 'NodeName=n1 NodeAddr=10.0.0.7 NodeHostName=alpha'")
    assert meeting.address_of("n1") == "10.0.0.7"
    assert programs.called() == ["scontrol show node n1 --oneliner"]
    assert meeting.address_of("") == "127.0.0.1"
