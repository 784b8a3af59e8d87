"""``run``: several stages in one process, for recipes outside a source tree."""

from __future__ import annotations

from pathlib import Path

import click

from gansemble.cli.common import PATH, jobs_option, say, set_option
from gansemble.errors import GansembleError, Interrupted
from gansemble.stages import STAGES, parse


@click.command()
@click.argument("recipe", type=PATH)
@set_option
@click.option("--exp", type=PATH, help="Experiment folder (default: exp/<name> beside conf/).")
@click.option("--data", type=PATH, help="Corpus folder (default: data/<corpus> beside conf/).")
@click.option("--dump", type=PATH, help="Packed data (default: dump/<set> beside conf/).")
@click.option("--force", is_flag=True, help="Run even if up to date.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--stage", default="0", show_default=True, metavar="S", help="First stage, by number or name.")
@click.option("--stop-stage", default="6", show_default=True, metavar="S", help="Last stage.")
@jobs_option
def run(
    recipe: Path,
    overrides: tuple[str, ...],
    exp: Path | None,
    data: Path | None,
    dump: Path | None,
    force: bool,
    dry_run: bool,
    stage: str,
    stop_stage: str,
    jobs: int | None,
) -> None:
    """Run stages of RECIPE one after the other, on this machine with one process; run.sh does more."""
    from gansemble.cli import Lazy

    first, last = parse(stage).number, parse(stop_stage).number
    if first > last:
        raise GansembleError(f"nothing to run: --stage {stage} comes after --stop-stage {stop_stage}")
    group = Lazy()
    places = {"--exp": exp, "--data": data, "--dump": dump}
    words = [str(recipe)]
    words += [word for name, path in places.items() if path is not None for word in (name, str(path))]
    words += [word for change in overrides for word in ("--set", change)]
    words += [flag for flag, on in (("--force", force), ("--dry-run", dry_run)) if on]
    for each in STAGES[first : last + 1]:
        own = ["--jobs", str(jobs)] if jobs and each.name in ("prepare", "evaluate") else []
        command = group.get_command(click.Context(group), each.name)
        assert command is not None
        try:
            command.main([*words, *own], prog_name=f"gansemble {each.name}", standalone_mode=False)
        except Interrupted:
            raise
        except GansembleError as error:
            raise GansembleError(f"stage {each.number} {each.name}: {error}") from error
    if not dry_run:
        say(f"done: stages {first} to {last}")
