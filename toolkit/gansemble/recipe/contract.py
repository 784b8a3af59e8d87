"""What a part of a recipe declares, of its filled arguments."""

from __future__ import annotations

from typing import Protocol

from gansemble.abilities import Contracted
from gansemble.audio.spec import AudioSpec
from gansemble.contract import OF_KIND, Contract
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
    """What a part of a recipe declares: the contract of its kind, without any statement where the part has none.

    Raises:
        TypeError: if the part returns something else, such as the contract of another kind.
    """
    if not isinstance(part.target, Contracted):
        return OF_KIND.get(part.kind, Contract)()
    return of_its_kind(part.target.contract(filled(part, recipe)), part.kind)


def of_its_kind(contract: object, kind: str) -> Contract:
    """The contract itself, where it is the one that parts of this kind have.

    Raises:
        TypeError: if it is not; the message names the class that was expected.
    """
    wanted = OF_KIND.get(kind, Contract)
    if not isinstance(contract, Contract) or type(contract) is not wanted:
        raise TypeError(
            f"its contract returns {type(contract).__name__}, but a {kind} has a {wanted.__name__} (gansemble.contract)"
        )
    return contract
