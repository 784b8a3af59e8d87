"""``truncation``: quality and variety of the clips, scored over thresholds of the truncation of latent vectors."""

from __future__ import annotations

import math
from typing import Literal

import click

from gansemble.cli.options import stage_options, truncation_mode
from gansemble.cli.terminal import say
from gansemble.stages import Project


def _thresholds(context: click.Context, parameter: click.Parameter, value: str) -> list[float]:
    found = []
    for piece in value.split(","):
        try:
            number = float(piece)
        except ValueError:
            number = math.nan
        if not 0 < number <= 10:
            raise click.BadParameter(
                f"expected numbers above 0 and up to 10, separated by commas, such as 0.25,0.5,1; got {piece!r}"
            )
        found.append(number)
    return sorted(set(found))


@click.command()
@stage_options
@click.option(
    "--thresholds",
    callback=_thresholds,
    default="0.1,0.25,0.5,0.75,1,1.5,2",
    show_default=True,
    help="Of the truncation, separated by commas; none at all is always scored too.",
)
@truncation_mode("--mode", "resample")
@click.option(
    "--count", type=click.IntRange(2, 1_000_000), default=256, show_default=True, help="Clips at each threshold."
)
def truncation(
    project: Project,
    force: bool,
    dry_run: bool,
    thresholds: list[float],
    mode: Literal["resample", "scale"],
    count: int,
) -> None:
    """Score a trained generator over thresholds of the truncation of its latent vectors: scores/truncation-<mode>.json
    and a figure, report/truncation-<mode>.png."""
    if dry_run:
        say(f"would make {count} clips at each of {len(thresholds)} thresholds and without, and score them")
        return
    from gansemble.abilities import SetMetric
    from gansemble.errors import GansembleError
    from gansemble.evaluation.truncation import sweep
    from gansemble.parts.sampling import Truncation
    from gansemble.plugins.signatures import has_ability

    recipe = project.checked()
    if not any(has_ability(part.target, SetMetric) for part in recipe.many["metrics"].values()):
        raise GansembleError(
            f"{project.recipe}: no metric of whole sets (such as fid) is in its metrics section; add one with --set"
        )
    say(f"see {sweep(project, recipe, [None, *(Truncation(each, mode) for each in thresholds)], count, say)}")
