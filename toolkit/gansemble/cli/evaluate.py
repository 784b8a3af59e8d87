"""``evaluate`` and ``report``."""

from __future__ import annotations

from pathlib import Path

import click

from gansemble.cli.options import PATH, default_jobs, jobs_option, stage_options
from gansemble.cli.stage_run import StageRun
from gansemble.cli.terminal import say
from gansemble.files import sha256
from gansemble.stages import Project


@click.command()
@stage_options
@jobs_option
def evaluate(project: Project, force: bool, dry_run: bool, jobs: int | None) -> None:
    """Stage 5: score the generated clips against their references, file by file."""
    with StageRun(project, "evaluate", force, dry_run, lock=project.exp) as run:
        if not run.needed:
            return
        from gansemble.evaluation import scores

        path = scores.evaluate(project, default_jobs(jobs), say)
        run.done([path, path.with_name("scores.jsonl")], sha256(path.with_name("scores.jsonl"))[:16])


@click.command()
@stage_options
@click.option(
    "--compare",
    type=PATH,
    multiple=True,
    metavar="[NAME=]EXP",
    help="Another experiment to show beside this one, under this name; may be repeated.",
)
@click.option("--licence", metavar="NAME", help="Of the model, for its card, such as cc-by-4.0 (default: unknown).")
def report(project: Project, force: bool, dry_run: bool, compare: tuple[Path, ...], licence: str | None) -> None:
    """Stage 6: write report/index.html, one self-contained page with audio, spectrograms, curves and tables, and the model
    card report/README.md beside it."""
    asked = force or bool(compare) or licence is not None
    with StageRun(project, "report", asked, dry_run, lock=project.exp) as run:
        if not run.needed:
            return
        from gansemble.evaluation import report as page

        others = [(name, Project.recall(exp.resolve())) for name, exp in map(named, compare)]
        path = page.write(project, others, say, licence)
        run.done([path, path.with_name("README.md")], sha256(path)[:16])
        say(f"open {path}")


def named(compared: Path) -> tuple[str, Path]:
    """(name on the page, folder) of what ``--compare`` gives; the name is empty where there is none."""
    name, sign, folder = str(compared).partition("=")
    if not sign or compared.exists() or "/" in name:
        return "", compared
    return name, Path(folder)
