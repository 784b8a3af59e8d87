"""Computes the contract of a part of a recipe from its constructor's arguments."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from gansemble import numbers
from gansemble.abilities import Contracted
from gansemble.audio.spec import AudioSpec
from gansemble.contract import OF_KIND, Contract
from gansemble.recipe import types
from gansemble.recipe.sections import Part


def stand_ins() -> dict[str, object]:
    """Values for what the toolkit supplies to parts, to look at a part outside a recipe."""
    return {"audio": AudioSpec(), "batch_size": 16, "seed": 0, "segment": 8192}


def supplied_to(part: Part, supplied: Mapping[str, object]) -> dict[str, object]:
    """What the toolkit supplies to one part: to a generator with a ``prior``, an audio section with as many ``mels`` as it
    has frequency bins, n_fft / 2 + 1, so that the part builds itself for the channels that it will read.

    Args:
        part: of a recipe.
        supplied: to all parts, by the names of their parameters.
    """
    audio = supplied.get("audio")
    if part.prior is None or not isinstance(audio, AudioSpec):
        return dict(supplied)
    return {**supplied, "audio": dataclasses.replace(audio, mels=audio.n_fft // 2 + 1)}


def filled(part: Part, supplied: Mapping[str, object]) -> dict[str, object]:
    """All arguments of a part: its constructor's defaults, what the toolkit supplies, and the recipe's own.

    Of those for one parameter the last in this order counts.

    Args:
        part: of a recipe.
        supplied: what the toolkit fills into parameters of these names, see
            :meth:`gansemble.recipe.schema.Recipe.supplied`.
    """
    names = types.signature(part.target)
    given = {name: parameter.default for name, parameter in names.items() if parameter.default is not parameter.empty}
    theirs = supplied_to(part, supplied)
    return given | {name: value for name, value in theirs.items() if name in names} | part.arguments


def contract_of(part: Part, supplied: Mapping[str, object]) -> Contract:
    """The contract of a part of a recipe; an empty contract of its kind if its class has no ``contract``.

    Args:
        part: of a recipe.
        supplied: as in :func:`filled`.

    Raises:
        TypeError: if the part's ``contract`` returns something else, such as the contract of another kind.
        ValueError: if the part's ``contract`` refuses the arguments.
    """
    if not isinstance(part.target, Contracted):
        return OF_KIND.get(part.kind, Contract)()
    return of_its_kind(part.target.contract(filled(part, supplied)), part.kind)


def of_its_kind(contract: object, kind: str) -> Contract:
    """The contract itself, after checking that it is the contract class of this kind, and its fields.

    Raises:
        TypeError: if it is another, or a field holds what contracts do not have, such as a latent law that is unknown; the
            message names what was expected.
    """
    wanted = OF_KIND.get(kind, Contract)
    if not isinstance(contract, Contract) or type(contract) is not wanted:
        raise TypeError(
            f"its contract returns {type(contract).__name__}, but a {kind} has a {wanted.__name__} (gansemble.contract)"
        )
    wrong = _fault(contract)
    if wrong is not None:
        raise TypeError(f"its contract's {wrong} ({wanted.__name__})")
    return contract


@functools.lru_cache(maxsize=64)
def _hints(kind: type[Contract]) -> Mapping[str, object]:
    return types.ranged_hints(kind)


def _fault(contract: Contract) -> str | None:
    """What is wrong with the first field of a contract that is of another type or out of range; None if nothing is."""
    hints = _hints(type(contract))  # type: ignore[arg-type]  # mypy takes the class for one of its objects
    for field in dataclasses.fields(contract):
        value, hint = getattr(contract, field.name), hints[field.name]
        if field.default is not dataclasses.MISSING and value == field.default:
            continue  # declares nothing
        # A set that may change does as well as one that may not.
        value = frozenset(value) if isinstance(value, set) else value
        if types.misfit(value, numbers.bare(hint)) is not None:
            return f"{field.name} must be {types.show(hint)}, got {value!r}"
        for place, wrong in numbers.outside(value, hint):
            return f"{'.'.join(map(str, (field.name, *place)))} {wrong}"
    return None
