"""What a part of a recipe declares, of its filled arguments."""

from __future__ import annotations

from typing import Protocol

from gansemble.abilities import Contracted
from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.recipe import types
from gansemble.recipe.sections import Part


class Supplier(Protocol):
    """A recipe, as far as its parts are concerned: what it fills into constructor parameters by their names."""

    def supplied(self) -> dict[str, object]: ...


def stand_ins() -> dict[str, object]:
    """What the toolkit supplies to parts, for looking at one outside a recipe."""
    return {"audio": AudioSpec(), "batch_size": 16, "seed": 0, "segment": 8192}


def filled(part: Part, recipe: Supplier) -> dict[str, object]:
    """A part's arguments with defaults and supplied values written out."""
    given = {n: p.default for n, p in types.signature(part.target).items() if p.default is not p.empty}
    names = types.signature(part.target)
    supplied = {name: value for name, value in recipe.supplied().items() if name in names}
    return given | supplied | part.arguments


def contract_of(part: Part, recipe: Supplier) -> Contract:
    """What a part declares; an empty contract when it says nothing."""
    return part.target.contract(filled(part, recipe)) if isinstance(part.target, Contracted) else Contract()
