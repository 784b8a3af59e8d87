"""Submits tasks through submitit, to SLURM or to processes of this machine, and says in plain words why that fails."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from gansemble.cluster import queue, records
from gansemble.cluster.settings import Settings
from gansemble.cluster.task import Task
from gansemble.errors import GansembleError, MissingNeed, near

#: How long srun waits for the other tasks of a job when one has ended [s]; one that hangs would hold its nodes for ever.
LAST_TASKS = 300
POLL_SECONDS = 0.1
#: Beginnings of variables by which processes that train together know each other.
OF_A_JOB = ("MASTER_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
#: What sbatch says of settings, by a part of it, with the setting it is about and what to do.
REFUSALS = (
    ("invalid partition", "partition", "sinfo lists the partitions"),
    ("invalid account", "account", "sacctmgr show associations user=$USER lists the accounts"),
    ("invalid qos", "qos", "sacctmgr show associations user=$USER lists the qualities of service"),
    ("invalid feature", "constraint", "sinfo --format=%f lists the features of nodes"),
    ("time limit", "time", "sinfo --format='%P %l' shows the longest time of each partition"),
    ("gres", "gpus_per_node", "sinfo --format='%P %G' shows the GPUs of the nodes"),
    ("memory", "mem_gb", "sinfo --format='%P %m' shows the memory of the nodes [MB]"),
    ("node count", "nodes", "sinfo shows how many nodes each partition has"),
    (
        "node configuration",
        "cpus_per_task, gpus_per_node or mem_gb",
        "sinfo --format='%P %c %m %G' shows what nodes have",
    ),
    ("cpu count", "cpus_per_task", "sinfo --format='%P %c' shows the processors of the nodes"),
    ("unrecognized option", "sbatch", "man sbatch lists the options"),
)


class Submitted(Protocol):
    """A job as submitit gives it back."""

    @property
    def job_id(self) -> str: ...
    @property
    def num_tasks(self) -> int: ...
    def done(self) -> bool: ...


def demand(settings: Settings) -> None:
    """Refuses to begin where submitit or SLURM is missing, or the partition does not exist.

    Raises:
        GansembleError: saying what to do.
    """
    try:
        import submitit  # noqa: F401
    except (ImportError, OSError) as error:
        raise MissingNeed(
            f"--launch slurm needs submitit, which cannot be loaded ({error}); type: pip install 'gansemble[cluster]'"
        ) from error
    if settings.executor != "slurm":
        return
    missing = [name for name in ("sbatch", "srun", "squeue", "scancel", "scontrol") if shutil.which(name) is None]
    if missing:
        raise GansembleError(
            f"--launch slurm: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not on the PATH; type the command on a "
            "machine from which jobs are submitted (a login node). --set cluster.executor=local runs the same jobs here"
        )
    known = queue.partitions()
    asked = {
        settings.of(stage).partition for stage in ("prepare", "statistics", "train", "synthesise", "evaluate", "report")
    }
    for name in sorted(each for each in asked if each is not None):
        unknown = [each for each in name.split(",") if each not in known]
        if known and unknown:
            raise _no_partition(unknown[0], known)


def _no_partition(name: str, known: Sequence[str]) -> GansembleError:
    return GansembleError(
        f"cluster.partition: SLURM has no partition {name!r}{near(name, known)}; it has {', '.join(known)}. Nothing was submitted"
    )


def submit(
    tasks: Sequence[Task], name: str, settings: Settings, jobs: Path, after: str | None = None
) -> list[Submitted]:
    """Submits tasks: one as a job, several as the jobs of an array.

    Args:
        tasks: of one stage.
        name: of the job in the queue.
        settings: those of the stage.
        jobs: folder of the logs.
        after: number of a job, or an array, of SLURM that has to end well before these begin.

    Returns:
        submitit's jobs. Those of SLURM wait in its queue; local ones run.

    Raises:
        GansembleError: if SLURM refuses them.
    """
    submitit = importlib.import_module("submitit")  # optional, and so of no type that can be relied on
    jobs.mkdir(parents=True, exist_ok=True)
    with _apart(settings), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            if settings.executor == "local":
                executor = submitit.LocalExecutor(folder=jobs)
                executor.update_parameters(**_local(settings, tasks[0]))
            else:
                executor = submitit.SlurmExecutor(folder=jobs)
                executor.update_parameters(**_slurm(settings, tasks[0], name, jobs, after))
            return [executor.submit(tasks[0])] if len(tasks) == 1 else executor.submit_array(list(tasks))
        except (RuntimeError, OSError) as error:
            raise _refused(settings, f"{said.getvalue()}\n{error}") from error


def _local(settings: Settings, task: Task) -> dict[str, object]:
    """The parameters of submitit's local executor: a task stands for a node, as all are on this one."""
    return {
        "tasks_per_node": task.machines,
        "timeout_min": settings.minutes,
        "signal_delay_s": settings.signal_delay_s,
        "gpus_per_node": settings.gpus_per_node,
        "stderr_to_stdout": True,
    }


def _slurm(settings: Settings, task: Task, name: str, jobs: Path, after: str | None) -> dict[str, object]:
    """The parameters of submitit's executor of SLURM."""
    here = max(1, task.processes // task.machines)
    processors = settings.cpus_per_task * here if settings.cpus_per_task is not None else None
    python = f"PYTHONSAFEPATH=1 {shlex.quote(sys.executable)} -m gansemble.cluster.requeue"
    more: dict[str, str | int | float | bool] = {
        # To the tasks alone: the script itself lives on to its last lines.
        "signal": f"USR1@{settings.signal_delay_s}",
        "requeue": True,
        # Without it, a job whose predecessor failed would wait in the queue for ever.
        "kill-on-invalid-dep": "yes",
    }
    more |= {"dependency": f"afterok:{after}"} if after is not None else {}
    more |= {option: value for option, value in settings.sbatch.items() if value is not False}
    waits = ["--kill-on-bad-exit=0", f"--wait={LAST_TASKS}"]
    given: dict[str, object] = {
        "job_name": name,
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "constraint": settings.constraint,
        "time": settings.minutes,
        "nodes": task.machines,
        "ntasks_per_node": 1,
        "cpus_per_task": processors,
        "gpus_per_node": settings.gpus_per_node or None,
        "mem": f"{round(settings.mem_gb * 1024)}M" if settings.mem_gb is not None else None,
        "setup": [*settings.setup, "export PYTHONSAFEPATH=1", "trap : TERM USR1 USR2"],
        "teardown": ["status=$?", f"{python} {shlex.quote(str(jobs))} {task.requeues} $status", "exit $status"],
        "signal_delay_s": settings.signal_delay_s,
        "array_parallelism": settings.array_parallelism,
        "stderr_to_stdout": True,
        "additional_parameters": more,
        # Since 22.05 srun does not take over how many processors sbatch was asked for.
        "srun_args": [*waits, *([f"--cpus-per-task={processors}"] if processors is not None else [])],
    }
    return {key: value for key, value in given.items() if value is not None} | {"wckey": None}


def _refused(settings: Settings, said: str) -> GansembleError:
    """What SLURM refused, with the setting that it is about."""
    lines = dict.fromkeys(line.strip() for line in said.splitlines() if "error" in line.lower())
    text = " ".join(list(lines)[:3]) or " ".join(said.split())[:400]
    if "invalid partition" in text.lower() and settings.partition is not None:
        known = queue.partitions()
        if known and settings.partition not in known:
            return _no_partition(settings.partition, known)
    for words, setting, remedy in REFUSALS:
        if words in text.lower():
            return GansembleError(f"SLURM refused the job: {text}. See cluster.{setting}; {remedy}")
    return GansembleError(f"SLURM refused the job: {text}. Change the cluster's settings (cluster.…) as that says")


@contextlib.contextmanager
def _apart(settings: Settings) -> Iterator[None]:
    """The environment that jobs are submitted from: none of a job's that this process may be in, and safe from Ctrl-C.

    Variables beginning with ``SBATCH_`` would win over what a job's script asks for; of those, only the ones that nothing is
    set in place of are kept. ``SLURM_CONF`` says where SLURM is. What is started imports nothing from the working directory,
    and does not hear Ctrl-C of this terminal, as submitit's local controller kills its tasks a second after it.
    """
    before = dict(os.environ)
    usual = [name for name in ("partition", "account", "qos", "constraint") if getattr(settings, name) is None]
    kept = {"SLURM_CONF", *(f"SBATCH_{name.upper()}" for name in usual)}
    for name in before:
        if name.startswith(("SLURM", "SRUN_", "SBATCH_", "SUBMITIT_", *OF_A_JOB)) and name not in kept:
            del os.environ[name]
    os.environ["PYTHONSAFEPATH"] = "1"
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)
        os.environ.clear()
        os.environ.update(before)


def wait(jobs: Sequence[Submitted], folder: Path) -> int:
    """Waits for local jobs, and passes the signals on that ask this process to end.

    Returns:
        0 if all ended well; else the exit status of a task that did not, 75 where all have saved their state.
    """
    asked: list[int] = []

    def stop(number: int, frame: object) -> None:
        asked.append(number)
        records.cancel(folder, [job.job_id for job in jobs])
        for job in jobs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {
        number: signal.signal(number, stop) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        while not all(job.done() for job in jobs):
            time.sleep(POLL_SECONDS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ends: list[int] = []
    for job in jobs:
        notes = records.tasks(folder, job.job_id)
        ends += [note.get("status", 1) for note in notes] if len(notes) == job.num_tasks else [1]
    return next((end for end in ends if end not in (0, 75)), max(ends))
