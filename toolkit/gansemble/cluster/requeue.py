"""Queues a job of SLURM again where its tasks have saved their state: the last line of each job's script.

``python -m gansemble.cluster.requeue JOBS MOST STATUS`` runs when all tasks of the job have ended. In a task it would end the others
while they save. Imports no torch.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gansemble.cluster import records
from gansemble.errors import Interrupted

#: How long SLURM's programs may take to answer [s].
PATIENCE = 60.0


#: Exit statuses of tasks that the request to save and leave has ended before they could hear it.
TOO_EARLY = tuple(128 + number for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2))


def wanted(tasks: Sequence[records.TaskRecord], attempt: int, status: int) -> bool:
    """Whether a job is to go on: a task has saved its state, or was asked to before it had begun, and none has failed.

    One that has noted no end was killed, or its node failed; the others have then saved what they could.

    Args:
        tasks: what they noted.
        attempt: the one that has ended now; what earlier ones noted is of no account.
        status: the exit status of all tasks together, the highest of theirs.
    """
    ends = {task["status"] for task in tasks if task["attempt"] == attempt and "status" in task}
    return ends <= {0, Interrupted.exit_code} and (Interrupted.exit_code in ends or status in TOO_EARLY)


def again(jobs: Path, most: int, status: int) -> str:
    """Queues the job of this process's environment again where it is to go on.

    Args:
        jobs: the folder of its records.
        most: how often.
        status: the exit status of its tasks.

    Returns:
        What was done, for the log; empty where there was nothing to do.
    """
    number, array = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else number
    attempt = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    if not wanted(records.tasks(jobs, job), attempt, status):
        return ""
    if records.cancelled(jobs, job) or _state(number) == "CANCELLED":
        return f"Job {job} was cancelled; what it has done is saved."
    if attempt >= most:
        return (
            f"Job {job} has saved its state, and is not queued again: cluster.requeues allows {most} times. Give the same command "
            "again to go on."
        )
    asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=PATIENCE)
    if asked.returncode:
        return f"Job {job} has saved its state, and SLURM refuses to queue it again: {asked.stderr.strip()}"
    return (
        f"Job {job} has left with what it has done saved, and is queued again ({attempt + 1} of at most {most} times)."
    )


def _state(number: str) -> str:
    """SLURM's word for the state of a job; empty where it does not answer."""
    try:
        told = subprocess.run(
            ["scontrol", "show", "job", number, "--oneliner"], capture_output=True, text=True, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\bJobState=(\w+)", told.stdout)
    return found[1] if found is not None else ""


def main(words: Sequence[str]) -> None:
    """Runs the program."""
    try:
        said = again(Path(words[0]), int(words[1]), int(words[2]))
    except (OSError, subprocess.TimeoutExpired) as error:
        said = f"The job has saved its state, and could not be queued again: {error}"
    if said:
        sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
