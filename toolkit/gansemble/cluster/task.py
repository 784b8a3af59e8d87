"""What runs on each machine of a job: the command of a stage, its end when the job is asked to leave, and a note of both.

submitit starts one task on each machine; :class:`Task` is what it calls there. Signals come to it alone: SLURM sends one to
every process of a job, and those that the command starts must be asked once.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gansemble.cluster import meeting, records
from gansemble.errors import GansembleError, Interrupted
from gansemble.stages.children import Children
from gansemble.stages.last_words import training_state

#: How a job is told that its time is nearly over, or that another job needs its place; the last is submitit's own choice.
WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)
#: Exit status by which submitit's local executor runs a job again.
LOCAL_AGAIN = 144
#: Names of the variables of MPI, which SLURM may set, and which Accelerate would take for a launcher's.
MPI = ("PMI_", "PMIX_", "OMPI_", "MV2_")


@dataclass(frozen=True)
class Place:
    """Where a task runs.

    Args:
        executor: ``slurm`` or ``local``.
        job: the number of its job.
        task: its number among the tasks of the job, from 0.
        node: SLURM's name of the node; empty where there is no SLURM.
        attempt: how often SLURM has queued the job again; None where SLURM does not count.
    """

    executor: str
    job: str
    task: int
    node: str = ""
    attempt: int | None = None

    @classmethod
    def here(cls) -> Place:
        """The place of this process, which submitit has started."""
        import submitit

        found = submitit.JobEnvironment()
        if found.cluster != "slurm":
            return cls("local", found.job_id, found.global_rank)
        attempt = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        return cls("slurm", found.job_id, found.global_rank, os.environ.get("SLURMD_NODENAME", ""), attempt)


@dataclass(frozen=True)
class Task:
    """The command of a stage as a job.

    Args:
        stage: its name.
        words: the command.
        folder: its working directory.
        exp: the experiment, whose checkpoints are looked at before a job that was queued again begins anew.
        jobs: the folder of the records.
        environment: variables of the command.
        processes: that train together, on all machines; 0 for another stage than training.
        machines: on how many.
        requeues: how often the job is run again after it has saved its state.
        force: begin the training anew, and set aside one that is there.
    """

    stage: str
    words: tuple[str, ...]
    folder: Path
    exp: Path
    jobs: Path
    environment: Mapping[str, str]
    processes: int = 0
    machines: int = 1
    requeues: int = 0
    force: bool = False

    def __call__(self) -> None:
        """Runs the command; this process then ends with its exit status."""
        for name in [name for name in os.environ if name.startswith(MPI)]:
            del os.environ[name]
        status = self.run(Place.here())
        if status:
            sys.stdout.flush()
            sys.exit(status)

    def run(self, place: Place) -> int:
        """Runs the command at a place, and returns the exit status that the task is to end with."""
        record = self._begin(place)
        children = Children()
        with children.listening(WARNINGS):
            try:
                words = [*self.words, *self._again(record), *self._together(place, record["attempt"])]
                status = children.run(words, self.environment, self.folder)
            except GansembleError as error:
                sys.stderr.write(f"error: {error}\n")
                status = error.exit_code
        status = status if status >= 0 else 128 - status
        # Asked to leave while they start, processes die of it or miss each other. A fault of another cause will come again.
        status = Interrupted.exit_code if children.stopped and status else status
        record["ended"], record["status"] = time.time(), status
        records.note_task(self.jobs, record)
        warned = children.received in (None, *WARNINGS) and not records.cancelled(self.jobs, place.job)
        if (
            place.executor == "local"
            and status == Interrupted.exit_code
            and warned
            and record["attempt"] < self.requeues
        ):
            sys.stdout.write(f"The job is run again ({record['attempt'] + 1} of at most {self.requeues} times).\n")
            return LOCAL_AGAIN
        return status

    def _begin(self, place: Place) -> records.TaskRecord:
        """Notes that the task begins, with what was there when its first attempt did."""
        before = records.task(self.jobs, place.job, place.task)
        attempt = place.attempt if place.attempt is not None else 0 if before is None else before["attempt"] + 1
        record: records.TaskRecord = {
            "job": place.job,
            "task": place.task,
            "attempt": attempt,
            "node": place.node or socket.gethostname(),
            "pid": os.getpid(),
            "began": time.time(),
            "training": training_state(self.exp) if before is None or attempt == 0 else before["training"],
        }
        records.note_task(self.jobs, record)
        return record

    def _again(self, record: records.TaskRecord) -> list[str]:
        """Options of an attempt that may begin a run anew, or take what an earlier attempt has left.

        ``--force`` sets the run that is there aside: once this job has saved something, that would be its own. A lock that
        an attempt left on a node that failed is nobody's: SLURM ends a job before it starts it again.
        """
        if self.stage != "train":
            return []
        untouched = record["training"] == training_state(self.exp)
        force = ["--force"] if self.force and untouched else []
        return force + (["--force-unlock"] if record["attempt"] else [])

    def _together(self, place: Place, attempt: int) -> list[str]:
        """Options by which the processes of all machines find each other."""
        if not self.processes:
            return []
        words = ["--num-processes", str(self.processes)]
        if self.machines == 1:
            return words
        file = self.jobs / "meetings" / f"{place.job}-{attempt}.json"
        met = meeting.arranged(file, place.task == 0, meeting.address_of(place.node))
        words += ["--num-machines", str(self.machines), "--machine-rank", str(place.task)]
        return [*words, "--main-address", met["address"], "--main-port", str(met["port"])]
