"""What a kind of part is, for ``gansemble describe KIND``: how it is called, its contract, promises, an example."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import click

from gansemble import interfaces, scaffold
from gansemble.contract import OF_KIND, Contract
from gansemble.plugins.docstrings import documented
from gansemble.plugins.registry import GROUPS, Registry
from gansemble.plugins.signatures import CALLS

#: Kinds whose parts share the Protocol of another name than theirs.
SHARED = {"loss": "Term", "regulariser": "Term", "schedule": "LearningRateSchedule"}


def protocol(kind: str) -> type | None:
    """The Protocol that parts of a kind keep; None where any object of another library will do, as of an optimiser."""
    name = SHARED.get(kind) or "".join(word.title() for word in kind.split("_"))
    found = vars(interfaces).get(name)
    return found if isinstance(found, type) else None


def calls(kind: str) -> list[str]:
    """How the toolkit calls a part of a kind, a line for each method."""
    shown = [
        f"part({', '.join(arguments)})" if method == "()" else f"part.{method}({', '.join(arguments)})"
        for method, arguments in CALLS[kind].items()
    ]
    return shown or [
        "part(parameters, lr=…)  # any keyword parameters of its own",
        "part(named_parameters, lr=…)  # pairs of name and parameter",
    ]


def contract_keys(kind: str) -> dict[str, str]:
    """The keys of a kind's contract with their meaning, from docstrings."""
    family = OF_KIND.get(kind, Contract)
    return {key: text for cls in family.__mro__[:-1] for key, text in documented(inspect.getdoc(cls) or "").items()}


def promises(kind: str) -> dict[str, str]:
    """What the conformance kit demands of a part of a kind, by the promise's name."""
    from gansemble.testing.conformance import CHECKS

    return {check.__name__.replace("_", " "): _line(check) for check in CHECKS[kind]}


def example(kind: str) -> str:
    """The working part that ``gansemble plugins new`` writes."""
    return (Path(scaffold.__file__).parent / "parts" / f"{kind}.py").read_text(encoding="utf-8")


def show(kind: str, registry: Registry) -> None:
    """Prints all that a plugin's author needs to know of a kind."""
    click.echo(click.style(f"{kind}", bold=True) + f", in a recipe: {scaffold.KIND_LINES[kind][0]}\n")
    found = protocol(kind)
    if found is not None:
        click.echo(f"{_head('Protocol')}  gansemble.interfaces.{found.__name__}\n\n{inspect.getdoc(found)}\n")
    click.echo(f"{_head('How it is called')}\n\n" + "\n".join(f"  {line}" for line in calls(kind)) + "\n")
    click.echo(f"{_head('Contract')}  gansemble.contract.{OF_KIND.get(kind, Contract).__name__}\n")
    _rows(contract_keys(kind))
    click.echo(f"{_head('Promises')}  gansemble plugins check NAME\n")
    _rows(promises(kind))
    click.echo(f"{_head('The smallest example')}  gansemble plugins new acme --kind {kind}\n\n{example(kind)}")
    click.echo(f"{_head('Registered')}  by the hook gansemble_register, or the entry-point group {GROUPS[kind]}\n")
    _rows({entry.name: f"{entry.summary} ({entry.plugin})" for entry in registry.entries(kind)})
    click.echo(f"gansemble describe {kind} NAME tells the rest of one.")


def _head(text: str) -> str:
    return click.style(text, bold=True)


def _rows(rows: dict[str, str]) -> None:
    for name, text in rows.items():
        click.echo(click.wrap_text(f"{name}: {text}", 100, "  ", "      "))
    click.echo()


def _line(function: Callable[..., object]) -> str:
    return " ".join((inspect.getdoc(function) or "").split())
