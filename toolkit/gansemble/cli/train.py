"""``train``."""

from __future__ import annotations

import os
import shutil
import time

import click

from gansemble.cli.common import Run, say, stage_options
from gansemble.stages import Ledger, Project


@click.command()
@stage_options
@click.option("--allow-change", is_flag=True, help="Go on from a checkpoint under a recipe that differs.")
@click.option("--force-unlock", is_flag=True, help="Take the folder though another machine's run seems to hold it.")
@click.option(
    "--stop-after",
    type=click.IntRange(1),
    help="Stop, with the state saved, after so many steps of this run.",
)
def train(
    project: Project,
    force: bool,
    dry_run: bool,
    allow_change: bool,
    force_unlock: bool,
    stop_after: int | None,
) -> None:
    """Stage 3: train RECIPE, going on from the newest sound checkpoint where there is one.

    A finished run whose recipe has changed is set aside in exp/<name>/previous and trained anew; so is any run with --force.
    """
    main = int(os.environ.get("RANK", "0")) == 0
    run = Run(project, "train", force, dry_run) if main else None
    needed = run.needed if run else not dry_run and (force or Ledger(project).state("train").word != "done")
    if not needed:  # on every process alike, or the others would wait for the main one for ever
        return
    finished_before = run is not None and run.ledger.record("train") is not None
    from gansemble.data.prepare import check_segment
    from gansemble.recipe import check

    recipe = check.load(project.recipe, project.overrides)
    check_segment(recipe, project.dump)
    from gansemble.training.trainer import Options, Trainer

    processes = os.environ.get("GANSEMBLE_PROCESSES")
    options = Options(allow_change, force_unlock, int(processes) if processes else None, stop_after)
    trainer = Trainer(recipe, project.exp, project.dump, options)
    # Only now that all parts and the pack are there: a run is not moved away for one that cannot be built.
    if run is not None and (force or (finished_before and not allow_change)) and (project.exp / "checkpoints").exists():
        from gansemble.training.lock import FolderLock

        with FolderLock(project.exp, force_unlock):  # not from under a run that is going on
            _set_aside(project, run)
    trainer.processes.wait()  # or another process would go on from the checkpoints that are being moved
    steps = trainer.run()
    if run is not None:
        last = trainer.store.folders()[-1] / "manifest.json"
        from gansemble.files import sha256

        say(f"trained to step {steps}; checkpoints in {project.exp / 'checkpoints'}")
        run.done([last], sha256(last)[:16])


def _set_aside(project: Project, run: Run) -> None:
    """Moves checkpoints and logs to ``previous/<time>``: a run is never deleted. Extending a run is no reason to."""
    if run.reasons and all(reason.startswith("plan.steps:") for reason in run.reasons):
        return
    target = project.exp / "previous" / time.strftime("%Y%m%d-%H%M%S")
    target.mkdir(parents=True, exist_ok=True)
    for name in ("checkpoints", "logs"):
        if (project.exp / name).exists():
            shutil.move(str(project.exp / name), target / name)
    run.ledger.forget("train")
    say(f"the run that was here is now in {target}")
