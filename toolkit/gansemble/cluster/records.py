"""What is known of an experiment's jobs from its own folder: which were submitted, and what each of their tasks noted.

They are in ``jobs/`` of the experiment, beside the logs: a line for each submission in ``submitted.jsonl``, a small file for
each task of a job in ``tasks/``, and an empty one in ``cancelled/`` for each job that the user has cancelled.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from gansemble.stages import json_files

#: Folder of an experiment, or of a matrix, with its jobs' records and logs.
JOBS = "jobs"
SUBMITTED = "submitted.jsonl"


class Submission(TypedDict):
    """A job, or an array of jobs, that was submitted.

    Attributes:
        run: which submission of the user's it belongs to, as the time when that began [s since the epoch].
        stage: its stage; of a matrix, ``cells``.
        job: the scheduler's number of it; of a local one, the process that runs it.
        elements: what each job of an array is for; of a single job, what it is for, or nothing.
        executor: ``slurm`` or ``local``.
        at: when it was submitted [s since the epoch].
    """

    run: float
    stage: str
    job: str
    elements: list[str]
    executor: str
    at: float


class TaskRecord(TypedDict):
    """What a task of a job notes: when it begins, and once more when it ends.

    Attributes:
        job: the number of its job; within an array, ``<array>_<index>``.
        task: its number among the tasks of the job, from 0.
        attempt: how often the job was queued again before.
        node: where it runs.
        pid: its process there.
        began: when [s since the epoch].
        training: the checkpoints that were there when the first attempt began.
        ended: when; missing while it runs, and for ever if it was killed.
        status: its exit status; 75 means that the state is saved.
    """

    job: str
    task: int
    attempt: int
    node: str
    pid: int
    began: float
    training: list[str]
    ended: NotRequired[float]
    status: NotRequired[int]


def submissions(jobs: Path) -> list[Submission]:
    """All that were noted in a ``jobs`` folder, the oldest first; damaged lines are left out."""
    return json_files.sound_rows(jobs / SUBMITTED, Submission).rows


def note_submission(jobs: Path, row: Submission) -> None:
    """Adds a submission to those of a folder."""
    json_files.write_rows(jobs / SUBMITTED, [*submissions(jobs), row])


def ids(row: Submission) -> list[str]:
    """The number of each single job of a submission."""
    count = len(row["elements"])
    return [f"{row['job']}_{index}" for index in range(count)] if count > 1 else [row["job"]]


def log(jobs: Path, job: str, task: int = 0) -> Path:
    """The log of a task, which further attempts are appended to."""
    return jobs / f"{job}_{task}_log.out"


def _task_file(jobs: Path, job: str, task: int) -> Path:
    return jobs / "tasks" / f"{job}-{task}.json"


def note_task(jobs: Path, record: TaskRecord) -> None:
    """Writes what a task notes of itself."""
    json_files.write(_task_file(jobs, record["job"], record["task"]), record)


def task(jobs: Path, job: str, number: int) -> TaskRecord | None:
    """What a task has noted; None if nothing sound is there."""
    try:
        return json_files.read(_task_file(jobs, job, number), TaskRecord, "it is taken for one that has not begun")
    except json_files.DataError:
        return None


def tasks(jobs: Path, job: str) -> list[TaskRecord]:
    """What the tasks of a job have noted, in the order of their numbers."""
    numbers = [path.stem.rpartition("-")[2] for path in (jobs / "tasks").glob(f"{job}-*.json")]
    found = [task(jobs, job, number) for number in sorted(int(each) for each in numbers if each.isdecimal())]
    return [each for each in found if each is not None]


def cancel(jobs: Path, numbers: Sequence[str]) -> None:
    """Notes that the user has cancelled jobs, which are then not queued again."""
    (jobs / "cancelled").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (jobs / "cancelled" / number).touch()


def cancelled(jobs: Path, job: str) -> bool:
    """Whether the user has cancelled a job, or the whole array that it belongs to."""
    return any((jobs / "cancelled" / name).exists() for name in (job, job.partition("_")[0]))


def clock(seconds: float) -> str:
    """A time as it is shown."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
