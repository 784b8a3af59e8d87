"""``train``."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.options import stage_options
from gansemble.cli.stage_run import StageRun
from gansemble.cli.terminal import say
from gansemble.errors import GansembleError
from gansemble.files import unused
from gansemble.recipe.fill import flatten
from gansemble.recipe.plan_length import ends_with_the_plan
from gansemble.stages import Ledger, Project
from gansemble.stages.locks import FolderLock
from gansemble.stages.project import TEACHER

if TYPE_CHECKING:
    from gansemble.training.components import Components


@click.command()
@stage_options
@click.option("--allow-change", is_flag=True, help="Go on from a checkpoint under a recipe that differs.")
@click.option(
    "--force-unlock",
    is_flag=True,
    help="Take the folder that another machine's run holds, if it gives no sign of life while it is watched for 75 s.",
)
@click.option(
    "--stop-after",
    type=click.IntRange(1, 10**12),
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
    run = StageRun(project, "train", force, dry_run) if main else None
    with run or contextlib.nullcontext():
        needed = run.needed if run else not dry_run and (force or Ledger(project).state("train").word != "done")
        if needed:  # on every process alike, or the others would wait for the main one for ever
            _train(project, run, force, allow_change, force_unlock, stop_after)


def _train(
    project: Project, run: StageRun | None, force: bool, allow_change: bool, force_unlock: bool, stop_after: int | None
) -> None:
    from gansemble.data.prepare import check_segment, check_splits
    from gansemble.data.verification import verify
    from gansemble.files import sha256

    recipe = project.checked()
    check_segment(recipe, project.dump)
    check_splits(recipe, project.dump)
    from gansemble.training import demands
    from gansemble.training.components import Components, Options
    from gansemble.training.trainer import Trainer

    processes = os.environ.get("GANSEMBLE_PROCESSES")
    again = "run the same command to go on"
    if force:
        again = "run the same command without --force to go on (with it, the training would begin anew)"
    options = Options(allow_change, force_unlock, int(processes) if processes else None, stop_after, again, force)
    parts = Components.build(recipe, project.exp, project.dump, options)
    if run is not None:
        _demand_the_recipes_data(run, parts)
    # Each process says what it reads before anything is moved; the trainer, which others build too, asks again.
    demands.one_data(parts.processes, parts.clips.folder, parts.clips.manifest)
    demands.one_content(parts.processes, recipe.files())
    anew = force or (run is not None and _is_another(run, parts, allow_change))
    if parts.processes.any(anew) and not force and (recipe.init.exp or recipe.teacher.exp):
        parts = Components.build(recipe, project.exp, project.dump, replace(options, anew=True))  # from where it begins
    # Only now that all parts and the pack are there: a run is not moved away for one that cannot be built.
    if run is not None and anew:
        verify(project.dump, parts.splits)  # nor for one whose audio is damaged
        with FolderLock(project.exp, force_unlock):  # not from under a run that is going on
            _set_aside(project, run)
    parts.processes.wait()  # or another process would go on from the checkpoints that are being moved
    if run is None:
        Trainer(parts).run()
    else:
        run.made_from(parts.clips.manifest.identity)
        steps = Trainer(parts).run(run.begun)
        last = parts.store.at(steps) / "manifest.json"
        say(f"trained to step {steps}; checkpoints in {project.exp / 'checkpoints'}")
        run.done([last], sha256(last)[:16])


def _demand_the_recipes_data(run: StageRun, parts: Components) -> None:
    """Refuses packed data that are not of this recipe, or that are being packed anew at this moment.

    Raises:
        GansembleError: naming the recipe keys that differ.
    """
    changed = run.ledger.changed_keys("prepare")
    if changed:
        listed = "; ".join(f"{key}: {before} -> {after}" for key, (before, after) in changed.items())
        raise GansembleError(
            f"{run.project.dump}: was packed under another recipe ({listed}); run the prepare stage, or give this recipe "
            "packed data of its own with --dump"
        )
    record = run.ledger.record("prepare")
    identity = {split: found.record() for split, found in parts.clips.manifest.identity.items()}
    if record is None or record.get("data") != identity:
        raise GansembleError(
            f"{run.project.dump}: is not what its record says: it is being packed anew, or that was cut off; run the prepare "
            "stage, then train"
        )


def _is_another(run: StageRun, parts: Components, allow_change: bool) -> bool:
    """Whether the run that finished in this folder was of another recipe or other data, so that training begins anew.

    If only ``plan.steps`` differs, training goes on, unless the learning rate depends on the end of the plan. A run
    that was being made longer when it was interrupted counts as unfinished: like any other, it goes on or is refused.
    """
    record = run.ledger.record("train")
    if record is None or allow_change or "begun_again" in record:
        return False
    leaves = flatten(run.project.values)
    timed = ends_with_the_plan(leaves) or ends_with_the_plan(record["keys"])
    keys = [key for key in run.state.changed if key != "plan.steps" or timed]
    identity = {split: found.record() for split, found in parts.clips.manifest.identity.items()}
    other_data = record["upstream"].get("prepare") != run.ledger.of_data(run.stage, identity)
    if other_data:
        say(f"the packed data changed since: {_difference(run.project.exp, parts)}")
    return bool(keys) or other_data


def _difference(exp: Path, parts: Components) -> str:
    """Says how the packed data differ from those that the finished run was trained on."""
    from gansemble.data import trained_on

    saved = parts.store.newest()
    history = saved.manifest.get("data") if saved is not None else None
    return trained_on.difference(exp, history[-1], parts.clips.manifest) if history else "nothing is known of the old"


def _set_aside(project: Project, run: StageRun) -> None:
    """Moves checkpoints, logs and the teacher to ``previous/<time>``, because a run is never deleted."""
    there = [project.exp / name for name in ("checkpoints", "logs", TEACHER) if (project.exp / name).exists()]
    run.ledger.forget("train")
    if not there:
        return
    target = unused(project.exp / "previous" / time.strftime("%Y%m%d-%H%M%S"))
    target.mkdir(parents=True)
    for folder in there:
        shutil.move(str(folder), target / folder.name)
    say(f"the run that was here is now in {target}")
