"""How the toolkit calls the parts of each kind.

A class whose methods cannot be called like that is refused before anything of a recipe is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from gansemble.abilities import needs_real_output

#: kind -> method -> its arguments, which are passed by position. ``()`` stands for calling the part itself.
CALLS: dict[str, dict[str, tuple[str, ...]]] = {
    "generator": {"()": ("condition",)},
    "discriminator": {"()": ("x", "condition")},
    "noise_injector": {"()": ("real", "fake", "batch")},
    "loss": {"()": ("step", "turn")},
    "regulariser": {"()": ("step", "turn")},
    "objective": {"discriminator": ("real_score", "fake_score"), "generator": ("fake_score",)},
    "representation": {"encode": ("audio",), "decode": ("x",)},
    "metric": {"score": ("estimate", "reference", "sample_rate")},
    "corpus": {"fetch": ("folder",), "scan": ("folder",), "mini": ("folder",)},
    "optimiser": {},
    "degradation": {"()": ("audio", "rng")},
    "monitor": {"item_values": ("step",), "summarise": ("values",), "judge": ("steps", "values")},
    "augmentation": {"variants": ("audio", "sample_rate")},
    "perturbation": {"()": ("audio", "rng")},
    "feature": {"()": ("audio",)},
    "observer": {"step": ("done", "logs"), "validation": ("done", "scores"), "end": ("error",)},
    "schedule": {"()": ("step", "epoch", "steps")},
    "embedder": {"embed": ("audio",)},
}
#: A metric that compares sets of clips, rather than pairs, has this method instead.
SET_METRIC: dict[str, tuple[str, ...]] = {"score_set": ("estimates", "references", "sample_rate", "labels")}
#: An objective with ``needs_real_output = True`` is given the scores of real clips for the generator's loss, too.
PAIRED_OBJECTIVE = CALLS["objective"] | {"generator": ("fake_score", "real_score")}


def fault(kind: str, target: Callable[..., object]) -> str | None:
    """What is wrong with the methods of a class; None if the toolkit can call them.

    Of a function that returns a part nothing can be said before it is called: the conformance kit tests what it
    returns.

    Args:
        kind: one of :data:`gansemble.plugins.registry.KINDS`.
        target: the class or function.
    """
    if not inspect.isclass(target):
        return None
    calls = _calls(kind, target)
    for name, arguments in calls.items():
        method = _method(target, name)
        shown = f"{name}({', '.join(arguments)})" if name != "()" else f"({', '.join(arguments)})"
        if method is None:
            return f"has no method {shown}" if name != "()" else f"cannot be called; a {kind} is called with {shown}"
        instance = () if isinstance(method, staticmethod) else (None,)  # stands for self, or the class
        function = method.__func__ if isinstance(method, staticmethod | classmethod) else method
        try:
            inspect.signature(function).bind(*instance, *arguments)
        except TypeError:
            own = list(inspect.signature(function).parameters)[len(instance) :]
            called = "" if name == "()" else f" {name}"
            return f"its {function.__name__} takes ({', '.join(own)}), but a {kind}'s{called} is called with ({', '.join(arguments)})"
    return None


def _calls(kind: str, target: type) -> dict[str, tuple[str, ...]]:
    if kind == "metric" and _method(target, "score_set") is not None:
        return SET_METRIC
    if kind == "objective" and needs_real_output(target):
        return PAIRED_OBJECTIVE
    return CALLS[kind]


def _method(target: type, name: str) -> Callable[..., object] | None:
    names = (name,) if name != "()" else ("forward", "__call__")
    for each in names:
        for base in target.__mro__:
            # torch's Module has a forward of its own that only says that there is none.
            if each in vars(base) and base is not object and not base.__module__.startswith("torch."):
                return vars(base)[each]
    return None


def has_ability(target: Callable[..., object], protocol: type) -> bool:
    """Whether the objects that a class makes will have an ability, that is, whether it has all methods of the Protocol.

    Attributes are not asked for, because a class may set them only in its constructor. A function that makes a part
    counts as having no ability, because nothing is known of the part before the function is called.
    """
    return all(hasattr(target, name) for name in _methods(protocol))


def lacking(part: object, protocol: type) -> list[str]:
    """The names of a Protocol's attributes, and then of its methods, that a part does not have."""
    return [name for name in (*inspect.get_annotations(protocol), *_methods(protocol)) if not hasattr(part, name)]


def _methods(protocol: type) -> list[str]:
    return [name for name, value in vars(protocol).items() if inspect.isfunction(value) and not name.startswith("_")]
