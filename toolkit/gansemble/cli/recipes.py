"""``recipes list``, ``new`` and ``copy``: recipes that come with installed distributions."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gansemble.cli.options import PATH
from gansemble.cli.terminal import say


@click.group()
def recipes() -> None:
    """List the installed recipes, copy one, or begin one that builds on another."""


@recipes.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(as_json: bool) -> None:
    """List the recipes of all installed distributions: their addresses, configurations and what they are."""
    from gansemble.recipe import packages

    found = packages.installed()
    if as_json:
        rows = [
            {"address": each.address, "folder": str(each.folder), "configurations": each.configurations()}
            for each in found
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    width = max((len(each.address) for each in found), default=0)
    for each in found:
        default = packages.default_of(each.folder)
        chosen = Path(default).stem if default is not None else None
        names = [f"{name} (default)" if name == chosen else name for name in each.configurations() if "/" not in name]
        below = sum("/" in name for name in each.configurations())
        more = f", and {below} in sub-folders" if below else ""
        click.echo(f"{click.style(f'{each.address:{width}}', bold=True)}  {', '.join(names)}{more}")
    click.echo(
        "\ngansemble run ADDRESS --mini tries one in the folder you are in; gansemble recipes copy ADDRESS copies it"
    )


@recipes.command()
@click.argument("address")
@click.argument("folder", type=PATH, required=False)
def copy(address: str, folder: Path | None) -> None:
    """Copy the recipe ADDRESS to FOLDER (default: a folder here, called as the recipe is), to change it as you like."""
    from gansemble.recipe import packages
    from gansemble.scaffold import recipes as writing

    found = packages.find(address)
    target = writing.copy(found, folder or Path(found.recipe.address.replace(":", "-").replace("/", "-")))
    say(
        f"{target}: copied from {found.recipe.address}\n\n  {target}/run.sh --mini   tries it; run.sh --help tells the rest"
    )


@recipes.command()
@click.argument("name")
@click.option("--from", "base", required=True, metavar="ADDRESS", help="The recipe that it builds on.")
@click.option("--out", type=PATH, default=Path(), help="Folder to write it in (default: here).")
def new(name: str, base: str, out: Path) -> None:
    """Write a new recipe NAME that includes an installed one and changes some of it."""
    from gansemble.recipe import packages
    from gansemble.scaffold import recipes as writing

    root = writing.new(name, packages.find(base), out)
    say(f"{root}: written\n\n  {root}/conf/{name}.yaml   what it changes\n  {root}/run.sh --mini   tries it")
