"""``describe``."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

import click

from gansemble.abilities import Contracted
from gansemble.cli.options import set_option
from gansemble.errors import PluginError, near
from gansemble.plugins.docstrings import documented, paper
from gansemble.plugins.registry import KINDS, Entry


class PartFacts(TypedDict):
    """What is shown of a part, and printed by ``--json``."""

    kind: str
    name: str
    plugin: str
    summary: str
    target: str
    file: str | None
    line: int
    text: str
    parameters: list[ParameterRow]
    paper: str
    contract: Mapping[str, object]
    sizes: Mapping[str, int]


class ParameterRow(TypedDict):
    """A parameter of a part's constructor; ``text`` is its description in the docstring."""

    name: str
    type: str
    default: NotRequired[object]
    text: str
    supplied: bool


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="RECIPE | KIND [NAME]")
@set_option
@click.option("--defaults", is_flag=True, help="Of a recipe, list the values that are defaults, too.")
@click.option("--fast", is_flag=True, help="Of a recipe, leave out what has to be measured on built networks.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def describe(words: tuple[str, ...], overrides: tuple[str, ...], defaults: bool, fast: bool, as_json: bool) -> None:
    """Show what a part or a recipe is.

    KIND: what parts of this kind are, how they are called, what is demanded of them, the smallest example, and which there
    are. KIND NAME: a part's parameters with types, defaults and documentation, its contract, where it is written, how large
    it is; the name alone will do where one kind has it. RECIPE: its parts with parameters, multiplications for a second
    of audio, receptive fields, delay, memory of a training step, and where each value was set.
    """
    from gansemble.plugins import loading

    if len(words) == 1:
        from gansemble.cli.describe_recipe import show

        if words[0] in KINDS:
            from gansemble.cli import describe_kind

            describe_kind.show(words[0], loading.registry())
            return
        kinds = [entry.kind for entry in loading.registry().entries() if entry.name == words[0]]
        if not kinds and not Path(words[0]).exists() and "/" not in words[0] and not words[0].endswith(".yaml"):
            parts = sorted({entry.name for entry in loading.registry().entries()})
            if hint := near(words[0], [*KINDS, *parts]):
                raise PluginError(f"describe {words[0]}: no kind, part or recipe file of this name{hint}")
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
    entry = loading.registry().get(kind, name)
    facts = _facts(entry)
    if as_json:
        click.echo(json.dumps(facts, indent=1, default=str))
        return
    click.echo(click.style(f"{kind} {entry.name}", bold=True) + f" ({entry.plugin}): {entry.summary}")
    click.echo(f"{facts['file']}:{facts['line']}  {entry.target}\n")
    if facts["text"]:
        click.echo(facts["text"] + "\n")
    for row in facts["parameters"]:
        # Settings have rows of their own below; a part as a parameter has not.
        value = row.get("default")
        settings = isinstance(value, dict) and "use" not in value
        default = f" = {value!r}" if "default" in row and not settings else ""
        if row["supplied"]:
            default = " (supplied by the toolkit)"
        click.echo(f"  {row['name']}: {row['type']}{default}" + (f"\n      {row['text']}" if row["text"] else ""))
    if facts["paper"]:
        click.echo(f"\npaper: {facts['paper']}")
    for key, stated in (("contract", facts["contract"]), ("sizes", facts["sizes"])):
        if stated:
            click.echo(f"\n{key}")
            for name, value in stated.items():
                shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
                click.echo(f"  {name}: {shown:,}" if isinstance(value, int) else f"  {name}: {shown}")


def _facts(entry: Entry) -> PartFacts:
    from gansemble.recipe import types

    target = entry.load()
    text = inspect.getdoc(target) or ""
    parameters = types.signature(target)
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
        "parameters": _parameters(target),
        "paper": paper(module, target),
        "contract": _contract(entry, target, parameters),
        "sizes": _size(target, parameters),
    }


def _parameters(target: Callable[..., object], within: str = "", settings: object = None) -> list[ParameterRow]:
    """A row for each parameter of a class or function, in order.

    A parameter that is a dataclass is followed by rows for its fields, named as ``--set`` names them, such as ``a.b``.

    Args:
        target: the class or function.
        within: prefix of the names, such as ``a.``.
        settings: the default of that dataclass, whose values are the fields' defaults.
    """
    import dataclasses

    from gansemble.recipe import types
    from gansemble.recipe.schema import SUPPLIED

    told, hints = documented(inspect.getdoc(target) or ""), types.ranged_hints(target)
    rows: list[ParameterRow] = []
    for name, parameter in types.signature(target).items():
        hint, default = hints.get(name, types.ANYTHING), getattr(settings, name, parameter.default)
        supplied = not within and name in SUPPLIED and default is parameter.empty
        row: ParameterRow = {
            "name": within + name,
            "type": types.show(hint),
            "text": told.get(name, ""),
            "supplied": supplied,
        }
        nested = hint if dataclasses.is_dataclass(hint) and isinstance(hint, type) and not supplied else None
        if default is not parameter.empty:
            row["default"] = dataclasses.asdict(default) if nested and default else default
        rows.append(row)
        rows += _parameters(nested, f"{within}{name}.", default) if nested is not None else []
    return rows


def _contract(
    entry: Entry, target: Callable[..., object], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, object]:
    import dataclasses

    from gansemble.recipe.contract import of_its_kind, stand_ins

    if not isinstance(target, Contracted):
        return {}
    filled = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    given = {name: value for name, value in stand_ins().items() if name in parameters} | filled
    try:
        contract = of_its_kind(target.contract(given), entry.kind)
    except KeyError:
        return {}  # it follows from a parameter that only a recipe gives
    except TypeError as error:
        raise PluginError(f"{entry.kind} {entry.name} of plugin {entry.plugin}: {error}") from error
    stated = {k: v for k, v in dataclasses.asdict(contract).items() if v and k != "because"}
    if "latent" not in stated:
        stated.pop("latent_law", None)
    plain = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in stated.items()}
    return plain | {k: ["any" if n is None else n for n in v] for k, v in plain.items() if k == "shape"}


def _size(target: Callable[..., object], parameters: Mapping[str, inspect.Parameter]) -> dict[str, int]:
    """The number of parameters of a network built with its defaults; empty if the part is no network, or they do not do.

    ``parameters`` counts them as they are trained, and ``folded`` with the weight norms folded into the weights.
    """
    import torch
    from torch import nn

    from gansemble.inference.loading import fold
    from gansemble.recipe.contract import stand_ins

    if not (inspect.isclass(target) and issubclass(target, nn.Module)):
        return {}
    given = {name: value for name, value in stand_ins().items() if name in parameters}
    if any(p.default is p.empty and name not in given for name, p in parameters.items()):
        return {}  # a file of weights, say, that only a recipe names
    try:
        with torch.device("meta"):  # sizes without weights: a large network takes no time and no memory
            network = target(**given)
    except (RuntimeError, NotImplementedError):  # it computes something with its weights
        with torch.device("cpu"):
            network = target(**given)
    trained = sum(p.numel() for p in network.parameters())
    return {"parameters": trained, "folded": sum(p.numel() for p in fold(network).parameters())} if trained else {}
