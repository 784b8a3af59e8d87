"""The cells of a matrix as the jobs of an array: of SLURM, or of this machine to try it out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gansemble.cluster import commands, jobs, records, submitting
from gansemble.cluster.settings import Settings
from gansemble.cluster.task import Task
from gansemble.errors import GansembleError
from gansemble.matrix.run import CellRun, Places, Say

#: The name of the cells in the records of jobs, in place of a stage's.
CELLS = "cells"


def settings_of(settings: Settings, places: Places) -> Settings:
    """The settings of a cell's job: those of training, on one node.

    Raises:
        GansembleError: if several nodes are asked for, or more processes than GPUs.
    """
    found = settings.of("train")
    if found.nodes > 1:
        raise GansembleError(
            f"cluster.nodes: {found.nodes}: each cell of a matrix trains on one node; leave it out, and use --num-processes for "
            "the GPUs of a node"
        )
    if 0 < found.gpus_per_node < places.processes:
        raise GansembleError(
            f"--num-processes {places.processes}: cluster.gpus_per_node is {found.gpus_per_node}; each process needs a GPU"
        )
    return found


def waiting(runs: Sequence[CellRun], exp: Path) -> set[str]:
    """The names of cells whose jobs have not ended.

    One that was submitted and whose job has left the queue without a word is not among them, so that it is submitted again.

    Args:
        runs: the cells.
        exp: the folder of the comparison.
    """
    there = {job.what for job in jobs.found(exp)[0] if job.word in jobs.OPEN}
    return {run.cell.name for run in runs if run.cell.name in there or run.state().word == "running"}


def submit(
    runs: Sequence[CellRun],
    command: Callable[[CellRun], Sequence[str]],
    settings: Settings,
    places: Places,
    say: Say,
) -> int:
    """Submits cells, as an array where there are several.

    Args:
        runs: the cells.
        command: makes the command of a cell.
        settings: from :func:`settings_of`.
        places: the folders of the matrix.
        say: called with each line for the user.

    Returns:
        The exit status of local jobs, which are waited for; 0 where the jobs wait in SLURM's queue.

    Raises:
        GansembleError: if SLURM refuses them.
    """
    folder = jobs.folder(places.exp)
    tasks, environment = [], commands.variables(settings)
    for run in runs:
        run.write()
        tasks.append(
            Task(CELLS, tuple(command(run)), Path.cwd(), run.exp, folder, environment, requeues=settings.requeues)
        )
    kept = {run: _kept(run) for run in runs}
    for run in runs:
        run.note("submitted")  # before: a job that begins at once notes its own state
    try:
        made = submitting.submit(tasks, "gansemble-cells", settings, folder)
    except GansembleError:
        for run, state in kept.items():
            _put_back(run, state)
        raise
    local = settings.executor == "local"
    begun, numbers = time.time(), [job.job_id for job in made]
    array = numbers[0].partition("_")[0]
    names = [run.cell.name for run in runs]
    rows = list(zip(numbers, ([name] for name in names), strict=True)) if local else [(array, names)]
    for number, elements in rows:
        row: records.Submission = {
            "run": begun,
            "stage": CELLS,
            "job": number,
            "elements": elements,
            "executor": settings.executor,
            "at": time.time(),
        }
        records.note_submission(folder, row)
    say(f"{len(runs)} {'cells' if len(runs) > 1 else 'cell'}: job {array}; logs in {folder}")
    return submitting.wait(made, folder) if local else 0


def _kept(run: CellRun) -> bytes | None:
    path = run.exp / "state.json"
    return path.read_bytes() if path.is_file() else None


def _put_back(run: CellRun, state: bytes | None) -> None:
    path = run.exp / "state.json"
    if state is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(state)
