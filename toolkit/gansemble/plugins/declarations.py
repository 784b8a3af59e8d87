"""What parts declare by attributes, such as ``turns`` of a loss, held to what the toolkit understands.

A declaration of something else would have no effect and say nothing: a loss in the turn ``"generater"`` is never asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: The two sides, whose turns a training step consists of.
TURNS = ("generator", "discriminator")
#: Over which steps the statistic of an adaptive part is averaged.
WINDOWS = ("interval", "last")
#: Which way a metric is better.
DIRECTIONS = ("higher", "lower")


@dataclass(frozen=True)
class Declaration:
    """An attribute of parts.

    Args:
        kinds: of the parts that have it.
        fits: whether a value can be understood.
        wanted: what is expected, in words.
        beside: the method without which the attribute means nothing to the toolkit; empty if there is none.
        required: whether a part of these kinds has to have it.
    """

    kinds: frozenset[str]
    fits: Callable[[object], bool]
    wanted: str
    beside: str = ""
    required: bool = False


def _one_of(kinds: frozenset[str], known: tuple[str, ...], beside: str = "") -> Declaration:
    wanted = " or ".join(map(repr, known))
    return Declaration(kinds, lambda value: isinstance(value, str) and value in known, wanted, beside)


def _flag(*kinds: str) -> Declaration:
    return Declaration(frozenset(kinds), lambda value: isinstance(value, bool), "True or False")


def _text(kind: str, beside: str = "") -> Declaration:
    return Declaration(
        frozenset({kind}),
        lambda value: isinstance(value, str) and bool(value.strip()),
        "text that is not empty",
        beside,
    )


def _whole(kinds: frozenset[str], least: int, of: str, beside: str = "", none: bool = False) -> Declaration:
    def fits(value: object) -> bool:
        if value is None:
            return none
        return hasattr(value, "__index__") and not isinstance(value, bool) and value.__index__() >= least

    return Declaration(kinds, fits, f"a whole number of {of}, at least {least}" + (", or None" if none else ""), beside)


def _are_turns(value: object) -> bool:
    # A tuple or list of them works as well; text does not, in which a turn would be looked for by its letters.
    if not isinstance(value, frozenset | set | tuple | list):
        return False
    return bool(value) and all(isinstance(turn, str) and turn in TURNS for turn in value)


def _are_keys(value: object) -> bool:
    return isinstance(value, tuple | list) and bool(value) and all(isinstance(key, str) and key for key in value)


def _are_names(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)


_TERMS = frozenset({"loss", "regulariser"})
_ADAPTIVE = _TERMS | {"noise_injector"}
_GENERATOR = frozenset({"generator"})
#: attribute -> what it has to be. Those of one part that mean nothing to the toolkit are not looked at.
DECLARED: Mapping[str, Declaration] = {
    "turns": Declaration(
        _TERMS,
        _are_turns,
        f'a set of {" or ".join(map(repr, TURNS))}, such as frozenset({{"generator"}})',
        required=True,
    ),
    "statistic_turn": _one_of(_ADAPTIVE, TURNS, beside="adapt"),
    "statistic_window": _one_of(_ADAPTIVE, WINDOWS, beside="adapt"),
    "adapt_every": _whole(_ADAPTIVE, 1, "steps", beside="adapt"),
    "needs_real_output": _flag("objective", "noise_injector", *sorted(_TERMS)),
    "every": _whole(frozenset({"monitor"}), 1, "steps"),
    "healthy_until": _whole(frozenset({"monitor"}), 0, "steps"),
    "better": _one_of(frozenset({"metric"}), DIRECTIONS),
    "by_default": _flag("metric"),
    "needs_reference": _flag("metric"),
    "packages": Declaration(frozenset({"metric"}), _are_names, 'a tuple of distributions, such as ("pesq",)'),
    "without_effect": Declaration(frozenset({"metric"}), _are_names, "a tuple of names of parameters"),
    "keys": Declaration(frozenset({"metric"}), _are_keys, "a tuple of the scores' names", beside="score_set"),
    "wants_reference_labels": _flag("metric"),
    "learns": _flag("generator"),
    "alignment": _whole(_GENERATOR, 1, "frames"),
    "context_frames": _whole(_GENERATOR, 0, "frames", none=True),
    "mixes_labels": _flag("generator"),
    "standing_passes": _whole(_GENERATOR, 0, "batches"),
    "items_apart": _flag("discriminator"),
    "margin": _whole(frozenset({"degradation", "perturbation"}), 0, "samples"),
    "exact_crops": _flag("degradation"),
    "suits_pairs": _flag("perturbation"),
    "draws": _flag("perturbation"),
    "domain": _text("representation"),
    "fitted": _flag("representation", "monitor", *sorted(_TERMS)),
    "soundless": _flag("representation"),
    "phase": _text("representation", beside="decode_with_phase"),
}
_MISSING = object()


def fault(kind: str, part: object) -> str | None:
    """What is wrong with the declarations of a part, as ``its turns must be …, got …``; None if all are understood.

    Of a class only what stands in its body is looked at: its constructor may declare the rest.

    Args:
        kind: one of :data:`gansemble.plugins.registry.KINDS`.
        part: a class, or an object that was built. Of any other function nothing is known.
    """
    built = not (inspect.isclass(part) or inspect.isroutine(part))
    for name, declaration in DECLARED.items():
        if kind not in declaration.kinds or (declaration.beside and not hasattr(part, declaration.beside)):
            continue
        value = getattr(part, name, _MISSING) if built else inspect.getattr_static(part, name, _MISSING)
        if value is _MISSING:
            if built and declaration.required:
                return f"it has no {name}: expected {declaration.wanted}"
        elif not (declaration.fits(value) or (not built and _is_made_later(value))):
            return f"its {name} must be {declaration.wanted}, got {value!r}"
    return None


def _is_made_later(value: object) -> bool:
    """Whether an attribute of a class says nothing before an object is built, as a property or a slot does."""
    return hasattr(type(value), "__get__")
