"""``cancel``."""

from __future__ import annotations

from pathlib import Path

import click

from gansemble.cli.options import PATH
from gansemble.cli.terminal import say
from gansemble.errors import GansembleError
from gansemble.files import near_path


@click.command()
@click.argument("exp", type=PATH)
@click.option("--now", is_flag=True, help="End running jobs, too, without waiting until they have saved their state.")
def cancel(exp: Path, now: bool) -> None:
    """End the cluster's jobs of the experiment folder EXP, or of a matrix's.

    Jobs that wait leave the queue. Jobs that run are asked to save their state and to leave; the same run command goes on from
    there. None of them is queued again.
    """
    from gansemble.cluster import jobs

    if not exp.is_dir():
        raise GansembleError(f"{exp}: no such folder{near_path(exp)}; give the folder of an experiment or of a matrix")
    ended = jobs.cancel(exp.resolve(), now)
    if not ended:
        say(f"{exp}: no jobs are queued or running")
        return
    for job in ended:
        leaves = "leaves the queue" if job.word == "queued" else "is ended" if now else "saves its state and leaves"
        say(f"{job.stage} {job.number} {leaves}")
    say(f"see: gansemble status {exp}")
