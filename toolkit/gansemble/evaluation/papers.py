"""The papers of the methods that a recipe uses, from the fidelity cards of the plugins that have its parts."""

from __future__ import annotations

import sys
from pathlib import Path

from gansemble.errors import GansembleError
from gansemble.recipe import document
from gansemble.recipe.schema import Recipe

#: Name of a plugin's fidelity card, and sections whose parts make a method; metrics and corpora have papers of their own.
CARD = "fidelity.yaml"
METHOD = frozenset(
    {"representation", "generator", "objective", "noise_injector", "discriminators", "losses", "regularisers"}
)


def papers_of(recipe: Recipe) -> list[str]:
    """The entry ``paper`` of each card, in the order of the recipe's parts; a card that cannot be read is left out."""
    found: list[str] = []
    for part in recipe.parts():
        path = card_of(part.entry.target.partition(":")[0]) if part.path[0] in METHOD else None
        try:
            value = document.read(path).value if path is not None else {}
        except GansembleError:
            continue
        paper = value.get("paper")
        if isinstance(paper, str) and paper.strip():
            found.append(" ".join(paper.split()))
    return list(dict.fromkeys(found))


def card_of(module: str) -> Path | None:
    """The fidelity card beside a module that was imported, or beside a package around it; None if there is none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    folder = Path(file).parent if file else None
    while folder is not None and (folder / "__init__.py").is_file():
        if (folder / CARD).is_file():
            return folder / CARD
        folder = folder.parent
    return None
