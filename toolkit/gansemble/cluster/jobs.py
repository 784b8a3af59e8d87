"""An experiment's jobs as the user sees them: queued (why), running (where, since when) or ended (how), and their end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gansemble.cluster import queue, records
from gansemble.errors import GansembleError, Interrupted
from gansemble.files import alive

#: States in which there is something left to cancel.
OPEN = ("queued", "running", "ending", "unknown")
#: SLURM's words for states of jobs in its queue, in ours.
WORDS = {
    "PENDING": "queued",
    "REQUEUED": "queued",
    "REQUEUE_HOLD": "queued",
    "RUNNING": "running",
    "COMPLETING": "ending",
}

#: What SLURM's words for why a job waits mean, where that helps.
REASONS = {
    "BadConstraints": "no node is what cluster.constraint asks for, so it will never begin",
    "BeginTime": "it was queued again, and SLURM waits a little before it starts it anew",
    "Dependency": "it waits for the job before it",
    "DependencyNeverSatisfied": "the job before it failed, so it will never begin",
    "PartitionConfig": "the partition has not as many nodes of that kind, or forbids it, so it will never begin",
    "PartitionNodeLimit": "cluster.nodes is more than the partition has or allows, so it will never begin",
    "PartitionTimeLimit": "cluster.time is longer than the partition allows, so it will never begin",
    "Priority": "other jobs come first",
    "Resources": "it waits for nodes to become free",
}


@dataclass(frozen=True)
class Job:
    """A job of an experiment.

    Args:
        stage: its stage; of a matrix, ``cells``.
        what: of an array, what this one of its jobs is for; else empty.
        number: the scheduler's number of it.
        word: ``queued``, ``running``, ``ending``, ``done``, ``saved``, ``failed``, ``cancelled``, ``gone`` (it has left the
            queue and noted no end), or ``unknown`` where SLURM cannot be asked.
        node: where it runs, or ran.
        reason: why it waits, or how it ended.
        since: when this state began, where that is known.
        attempts: how often it was queued again.
        log: of its first task.
        executor: ``slurm`` or ``local``.
    """

    stage: str
    what: str
    number: str
    word: str
    node: str
    reason: str
    since: str
    attempts: int
    log: Path
    executor: str

    def line(self) -> str:
        """The job in one line."""
        name = f"{self.stage} {self.what}".strip()
        again = f", queued again {self.attempts} times" if self.attempts > 1 else ", queued again once" * self.attempts
        why = f"{self.reason} ({REASONS[self.reason]})" if self.reason in REASONS else self.reason
        parts = [f"on {self.node}" if self.node else "", f"since {self.since}" if self.since else "", why]
        told = ", ".join(part for part in parts if part)
        return f"{name:11} {self.number:10} {self.word}{f' {told}' if told else ''}{again}"


def folder(place: Path) -> Path:
    """The folder of the records and logs of an experiment's, or a matrix's, jobs."""
    return place / records.JOBS


def found(place: Path) -> tuple[list[Job], str]:
    """The jobs of an experiment's last submission, and those of earlier ones that are in SLURM's queue.

    Args:
        place: the experiment, or the folder of a matrix, whose cells may be submitted one after the other.

    Returns:
        (the jobs in the order of their stages, what is wrong with the scheduler's answer, or an empty string).
    """
    rows = records.submissions(folder(place))
    waiting: dict[str, queue.Queued] | None = {}
    fault = ""
    if any(row["executor"] == "slurm" for row in rows):
        try:
            waiting = queue.queue()
        except GansembleError as error:
            waiting, fault = None, str(error)
    there = waiting or {}
    last = rows[-1]["run"] if rows else 0.0
    shown = [row for row in rows if row["run"] == last or (row["executor"] == "slurm" and _in(there, row))]
    return [job for row in shown for job in _of(folder(place), row, waiting)], fault


def _in(waiting: dict[str, queue.Queued], row: records.Submission) -> bool:
    return any(number in waiting for number in records.ids(row))


def _of(jobs: Path, row: records.Submission, waiting: dict[str, queue.Queued] | None) -> list[Job]:
    made = []
    for index, number in enumerate(records.ids(row)):
        what = row["elements"][index] if row["elements"] else ""
        notes = records.tasks(jobs, number)
        word, node, reason, since = _state(jobs, number, row, waiting, notes)
        attempts = max((note["attempt"] + (word == "queued") for note in notes), default=0)
        log = records.log(jobs, number)
        made.append(Job(row["stage"], what, number, word, node, reason, since, attempts, log, row["executor"]))
    return made


def _state(
    jobs: Path,
    number: str,
    row: records.Submission,
    waiting: dict[str, queue.Queued] | None,
    notes: Sequence[records.TaskRecord],
) -> tuple[str, str, str, str]:
    """(word, node, reason, since) of a job."""
    known = waiting.get(number) if waiting is not None else None
    began = records.clock(notes[0]["began"]) if notes else ""
    nodes = ",".join(dict.fromkeys(note["node"] for note in notes))
    if known is not None:
        word = WORDS.get(known.state, known.state.lower())
        if word == "queued":
            ended = max((note["ended"] for note in notes if "ended" in note), default=row["at"])
            return word, "", known.reason, records.clock(ended)
        return word, known.nodes, "", began or known.start
    ends = {note["task"]: note["status"] for note in notes if "status" in note}
    if notes and len(ends) == len(notes):
        return _ended(jobs, number, list(ends.values()), nodes, max(note["ended"] for note in notes if "ended" in note))
    if row["executor"] == "local" and _lives(row, notes):
        return "running", nodes, "", began or records.clock(row["at"])
    if waiting is None:
        return "unknown", nodes, "", began
    if records.cancelled(jobs, number):
        return "cancelled", nodes, "", ""
    if notes:
        return "gone", nodes, "killed, or its node failed; see its log", began
    return "gone", "", "it did not begin: a job before it failed, or it was cancelled", ""


def _ended(jobs: Path, number: str, ends: list[int], nodes: str, at: float) -> tuple[str, str, str, str]:
    """The state of a job all of whose tasks have noted their end."""
    worst = next((status for status in ends if status not in (0, Interrupted.exit_code)), max(ends))
    if worst == 0:
        return "done", nodes, "", records.clock(at)
    if records.cancelled(jobs, number):
        return (
            "cancelled",
            nodes,
            "what it has done is saved" if worst == Interrupted.exit_code else "",
            records.clock(at),
        )
    if worst == Interrupted.exit_code:
        return "saved", nodes, "the same command goes on", records.clock(at)
    return "failed", nodes, f"exit {worst}; see its log", records.clock(at)


def _lives(row: records.Submission, notes: Sequence[records.TaskRecord]) -> bool:
    """Whether the process of a local job is there; one of another machine is taken for it."""
    elsewhere = any(note["node"] != socket.gethostname() for note in notes)
    return elsewhere or alive(int(row["job"]))


def demand_none(place: Path) -> None:
    """Refuses to submit an experiment whose jobs have not ended.

    Raises:
        GansembleError: naming them.
    """
    still, _ = found(place)
    waiting = [job for job in still if job.word in OPEN]
    if waiting:
        listed = "\n".join(f"  {job.line()}" for job in waiting[:10])
        raise GansembleError(
            f"{place}: has jobs that have not ended:\n{listed}\nwait for them (gansemble status {place}), or end them first "
            f"(gansemble cancel {place})"
        )


def told(place: Path) -> list[str]:
    """The lines of ``gansemble status`` about jobs; none where none was submitted, or all have done their work."""
    jobs, fault = found(place)
    if all(job.word == "done" for job in jobs):
        return []
    lines = ["jobs:", *(f"  {job.line()}" for job in _gathered(jobs))]
    ended = [job for job in jobs if job.word in ("failed", "gone") and job.log.exists()]
    lines += [f"  log of {job.number}: {job.log}" for job in ended[:3]]
    return lines + ([f"  {fault}"] if fault else [])


def _gathered(jobs: Sequence[Job]) -> list[Job]:
    """The jobs without those of an array that wait or have ended alike, of which the first stands for all."""
    kept: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        alone = job.word in ("running", "failed", "gone") or not job.what
        key = (job.number if alone else job.number.partition("_")[0], job.word, "" if alone else job.reason)
        kept.setdefault(key, []).append(job)
    return [
        replace(same[0], what=f"({len(same)} jobs)", number=same[0].number.partition("_")[0])
        if len(same) > 1
        else same[0]
        for same in kept.values()
    ]


def beside(rows: Sequence[dict[str, object]], place: Path) -> list[dict[str, object]]:
    """The rows of ``gansemble status --json``, each with its stage's jobs where any were submitted.

    Args:
        rows: one for each stage, with its ``name``.
        place: the experiment.
    """
    shown = ("number", "what", "word", "node", "reason", "since", "attempts", "executor")
    jobs = found(place)[0]
    if not jobs:
        return list(rows)

    def of(stage: object) -> list[dict[str, object]]:
        own = [job for job in jobs if job.stage == stage]
        return [{**{name: getattr(job, name) for name in shown}, "log": str(job.log)} for job in own]

    return [{**row, "jobs": of(row["name"])} for row in rows]


def cancel(place: Path, now: bool) -> list[Job]:
    """Ends an experiment's jobs; none of them is queued again.

    Those that wait leave the queue. Those that run are asked to save their state and leave.

    Args:
        place: the experiment, or the folder of a matrix.
        now: have SLURM end those that run, too, which kills what takes longer than its KillWait, usually 30 s.

    Returns:
        The jobs that had not ended.

    Raises:
        GansembleError: if SLURM cannot be asked.
    """
    jobs, fault = found(place)
    if fault:
        raise GansembleError(f"nothing was cancelled: {fault}")
    left = [job for job in jobs if job.word in OPEN]
    records.cancel(folder(place), [job.number for job in left])
    slurm = [job for job in left if job.executor == "slurm"]
    running = [job.number for job in slurm if job.word != "queued"]
    queue.cancel([job.number for job in slurm if job.word == "queued"], warn=False)
    queue.cancel(running, warn=not now)
    for job in left:
        if job.executor == "local":
            with suppress(ProcessLookupError):
                os.kill(int(job.number), signal.SIGTERM)
    return left
