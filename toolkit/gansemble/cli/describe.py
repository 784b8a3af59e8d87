"""``describe``."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import click

from gansemble.cli.common import set_option
from gansemble.errors import PluginError, near
from gansemble.registry import KINDS


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="RECIPE | KIND NAME")
@set_option
@click.option("--defaults", is_flag=True, help="Of a recipe, list the values that are defaults, too.")
@click.option("--fast", is_flag=True, help="Of a recipe, leave out what has to be measured on built networks.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def describe(words: tuple[str, ...], overrides: tuple[str, ...], defaults: bool, fast: bool, as_json: bool) -> None:
    """Show what a part or a recipe is.

    KIND NAME: a part's parameters with types, defaults and documentation, its contract, where it is written, how large
    it is; the name alone will do where one kind has it. RECIPE: its parts with parameters, multiplications for a second of audio, receptive fields, delay, memory of a
    training step, and where each value was set.
    """
    from gansemble import plugins

    if len(words) == 1:
        from gansemble.cli.describe_recipe import show

        if words[0] in KINDS:
            known = ", ".join(entry.name for entry in plugins.registry().entries(words[0]))
            raise PluginError(f"describe {words[0]} NAME: expected a name; there are: {known}")
        kinds = [entry.kind for entry in plugins.registry().entries() if entry.name == words[0]]
        if not kinds or Path(words[0]).exists():
            show(Path(words[0]), overrides, defaults, fast, as_json)
            return
        if len(kinds) > 1:
            ways = ", ".join(f"gansemble describe {kind} {words[0]}" for kind in kinds)
            raise PluginError(f"describe {words[0]}: {len(kinds)} kinds have a part of this name; say which: {ways}")
        words = (kinds[0], words[0])
    if len(words) > 2:
        raise click.UsageError(f"expected RECIPE, or KIND NAME, got {len(words)} words")
    kind, name = words
    if kind not in KINDS:
        raise PluginError(f"no kind {kind!r}{near(kind, KINDS)}; kinds: {', '.join(KINDS)}")
    entry = plugins.registry().get(kind, name)
    facts = _facts(entry)
    if as_json:
        click.echo(json.dumps(facts, indent=1, default=str))
        return
    click.echo(click.style(f"{kind} {entry.name}", bold=True) + f" ({entry.plugin}): {entry.summary}")
    click.echo(f"{facts['file']}:{facts['line']}  {entry.target}\n")
    if facts["text"]:
        click.echo(facts["text"] + "\n")
    for row in facts["parameters"]:
        default = f" = {row['default']!r}" if "default" in row else ""
        if row["supplied"]:
            default = " (supplied by the toolkit)"
        click.echo(f"  {row['name']}: {row['type']}{default}" + (f"\n      {row['text']}" if row["text"] else ""))
    if facts["paper"]:
        click.echo(f"\npaper: {facts['paper']}")
    for key in ("contract", "sizes"):
        if facts[key]:
            click.echo(f"\n{key}")
            for name, value in facts[key].items():
                shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
                click.echo(f"  {name}: {shown:,}" if isinstance(value, int) else f"  {name}: {shown}")


def _facts(entry: Any) -> dict[str, Any]:
    from gansemble.recipe import types
    from gansemble.recipe.check import SUPPLIED

    target = entry.load()
    text = inspect.getdoc(target) or ""
    told = documented(text)
    parameters, hints = types.signature(target), types.hints(target)
    rows = [
        {
            "name": name,
            "type": types.show(hints.get(name, Any)),
            **({} if p.default is p.empty else {"default": p.default}),
            "text": told.get(name, ""),
            "supplied": name in SUPPLIED and p.default is p.empty,
        }
        for name, p in parameters.items()
    ]
    module = inspect.getmodule(target)
    return {
        "kind": entry.kind,
        "name": entry.name,
        "plugin": entry.plugin,
        "summary": entry.summary,
        "target": entry.target,
        "file": inspect.getsourcefile(target),
        "line": inspect.getsourcelines(target)[1],
        "text": re.split(r"\n\s*Args:", text)[0].strip(),
        "parameters": rows,
        "paper": _paper(module, target),
        "contract": _contract(target, parameters),
        "sizes": _size(target, parameters),
    }


def documented(text: str) -> dict[str, str]:
    """Parameter descriptions from an ``Args:`` block; one line may document several."""
    block = re.search(r"Args:\n((?:[ \t]+.*\n?|\n(?=[ \t]))+)", text)
    found: dict[str, str] = {}
    current: list[str] = []
    for line in block.group(1).splitlines() if block else ():
        start = re.match(r"\s{4}(\w[\w, ]*): (.*)", line)
        if start:
            current = [name.strip() for name in start.group(1).split(",")]
            found |= dict.fromkeys(current, start.group(2))
        elif line.strip():
            for name in current:
                found[name] += " " + line.strip()
        else:
            break
    return found


def _paper(module: Any, target: Any) -> str:
    """The first citation in the docstrings of the part, its module or its plugin."""
    import sys

    package = sys.modules.get(module.__package__) if module else None
    for text in (inspect.getdoc(target), inspect.getdoc(module), inspect.getdoc(package)):
        found = re.search(r"\(([^()]*(?:19|20)\d\d[^()]*)\)", text or "")
        if found:
            return found.group(1)
    return ""


def _contract(target: Any, parameters: Any) -> dict[str, Any]:
    import dataclasses

    from gansemble.recipe.contracts import stand_ins

    if not hasattr(target, "contract"):
        return {}
    filled = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    contract = target.contract({name: value for name, value in stand_ins().items() if name in parameters} | filled)
    stated = {k: v for k, v in dataclasses.asdict(contract).items() if v and k not in ("because", "latent_law")}
    if contract.latent:
        stated["latent_law"] = contract.latent_law
    plain = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in stated.items()}
    return plain | {k: ["any" if n is None else n for n in v] for k, v in plain.items() if k == "shape"}


def _size(target: Any, parameters: Any) -> dict[str, int]:
    """Parameters of the default construction, as trained and with weight norms folded, where the part is a network."""
    import torch
    from torch import nn

    from gansemble.recipe.contracts import stand_ins
    from gansemble.synthesis import fold

    if not (inspect.isclass(target) and issubclass(target, nn.Module)):
        return {}
    supplied = stand_ins()
    with torch.device("cpu"):
        network = target(**{name: value for name, value in supplied.items() if name in parameters})
    trained = sum(p.numel() for p in network.parameters())
    return {"parameters": trained, "folded": sum(p.numel() for p in fold(network).parameters())} if trained else {}
