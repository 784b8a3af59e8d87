"""``check`` and ``fill``."""

from __future__ import annotations

from pathlib import Path

import click

from gansemble.cli.garbage import uncollected
from gansemble.cli.options import PATH, recipe_argument, set_option
from gansemble.cli.terminal import say
from gansemble.errors import GansembleError


@click.command()
@click.argument("recipes", nargs=-1, required=True, type=PATH)
@set_option
@uncollected()
def check(recipes: tuple[Path, ...], overrides: tuple[str, ...]) -> None:
    """Check each recipe and report all its problems with file, line and column."""
    from gansemble.recipe import check as checking

    failed = []
    for path in recipes:
        try:
            recipe = checking.load(path, overrides)
        except GansembleError as error:
            failed.append(path)
            click.echo(f"{error}\n", err=True)
        else:
            say(f"{path}: ok ({len(recipe.parts())} parts)")
            for note in recipe.notes:
                say(f"  note: {note.message}")
    if failed:
        raise GansembleError(
            f"{len(failed)} of {len(recipes)} recipes failed: {', '.join(str(path) for path in failed)}"
        )


@click.command()
@recipe_argument
@set_option
@uncollected()
def fill(recipe: Path, overrides: tuple[str, ...]) -> None:
    """Print RECIPE with includes merged and every default written out."""
    from gansemble.recipe import check as checking
    from gansemble.recipe import fill as filling

    click.echo(filling.dump(filling.fill(checking.load(recipe, overrides))), nl=False)
