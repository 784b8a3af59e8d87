"""``mini``, ``fetch``, ``prepare`` and ``statistics``."""

from __future__ import annotations

import hashlib
import os
import shlex
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli import downloads
from gansemble.cli.options import PATH, default_jobs, jobs_option, recipe_argument, set_option, stage_options
from gansemble.cli.stage_run import StageRun
from gansemble.cli.terminal import say
from gansemble.data.clip_names import demand_room
from gansemble.data.consent import asking
from gansemble.errors import GansembleError
from gansemble.files import near_path
from gansemble.stages import Project, corpus_files
from gansemble.stages.ledger import SOURCES, digest

if TYPE_CHECKING:
    from gansemble.interfaces import Corpus


@click.command()
@recipe_argument
@set_option
@click.option("--output", type=PATH, required=True, help="Folder to write it to.")
@click.option("--overwrite", is_flag=True, help="Replace another mini corpus that is there; other files never.")
def mini(recipe: Path, overrides: tuple[str, ...], output: Path, overwrite: bool) -> None:
    """Write a small corpus in the layout of RECIPE's corpus, made offline."""
    from gansemble.data.prepare import at_work, corpus_of
    from gansemble.recipe import check

    checked = check.load(recipe, overrides)
    corpus = corpus_of(checked)
    _demand_replaceable(corpus, output, overwrite)
    with at_work(checked, f"to make its small corpus in {output}"):
        corpus.mini(output)
        count = len(corpus.scan(output))
    say(f"mini corpus: {count} clips in {output}")


def _demand_replaceable(corpus: Corpus, output: Path, overwrite: bool) -> None:
    """Refuses a folder with anything but the same mini corpus; or, with ``overwrite``, anything but a mini corpus.

    Raises:
        GansembleError: saying what is there.
    """
    from gansemble.data.mini import stamp_of

    if not os.path.lexists(output) or (output.is_dir() and not any(output.iterdir())):
        return
    there = stamp_of(output)
    if there is None:
        raise GansembleError(
            f"--output {output}: holds something that is no mini corpus; give another, or an empty folder"
        )
    if overwrite:
        return
    with tempfile.TemporaryDirectory() as folder:
        corpus.mini(Path(folder) / "corpus")
        wanted = stamp_of(Path(folder) / "corpus")
    if wanted != there:
        raise GansembleError(
            f"--output {output}: holds another mini corpus ({there!r}, not {wanted!r}); give another --output, or --overwrite"
        )


class _Percent:
    """Prints the progress of a download, at every twentieth of it."""

    def __init__(self) -> None:
        self.said = 0

    def __call__(self, done: int, total: int | None) -> None:
        if total and done * 20 // total > self.said:
            self.said = done * 20 // total
            say(f"  {self.said * 5} % of {total / 1e6:,.0f} MB")
        elif total and done * 20 // total < self.said:
            self.said = 0  # the next part: unpacking after downloading


@click.command()
@stage_options
@click.option("--yes", is_flag=True, help=f"Download without asking ({downloads.YES}=1 does the same).")
def fetch(project: Project, force: bool, dry_run: bool, yes: bool) -> None:
    """Stage 0: find the corpus in the data folder, or download and unpack it there.

    What would be downloaded is told before, with its size and the free space, and more than 20 MB is asked for.
    """
    with StageRun(project, "fetch", force, dry_run, lock=project.dump) as run:
        if not run.needed:
            return
        from gansemble.data import prepare

        _demand_folder(project)
        with asking(partial(downloads.ask, yes=yes)):
            clips = prepare.fetch(project.checked(), project.data, _Percent())
        names = "\n".join(sorted(clip.id for clip in clips))
        say(f"{len(clips)} clips in {project.data}")
        run.done([], hashlib.sha256(names.encode()).hexdigest()[:16])


def _demand_folder(project: Project) -> None:
    """Refuses a corpus folder that was named and is not there, which is a mistyped name more often than a new place.

    Raises:
        GansembleError: with the nearest name beside it.
    """
    if project.data_given and not project.data.exists():
        raise GansembleError(
            f"--data {project.data}: no such folder{near_path(project.data)}; nothing was downloaded. Name the folder that holds "
            f"the recordings; a corpus that can be downloaded goes into an empty folder, made first: mkdir -p {shlex.quote(str(project.data))}"
        )


def _shard(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    number, slash, total = value.partition("/")
    if not (slash and number.isdigit() and total.isdigit() and 1 <= int(number) <= int(total)):
        raise click.BadParameter(f"expected i/n with 1 <= i <= n, such as 1/4, got {value!r}")
    return int(number), int(total)


@click.command()
@stage_options
@jobs_option
@click.option(
    "--shard",
    callback=_shard,
    metavar="I/N",
    help="Pack every N-th clip only, as one job of an array; then run without.",
)
def prepare(project: Project, force: bool, dry_run: bool, jobs: int | None, shard: tuple[int, int] | None) -> None:
    """Stage 1: examine every file and pack the audio, with a manifest."""
    demand_room(project.exp)  # told now, and not after training
    lock = project.dump if shard is None else project.dump / "shards" / f"{shard[0]}-of-{shard[1]}"
    with StageRun(project, "prepare", force or shard is not None, dry_run, lock) as run:
        if not run.needed:
            if not dry_run and run.state.word == "done" and not project.borrowed:
                corpus_files.refresh(project.dump / SOURCES, project.data)
            return
        from gansemble.data import manifest, prepare

        path = prepare.prepare(project.checked(), project.data, project.dump, default_jobs(jobs), say, shard, force)
        if shard is None:
            found = manifest.load(path)
            packs = sorted(path.parent / name for name in manifest.packs(found.entries))
            identity = {split: each.record() for split, each in found.identity.items()}
            run.done([path, *packs, project.dump / SOURCES], digest(identity), identity)


@click.command()
@stage_options
def statistics(project: Project, force: bool, dry_run: bool) -> None:
    """Stage 2: measure the training split's spectrum, levels and lengths."""
    with StageRun(project, "statistics", force, dry_run, lock=project.dump) as run:
        if not run.needed:
            return
        from gansemble.data.verification import verify
        from gansemble.files import sha256
        from gansemble.parts.build import comparing, representation_of
        from gansemble.recipe.construct import construct
        from gansemble.scoring import fitting
        from gansemble.scoring.fitting import fit, fit_items, fit_metric

        recipe = project.checked()
        verify(project.dump)
        path = fitting.statistics(recipe, project.dump)
        outputs = [path]
        representation = representation_of(recipe)
        fitted = fit(representation, recipe, project.dump, anew=force)
        outputs += [fitted] if fitted is not None else []
        outputs += fit_items(comparing(recipe), representation, recipe, project.dump, anew=force).values()
        for part in recipe.many["metrics"].values():
            fit_metric(construct(part, recipe), recipe, project.dump, say)
        run.done(outputs, sha256(path)[:16])
