"""Options that commands share, and what is done with their values."""

from __future__ import annotations

import errno
import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gansemble.errors import GansembleError
from gansemble.stages import Project
from gansemble.stages.project import corpus_folder, demand_outside


class NamedPath(click.Path):
    """A path that is not empty: ``""`` would silently stand for the folder that the user is in."""

    def __init__(self, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """The path.

        Raises:
            click.BadParameter: if it is empty, or not what is wanted.
        """
        if not str(value).strip() or "\0" in str(value):
            self.fail(
                "expected a path, got an empty word; is a variable of the shell unset? Give . for the folder that you are in",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


PATH = NamedPath()
page_option = click.option(
    "--page",
    type=PATH,
    metavar="FILE.html",
    help="Also write a page on which each file is heard beside its input, at one position (the first 20, 12 s of each).",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
#: How many processes may be asked for.
PROCESSES = click.IntRange(1, 65_536)
#: How many worker processes of one machine may be asked for.
MOST_JOBS = 1024
#: How many clips may be asked for.
CLIPS = click.IntRange(1, 1_000_000)
#: How much of a signal is made at a time [s]. Beside it goes ``callback=finite``.
CHUNK = click.FloatRange(0.001, 100_000)
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
    type=click.IntRange(1, MOST_JOBS),
    default=None,
    help="Worker processes (default: the number of processors).",
)


def truncation_mode(option: str, default: str) -> Callable[..., Any]:
    """An option that says how latent vectors are truncated.

    Args:
        option: its name, with dashes.
        default: ``resample`` or ``scale``.
    """
    return click.option(
        option,
        type=click.Choice(["resample", "scale"]),
        default=default,
        show_default=True,
        help="resample: draw numbers beyond the threshold again; scale: multiply all by it.",
    )


def stage_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a stage's command its argument RECIPE and ``--set --exp --data --dump --force --dry-run``.

    The decorated function takes them as ``project``, ``force`` and ``dry_run``, and its other options as they are.
    """

    @recipe_argument
    @set_option
    @click.option("--exp", type=PATH, help="Experiment folder (default: exp/<RECIPE> beside conf/).")
    @click.option(
        "--data", type=PATH, help="Corpus folder (default: the experiment's so far, or data/<corpus> beside conf/)."
    )
    @click.option(
        "--dump", type=PATH, help="Packed data (default: the experiment's so far, or dump/<set> beside conf/)."
    )
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


def default_jobs(jobs: int | None) -> int:
    """The number of worker processes that was asked for, or else of the processors that this process may use."""
    return jobs or len(os.sched_getaffinity(0))


def finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """A click callback that refuses infinity and NaN, which a range lets through."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"expected a finite number, got {value:g}")
    return value


def output_folder(path: Path, exp: Path) -> None:
    """Makes a folder for results of an experiment.

    Args:
        path: the folder.
        exp: the experiment, whose corpus it must not lie in.

    Raises:
        GansembleError: if it cannot be made or written, a file has its name, or it lies in the experiment's corpus.
    """
    corpus = corpus_folder(exp.resolve())
    if corpus is not None:
        demand_outside("--output", path, corpus)
    writable_folder(path)


def writable_folder(path: Path) -> None:
    """Makes the folder of ``--output``, with those above it.

    Raises:
        GansembleError: if it cannot be made or written, or a file has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    except OSError as error:
        raise GansembleError(
            f"--output {path}: must be a folder that can be written ({error.strerror or error}); give another"
        ) from error
