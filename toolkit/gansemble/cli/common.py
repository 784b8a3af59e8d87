"""Options and habits the stage commands share."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gansemble.errors import GansembleError
from gansemble.stages import BY_NAME, Ledger, Project

PATH = click.Path(path_type=Path)
recipe_argument = click.argument("recipe", type=PATH)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value of the recipe; may be repeated.",
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    default=None,
    help="Worker processes (default: the number of processors).",
)


def stage_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``RECIPE --set --exp --data --dump --force --dry-run``, handed on as one ``Project`` and two flags."""

    @recipe_argument
    @set_option
    @click.option("--exp", type=PATH, help="Experiment folder (default: exp/<name> beside conf/).")
    @click.option("--data", type=PATH, help="Corpus folder (default: data/<corpus> beside conf/).")
    @click.option("--dump", type=PATH, help="Packed data (default: dump/<set> beside conf/).")
    @click.option("--force", is_flag=True, help="Run even if up to date.")
    @click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
    @functools.wraps(function)
    def wrapped(
        recipe: Path,
        overrides: tuple[str, ...],
        exp: Path | None,
        data: Path | None,
        dump: Path | None,
        force: bool,
        dry_run: bool,
        **rest: Any,
    ) -> Any:
        project = Project.of(recipe, overrides, exp, data, dump)
        return function(project=project, force=force, dry_run=dry_run, **rest)

    return wrapped


def say(text: str) -> None:
    """A line for the user."""
    click.echo(text)


def default_jobs(jobs: int | None) -> int:
    """The processors this process may use."""
    return jobs or len(os.sched_getaffinity(0))


def _plugins_needed(project: Project) -> dict[str, str]:
    """The plugins a checked recipe needs; the absence of one that an earlier run had is explained."""
    from gansemble import plugins
    from gansemble.recipe import check, fill
    from gansemble.recipe.document import RecipeError
    from gansemble.recipe.required import way

    try:
        recipe = check.load(project.recipe, project.overrides)
    except RecipeError as error:
        installed = {entry.plugin for entry in plugins.registry().entries()}
        gone = {name: how for name, how in project.needed_before().items() if name not in installed}
        lines = [
            f"when this experiment last ran it used plugin {n!r}; get it with: {way(how)}" for n, how in gone.items()
        ]
        raise GansembleError("\n".join([str(error), *lines])) from error
    return fill.needed_plugins(recipe)


class Run:
    """Decides whether a stage has to run, says so, and notes that it did.

    Use: ``run = Run(project, "prepare", force, dry_run)``; ``if run.needed: …; run.done(outputs, result)``.

    Raises:
        GansembleError: if a stage before it has not been done.
    """

    def __init__(self, project: Project, name: str, force: bool, dry_run: bool) -> None:
        self.project, self.name, self.ledger = project, name, Ledger(project)
        self.stage, self.started = BY_NAME[name], time.time()
        # A dry run shows what a real one would come to: stages behind a stale one would be stale by then.
        state = self.ledger.states()[self.stage.number] if dry_run else self.ledger.state(name)
        self.reasons = state.reasons
        self.needed = not dry_run and (force or state.word != "done")
        label = f"stage {self.stage.number} {name}"
        if state.word == "done" and not force:
            say(f"{label}: up to date ({state.record['finished']})" if state.record else f"{label}: up to date")
            return
        for other in self.stage.after:
            if self.ledger.record(other) is None and not dry_run:
                number = BY_NAME[other].number
                raise GansembleError(
                    f"{label}: stage {number} {other} has not been done; run it first (run.sh --stage {number})"
                )
        for other in self.stage.after:
            before = self.ledger.state(other)
            if before.word == "stale" and not dry_run:
                say(
                    f"note: stage {before.stage.number} {other} is stale ({'; '.join(before.reasons)}); its old result is used"
                )
        why = (
            "forced"
            if force
            else state.word
            if state.word == "missing" and not state.reasons
            else f"{state.word}: {'; '.join(state.reasons)}"
        )
        say(f"{label}: {self.stage.title} ({'to do' if why == 'missing' else why})")
        needed = _plugins_needed(project)  # before the first file is written
        if not dry_run:
            project.remember(needed)  # so that their absence can be explained later

    def done(self, outputs: list[Path], result: str) -> None:
        """Notes the stage as finished."""
        self.ledger.finish(self.name, outputs, result, self.started)
        say(f"stage {self.stage.number} {self.name}: done in {time.time() - self.started:.1f} s")


def finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """A number that a range lets through though it is none."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"expected a finite number, got {value:g}")
    return value


def output_folder(path: Path) -> None:
    """Makes a folder for results.

    Raises:
        GansembleError: if it cannot be made, or something else has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GansembleError(
            f"--output {path}: must be a folder that can be written ({error.strerror or error}); give another"
        ) from error
