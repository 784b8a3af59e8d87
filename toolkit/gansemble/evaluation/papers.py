"""The papers of the methods that a recipe uses, and where its parts differ from them, from the fidelity cards of the plugins that have its parts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gansemble.errors import GansembleError
from gansemble.recipe import document
from gansemble.recipe.schema import Recipe

#: Name of a plugin's fidelity card, and sections whose parts make a method; metrics and corpora have papers of their own.
CARD = "fidelity.yaml"
METHOD = frozenset(
    {"representation", "generator", "objective", "noise_injector", "discriminators", "losses", "regularisers"}
)


@dataclass(frozen=True)
class Deviation:
    """A claim of a paper that is done otherwise here.

    Args:
        paper: whose claim it is.
        source: where the paper, or its code, says it.
        says: what it says.
        deviation: what is done otherwise.
        why: the reason.
    """

    paper: str
    source: str
    says: str
    deviation: str
    why: str


def papers_of(recipe: Recipe) -> list[str]:
    """The entry ``paper`` of each card, in the order of the recipe's parts; a card that cannot be read is left out."""
    found = [_text(card, "paper") for card in _cards(recipe)]
    return [paper for paper in found if paper]


def deviations_of(recipe: Recipe) -> list[Deviation]:
    """What the cards say is done otherwise than in the papers, in the order of the recipe's parts and of each card."""
    found = []
    for card in _cards(recipe):
        claims = card.get("claims")
        for claim in claims if isinstance(claims, list) else ():
            if isinstance(claim, dict) and _text(claim, "deviation"):
                found.append(
                    Deviation(
                        _text(card, "paper"), *(_text(claim, name) for name in ("source", "says", "deviation", "why"))
                    )
                )
    return found


def _cards(recipe: Recipe) -> Iterator[Mapping[str, object]]:
    """The card of each of the recipe's methods, once."""
    paths = [card_of(part.entry.target.partition(":")[0]) for part in recipe.parts() if part.path[0] in METHOD]
    for path in dict.fromkeys(path for path in paths if path is not None):
        try:
            value = document.read(path).value
        except GansembleError:
            continue
        if isinstance(value, dict):
            yield value


def _text(values: Mapping[str, object], name: str) -> str:
    found = values.get(name)
    return " ".join(found.split()) if isinstance(found, str) else ""


def card_of(module: str) -> Path | None:
    """The fidelity card beside a module that was imported, or beside a package around it; None if there is none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    folder = Path(file).parent if file else None
    while folder is not None and (folder / "__init__.py").is_file():
        if (folder / CARD).is_file():
            return folder / CARD
        folder = folder.parent
    return None
