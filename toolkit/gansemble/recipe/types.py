"""Checks the values of a recipe against the signatures of constructors.

Values are converted to the types asked for and checked by typeguard, every item of a list included, and numbers are held
to their ranges (:mod:`gansemble.numbers`); for a misspelt name a similar one is suggested.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from gansemble import inputs, numbers
from gansemble.errors import PluginError, near
from gansemble.plugins.nested import PartOf, kind_of
from gansemble.recipe.document import MOST_PROBLEMS, Document, KeyPath, Problem

#: The hint of a parameter without one: any value fits.
ANYTHING: object = Any


def signature(target: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """The parameters of a class or function that can be given by keyword, by name."""
    parameters = inspect.signature(target).parameters.values()
    return {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def hints(target: Callable[..., object]) -> dict[str, object]:
    """The type hints of a class's constructor or of a function, by parameter.

    Raises:
        NameError: if an annotation names something that cannot be imported at run time.
    """
    return {name: numbers.bare(hint) for name, hint in ranged_hints(target).items()}


def ranged_hints(target: Callable[..., object]) -> dict[str, object]:
    """As :func:`hints`, with the ranges that are stated in them.

    Raises:
        NameError: if an annotation names something that cannot be imported at run time.
    """
    return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)


def check_arguments(
    target: Callable[..., object],
    given: Mapping[str, object],
    path: KeyPath,
    document: Document,
    problems: list[Problem],
    *,
    what: str,
    skip: Sequence[str] = (),
    supplied: Sequence[str] = (),
    known: Container[str] = (),
) -> dict[str, Any]:
    """Converts the arguments of a call to the types of its parameters; misfits are added to ``problems``.

    Args:
        target: the class or function to be called.
        given: the keys and values in the recipe.
        path: of that mapping.
        document: tells where values stand.
        problems: is added to.
        what: name of the target in messages.
        skip: keys that the recipe reads itself, such as ``use``.
        supplied: parameters that the toolkit fills in if they are not given.
        known: further parameters that need not be given.

    Returns:
        The converted arguments that were given.
    """
    parameters, types_of = signature(target), ranged_hints(target)
    origin = f"{target.__module__}:{getattr(target, '__qualname__', target)}"
    arguments: dict[str, Any] = {}
    for key, value in given.items():
        here = (*path, key)
        if key in skip:
            continue
        if key not in parameters:
            usable = [*(name for name in parameters if name not in supplied), *(name for name in skip if name != "use")]
            if len(problems) >= MOST_PROBLEMS:  # more are not shown, and a suggestion takes time
                continue
            hint_of_name = near(str(key), usable)
            note = "" if hint_of_name else f"parameters: {', '.join(usable) or 'none'}"
            text = f"{what} takes no such parameter{hint_of_name}"
            problems.append(Problem(here, text, document.key_mark(here), note))
            continue
        if key == "audio" and key in supplied:
            problems.append(Problem(here, "is supplied from the recipe's audio section", document.key_mark(here)))
            continue
        hint = types_of.get(key, ANYTHING)
        note = f"{key}: {show(hint)}{_default(parameters[key])} of {origin}"
        arguments[key] = check_value(value, hint, here, document, problems, note, parameters[key].default)
    needed = [name for name, p in parameters.items() if p.default is p.empty and name not in supplied]
    missing = [name for name in needed if name not in given and name not in known]
    for name in missing:
        problems.append(
            Problem(path, f"{what} needs {name!r} ({show(types_of.get(name, ANYTHING))})", document.mark(path))
        )
    return arguments


def check_value(
    value: object,
    hint: object,
    path: KeyPath,
    document: Document,
    problems: list[Problem],
    note: str = "",
    default: object = None,
) -> Any:
    """Converts a value to the type of a hint; what is wrong with it is added to ``problems``, with its place.

    Args:
        value: from the recipe.
        hint: the type, such as ``tuple[int, ...] | None``, with the ranges that its numbers are held to.
        path: of the value.
        document: tells where values stand.
        problems: is added to.
        note: a line to add to problems.
        default: if the value becomes a dataclass, and this is one, too, keys that are not given keep its values.
    """
    ranged, hint = hint, numbers.bare(hint)
    kind = kind_of(ranged)
    if kind is not None:
        return check_part(value, kind, path, document, problems)
    settings = settings_of(hint)
    if settings is not None and (settings is hint or isinstance(value, dict)):
        return _dataclass(value, settings, path, document, problems, default)
    arguments = typing.get_args(hint)
    if (
        isinstance(value, list)
        and len(arguments) == 2
        and arguments[1] is Ellipsis
        and dataclasses.is_dataclass(arguments[0])
    ):
        items = [check_value(item, arguments[0], (*path, i), document, problems) for i, item in enumerate(value)]
        wrong_count = [text for place, text in numbers.outside(value, ranged) if place == ()]
        problems += [Problem(path, text, document.mark(path), note) for text in wrong_count]
        return tuple(items)
    converted = convert(value, hint)
    fault = misfit(converted, hint)
    if fault is None:
        for place, text in numbers.outside(converted, ranged):
            there = (*path, *place)
            problems.append(Problem(there, text, document.mark(there), note))
        return converted
    at = path
    if isinstance(value, list):
        item = _item_hint(hint)
        wrong = [i for i, v in enumerate(value) if item is not None and misfit(convert(v, item), item) is not None]
        at = (*path, wrong[0]) if wrong else path
        if wrong:
            shown = f"expected {show(item)}, got {_shown(value[wrong[0]])}"
            problems.append(Problem(at, shown, document.mark(at), note))
            return converted
    problems.append(Problem(at, f"expected {show(hint)}, got {_shown(value)}", document.mark(at), note))
    return converted


def check_part(
    given: object, kind: str, path: KeyPath, document: Document, problems: list[Problem]
) -> Mapping[str, object]:
    """A part that is a parameter of another, with every default written out; see :mod:`gansemble.plugins.nested`.

    Args:
        given: ``{use: NAME, …}``, with the arguments of its constructor.
        kind: of the part.
        path: of that mapping.
        document: tells where values stand.
        problems: is added to.
    """
    from gansemble.plugins import loading

    use = given.get("use") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(use, str):
        problems.append(Problem(path, f"expected {PartOf(kind).words()}, got {_shown(given)}", document.mark(path)))
        return {}
    try:
        target = loading.registry().get(kind, use).load()
        hints(target)
    except (PluginError, NameError, TypeError) as error:
        problems.append(Problem((*path, "use"), str(error), document.mark((*path, "use"))))
        return {"use": use}
    arguments = check_arguments(target, given, path, document, problems, what=use, skip=("use",))
    return {"use": use, **with_defaults(target, arguments)}


def settings_of(hint: object) -> type | None:
    """The dataclass that a hint is, or the only one in a union such as ``Settings | None``; None if there is none."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    found = [
        arm
        for arm in (typing.get_args(hint) if union else (hint,))
        if isinstance(arm, type) and dataclasses.is_dataclass(arm)
    ]
    return found[0] if len(found) == 1 else None


def _dataclass(
    value: object, cls: type, path: KeyPath, document: Document, problems: list[Problem], default: object = None
) -> object:
    if not isinstance(value, dict):
        names = ", ".join(field.name for field in dataclasses.fields(cls))
        problems.append(Problem(path, f"expected a mapping with {names}, got {_shown(value)}", document.mark(path)))
        return None
    kept = {field.name: getattr(default, field.name) for field in dataclasses.fields(cls) if isinstance(default, cls)}
    before = len(problems)
    what = str(path[-1]) if path else cls.__name__
    arguments = check_arguments(cls, value, path, document, problems, what=what, known=kept)
    if len(problems) > before:
        return None
    try:
        return cls(**(kept | arguments))
    except ValueError as error:
        name = parameter_at_fault(str(error), signature(cls))
        here = path if name is None else (*path, name)
        problems.append(Problem(here, str(error), document.mark(here)))
        return None


def parameter_at_fault(message: str, parameters: Container[str]) -> str | None:
    """The parameter that a message begins with, as in ``width must be …``.

    None if it begins with none, or with several, as in ``low and high …``, where neither is at fault alone.
    """
    name, _, rest = message.partition(" ")
    several = rest.startswith(("and ", "or "))  # of two parameters neither is at fault alone
    name = name.rstrip(":,")
    return name if name in parameters and not several else None


def convert(value: object, hint: object) -> object:
    """Converts YAML's types to those of a hint, as far as they fit; what does not is returned as it is.

    Lists become tuples, whole numbers become floats, text becomes a file or folder, and mappings become dataclasses if
    their keys are fields and no field without a default is missing. Of a union, the first type that fits is taken.

    Raises:
        ValueError: if a dataclass refuses its values.
    """
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        parameters, inner_hints = signature(hint), hints(hint)
        needed = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
        if not needed <= value.keys() <= parameters.keys():
            return value
        return hint(**{key: convert(item, inner_hints[key]) for key, item in value.items()})
    if isinstance(hint, type) and issubclass(hint, inputs.INPUTS) and isinstance(value, str):
        return inputs.read(hint, value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for arm in arguments:
            candidate = convert(value, arm)
            if misfit(candidate, arm) is None:
                return candidate
        return value
    if hint is float and type(value) is int and abs(value) <= numbers.LARGEST_FLOAT:
        return float(value)  # a larger one is refused as the number that was written
    if origin in (tuple, list) and isinstance(value, list):
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            pairs = zip(value, arguments, strict=False)
            return tuple(convert(item, arm) for item, arm in pairs) if len(value) == len(arguments) else value
        inner = arguments[0] if arguments else ANYTHING
        return origin(convert(item, inner) for item in value)
    if origin is dict and isinstance(value, dict) and len(arguments) == 2:
        return {convert(key, arguments[0]): convert(item, arguments[1]) for key, item in value.items()}
    return value


def misfit(value: object, hint: object) -> str | None:
    """Why a value is not of the type of a hint; None if it is.

    More strictly than in Python, a bool is no number, at any depth, and text is no ``Sequence``.
    """
    from typeguard import CollectionCheckStrategy, ForwardRefPolicy, TypeCheckError, check_type

    if isinstance(value, str) and typing.get_origin(hint) is Sequence:
        return "text is not a list"
    if _bool_as_number(value, hint):
        return "a bool is not a number"
    try:
        check_type(
            value,
            hint,
            forward_ref_policy=ForwardRefPolicy.ERROR,
            collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS,
        )
    except TypeCheckError as error:
        return str(error)
    return None


def _bool_as_number(value: object, hint: object) -> bool:
    arguments = typing.get_args(hint)
    # typeguard follows Python, where True and False are ints; in a recipe they are most likely a mistake.
    if isinstance(value, bool):
        arms = arguments if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
        literal = [item for arm in arms if typing.get_origin(arm) is typing.Literal for item in typing.get_args(arm)]
        return (
            bool not in arms
            and ANYTHING not in arms
            and object not in arms
            and value not in [x for x in literal if isinstance(x, bool)]
        )
    arms = arguments if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for arm in arms:
        inner = typing.get_args(arm)
        if isinstance(value, dict) and typing.get_origin(arm) is dict:
            return any(_bool_as_number(item, inner[1]) for item in value.values())
        if isinstance(value, list | tuple) and typing.get_origin(arm) in (list, tuple, Sequence) and inner:
            each = inner if len(inner) == len(value) and Ellipsis not in inner else inner[:1] * len(value)
            return any(_bool_as_number(item, own) for item, own in zip(value, each, strict=True))
    return False


def with_defaults(target: Callable[..., object], given: Mapping[str, object]) -> dict[str, object]:
    """The arguments of a call with the defaults of parameters that are not given, converted to their types as well."""
    types_of = ranged_hints(target)
    defaults = {
        name: default(parameter.default, types_of.get(name, ANYTHING))
        for name, parameter in signature(target).items()
        if parameter.default is not parameter.empty and name not in given
    }
    return defaults | dict(given)


def default(value: object, hint: object) -> object:
    """A parameter's default as a recipe's value would be: of its type, and a part with its own defaults."""
    kind = kind_of(hint)
    if kind is None or not isinstance(value, Mapping):
        return convert(value, numbers.bare(hint))
    return check_part(value, kind, (), Document(), [])


def absent(path: KeyPath, arguments: Mapping[str, object], document: Document) -> list[Problem]:
    """Problems with the files and folders among a part's arguments: not there, or of another content than is demanded.

    Args:
        path: of the part.
        arguments: of its constructor, converted to their types.
        document: tells where values stand.
    """
    problems = []
    for place, given in inputs.held(arguments):
        wrong = inputs.fault(given)
        if wrong is not None:
            problems.append(Problem((*path, *place), wrong, document.mark((*path, *place))))
    return problems


def _item_hint(hint: object) -> object:
    """The hint of the items of a list or tuple; None where there is none, or items have different ones."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        found = [_item_hint(arm) for arm in typing.get_args(hint)]
        return next((item for item in found if item is not None), None)
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is list and arguments:
        return arguments[0]
    if typing.get_origin(hint) is tuple and arguments and (arguments[-1] is Ellipsis or len(set(arguments)) == 1):
        return arguments[0] if arguments[-1] is Ellipsis else None
    return None


def show(hint: object) -> str:
    """A type hint as it is written in messages, such as ``int from 1 to 16 or null``."""
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(item) for item in typing.get_args(hint))
    if isinstance(hint, type) and not typing.get_args(hint):
        return {"NoneType": "null"}.get(hint.__name__, hint.__name__)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(show(arm) for arm in typing.get_args(hint))
    if not numbers.ranged(hint):
        return str(hint).replace("typing.", "").replace("NoneType", "None")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        if kind_of(hint) is not None:
            return PartOf(str(kind_of(hint))).words()
        stated = [each.words() for each in arguments[1:] if isinstance(each, numbers.Range | numbers.Items)]
        joint = " of " if any(isinstance(each, numbers.Items) for each in arguments[1:]) else " "
        return joint.join([show(arguments[0]), *(words for words in stated if words)])
    inner = ", ".join("..." if each is Ellipsis else show(each) for each in arguments)
    return f"{getattr(origin, '__name__', origin)}[{inner}]"


def _shown(value: object) -> str:
    if value is None:
        return "null"
    names = {"dict": "mapping", "str": "text"}
    shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return f"{names.get(type(value).__name__, type(value).__name__)} {shown}"


def _default(parameter: inspect.Parameter) -> str:
    return "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
