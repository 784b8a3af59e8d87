"""``plugins list``, ``new``, ``check`` and ``doctor``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gansemble.cli.options import PATH
from gansemble.plugins.registry import KINDS


@click.group()
def plugins() -> None:
    """List plugins and parts, and say what is wrong with them."""


@plugins.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only parts of this kind.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(kind: str | None, as_json: bool) -> None:
    """List every part by kind, with its plugin and summary; imports none of them."""
    from gansemble.plugins import loading as loading

    registry = loading.registry()
    entries = registry.entries(kind)
    if as_json:
        fields = ("kind", "name", "plugin", "target", "summary", "since")
        rows = [{key: getattr(entry, key) for key in fields} | {"example": dict(entry.example)} for entry in entries]
        click.echo(json.dumps({"parts": rows, "broken": sorted(registry.broken)}, indent=1))
        return
    width = max((len(entry.name) for entry in entries), default=0)
    plugin_width = max((len(entry.plugin) for entry in entries), default=0)
    previous = None
    for entry in entries:
        if entry.kind != previous:
            click.echo(("\n" if previous else "") + click.style(entry.kind, bold=True))
            previous = entry.kind
        click.echo(f"  {entry.name:{width}}  {entry.plugin:{plugin_width}}  {entry.summary}")
    for name, broken in registry.broken.items():
        click.echo(
            f"\nbroken: {name} ({type(broken.error).__name__}: {broken.error}); see gansemble plugins doctor",
            err=True,
        )


@plugins.command()
@click.argument("name")
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="A kind of part to begin with; may be repeated (default: generator).",
)
@click.option("--all", "every", is_flag=True, help="One part of every kind.")
@click.option("--out", type=PATH, default=Path(), help="Folder to write it in (default: here).")
@click.option(
    "--recipe", "base", metavar="ADDRESS", help="Give it a recipe that builds on this one (gansemble recipes list)."
)
def new(name: str, kinds: tuple[str, ...], every: bool, out: Path, base: str | None) -> None:
    """Write a new plugin NAME: a distribution of its own with working parts, their tests and a README."""
    from gansemble import scaffold
    from gansemble.recipe import packages

    found = packages.find(base) if base is not None else None
    root = scaffold.create(name, KINDS if every else kinds or ("generator",), out, found)
    click.echo(f"{root}: written\n")
    click.echo(f"  pip install -e {root}        its parts are then known in every recipe")
    click.echo(f"  gansemble plugins check {name}  the conformance kit, also run by pytest in {root}")
    if found is not None:
        click.echo(
            f"  gansemble run {name}:{found.recipe.name} --mini  its recipe, on a small corpus, in the folder you are in"
        )
    click.echo(f"  {root}/README.md             how to use it in a recipe, and a checklist for porting a paper")


@plugins.command()
@click.argument("name")
@click.option("-v", "--verbose", is_flag=True, help="Name each promise that is kept, too.")
def check(name: str, verbose: bool) -> None:
    """Hold a plugin's parts to what their kinds promise; NAME is a plugin, a part, or plugin/part. Exits 1 on a fault."""
    from gansemble.plugins import loading as loading
    from gansemble.testing import conformance

    entries = conformance.find(name, loading.registry())
    faults, promises = 0, 0
    results = conformance.examine(entries)
    for entry in entries:
        own = []
        for _ in conformance.CHECKS[entry.kind]:
            own.append(next(results))
        wrong = [result for result in own if result.fault]
        promises, faults = promises + len(own), faults + len(wrong)
        untested = [result.untested for result in own if result.untested]
        mark = click.style("FAULT", fg="red") if wrong else click.style("ok   ", fg="green")
        told = f"{len(own) - len(wrong) - len(untested)} of {len(own)} promises kept"
        click.echo(f"{'?    ' if untested else mark} {entry.kind} {entry.plugin}/{entry.name}: {told}")
        if untested:
            click.echo(f"      not tested here: {untested[0]}")
        for result in own:
            if result.fault:
                click.echo(f"      {result.name.replace('_', ' ')}: {result.fault}")
            elif verbose:
                click.echo(f"      {result.name.replace('_', ' ')}")
    click.echo(f"{len(entries)} parts, {promises} promises, {faults} faults")
    if faults:
        raise SystemExit(1)


@plugins.command()
def doctor() -> None:
    """Show broken plugins with their tracebacks, names given twice, and switched-off plugins.

    Exits 1 when a plugin is broken, a part is missing, or several plugins give a name that is none of the toolkit's:
    recipes that use it then fail.
    """
    from gansemble.plugins import loading as loading

    registry = loading.registry()
    for name, reason in registry.disabled.items():
        click.echo(f"off: {name} (by {reason})")
    ambiguous = 0
    for kind, name, given in registry.ambiguous():
        choices, meant = ", ".join(f"{plugin}/{name}" for plugin in given), registry.meant(kind, name)
        ambiguous += meant is None
        rule = "recipes must say one of" if meant is None else f"the name alone means {meant.plugin}/{name}, of"
        click.echo(f"ambiguous: {kind} {name!r} is given by {len(given)} plugins; {rule} {choices}")
    missing = []
    for entry in registry.entries():
        try:
            entry.load()
        except Exception as error:
            missing.append(entry)
            click.echo(f"missing: {error}")
    for broken in registry.broken.values():
        click.echo(f"broken: {broken.plugin}\n{broken.traceback}")
    count = len({entry.plugin for entry in registry.entries()})
    click.echo(
        f"{len(registry.entries())} parts of {count} plugins; {len(registry.broken)} broken plugins, {len(missing)} missing targets"
    )
    if registry.broken or missing or ambiguous:
        raise SystemExit(1)
