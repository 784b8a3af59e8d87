"""Which promises each kind of part makes, and running them over the parts of a plugin.

A promise is a function that takes a :class:`gansemble.testing.subject.Subject` and raises a
:class:`gansemble.testing.subject.Fault` if the part breaks it; its docstring is what users read of it.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from gansemble import numbers
from gansemble.abilities import Stateful, learns
from gansemble.errors import MissingNeed, PluginError, near
from gansemble.plugins.docstrings import documented
from gansemble.plugins.registry import Entry, Registry
from gansemble.recipe import types
from gansemble.recipe.optimiser_keys import TAKEN
from gansemble.recipe.schema import SUPPLIED
from gansemble.testing import (
    augmentations,
    corpora,
    data,
    degradations,
    discriminators,
    embedders,
    export,
    features,
    injectors,
    live,
    monitors,
    networks,
    objectives,
    observers,
    perturbations,
    schedules,
    terms,
)
from gansemble.testing.subject import Fault, Subject, demand

Check = Callable[[Subject], None]


def constructor_can_be_checked(subject: Subject) -> None:
    """Every constructor parameter is annotated, keyword-only, and documented under Args in the class docstring.

    What the toolkit supplies (``audio``, ``batch_size``, ``seed``, ``segment``) need not be documented. Defaults and the
    example lie within the ranges that annotations state.
    """
    bare = [name for name in subject.signature if name not in subject.hints]
    demand(not bare, f"annotate {', '.join(bare)}, so that recipes can be checked")
    positional = [
        name
        for name, p in subject.signature.items()
        if p.kind is not p.KEYWORD_ONLY and subject.entry.kind != "optimiser"
    ]
    demand(
        not positional or not inspect.isclass(subject.target),
        f"make {', '.join(positional)} keyword-only: write * before them",
    )
    text = inspect.getdoc(subject.target) or ""
    demand(bool(text), "write a docstring: what it computes, units, shapes, the paper and equation")
    told = (*SUPPLIED, *TAKEN)
    silent = [name for name in subject.signature if name not in documented(text) and name not in told]
    demand(not silent, f"document {', '.join(silent)} in the docstring's Args: what it is, and its unit")
    ranges = types.ranged_hints(subject.target)
    for name, value in types.with_defaults(subject.target, subject.example).items():
        for place, wrong in numbers.outside(value, ranges.get(name, types.ANYTHING)):
            whose = "example" if name in subject.example else "default"
            raise Fault(f"its {whose}'s {'.'.join(map(str, (name, *place)))} {wrong}; give another, or widen the range")


def contract_is_sound(subject: Subject) -> None:
    """Its contract can be computed, and ``because`` names only fields of it and parameters of the constructor."""
    fields = set(subject.contract.__dataclass_fields__)
    for field, parameter in subject.contract.because.items():
        demand(field in fields, f"its contract's because names {field!r}, which is no field of a contract")
        demand(parameter in subject.signature, f"its contract's because names {parameter!r}, which is no parameter")


def is_built_the_same_from_one_seed(subject: Subject) -> None:
    """Built twice from one seed, it has the same initial weights, drawn from torch's generator without seeding it."""
    if subject.entry.kind == "optimiser":
        return
    ours, theirs = subject.make(3), subject.make(3)
    demand(torch.initial_seed() == 3, "building it seeds torch's generator; leave that to the recipe's plan.seed")
    if not isinstance(ours, Stateful):
        return
    mine, other = ours.state_dict(), theirs.state_dict()
    ours_by_name, theirs_by_name = _tensors(mine), _tensors(other)
    same = mine.keys() == other.keys() and ours_by_name.keys() == theirs_by_name.keys()
    same = same and all(torch.equal(value, theirs_by_name[name]) for name, value in ours_by_name.items())
    demand(same, "built twice from one seed it differs; draw initial weights from torch's generator")


def _tensors(state: Mapping[str, object]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def two_processes_agree(subject: Subject) -> None:
    """Two processes with half a batch each end up with equal gradients and running statistics."""
    if not networks.learns(subject):
        return
    fault = _together(_key(subject.entry)).get(f"{subject.entry.kind} {subject.entry.plugin}/{subject.entry.name}")
    demand(not fault, fault or "")


_siblings: dict[str, Sequence[Entry]] = {}


def _key(entry: Entry) -> str:
    """Key of the networks that share a pair of processes: all of a plugin, or one alone that was not noted."""
    key = f"{entry.plugin}"
    known = _siblings.get(key)
    if known is None or entry not in known:
        key = f"{entry.plugin}/{entry.kind}/{entry.name}"
        _siblings[key] = [entry]
    return key


@functools.lru_cache(maxsize=64)
def _together(key: str) -> dict[str, str]:
    from gansemble.testing.processes import agree

    kinds = ("generator", "discriminator")
    return agree([e for e in _siblings[key] if e.kind in kinds and learns(e.load())])


EVERY: tuple[Check, ...] = (constructor_can_be_checked, contract_is_sound, is_built_the_same_from_one_seed)
CHECKS: dict[str, tuple[Check, ...]] = {
    "generator": (*EVERY, *networks.GENERATOR, *export.GENERATOR, *live.GENERATOR, two_processes_agree),
    "discriminator": (*EVERY, *discriminators.DISCRIMINATOR, two_processes_agree),
    "noise_injector": (*EVERY, *injectors.INJECTOR),
    "regulariser": (*EVERY, *terms.TERM),
    "metric": (*EVERY, *data.METRIC),
    "objective": (*EVERY, *objectives.OBJECTIVE),
    "loss": (*EVERY, *terms.TERM),
    "representation": (*EVERY, *data.REPRESENTATION),
    "corpus": (*EVERY, *corpora.CORPUS),
    "optimiser": (*EVERY, *data.OPTIMISER),
    "degradation": (*EVERY, *degradations.DEGRADATION),
    "monitor": (*EVERY, *monitors.MONITOR),
    "augmentation": (*EVERY, *augmentations.AUGMENTATION),
    "perturbation": (*EVERY, *perturbations.PERTURBATION),
    "feature": (*EVERY, *features.FEATURE),
    "observer": (*EVERY, *observers.OBSERVER),
    "schedule": (*EVERY, *schedules.SCHEDULE),
    "embedder": (*EVERY, *embedders.EMBEDDER),
}


@dataclass(frozen=True)
class Result:
    """The outcome of one check of one part.

    Args:
        entry: the registered part.
        check: the promise.
        fault: how it is broken; None if it is kept.
        untested: why nothing can be said of it here; None if it was tested.
    """

    entry: Entry
    check: Check
    fault: str | None
    untested: str | None = None

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.__name__


def hold(entry: Entry, check: Check) -> None:
    """Runs one check of one part.

    Args:
        entry: the registered part.
        check: the promise.

    Raises:
        Fault: if the promise is broken. Any other error of the part counts as a fault, too; its message then ends with
            the line of the part that it came from.
        MissingNeed: if the part cannot be built here, for want of a package or of a file that only a user can supply.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(Subject(entry))
    except (Fault, MissingNeed):
        raise
    except Exception as error:
        raise Fault(f"{type(error).__name__}: {error}{_place(error, entry)}") from error


def _place(error: BaseException, entry: Entry) -> str:
    """The last line of the part's own package in the error's traceback, as `` (file:line)``; empty if there is none."""
    import traceback

    package = entry.target.partition(":")[0].partition(".")[0]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if package in f.filename]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def examine(entries: Sequence[Entry]) -> Iterator[Result]:
    """Runs every check of every part, one after the other, and yields the results."""
    note(entries)
    for entry in entries:
        for check in CHECKS[entry.kind]:
            try:
                hold(entry, check)
            except MissingNeed as missing:
                yield Result(entry, check, None, str(missing))
            except Fault as fault:
                yield Result(entry, check, str(fault))
            else:
                yield Result(entry, check, None)


def note(entries: Sequence[Entry]) -> None:
    """Remembers which entries belong to a plugin, so that its networks are run in one pair of processes."""
    for plugin in {entry.plugin for entry in entries}:
        _siblings[plugin] = [entry for entry in entries if entry.plugin == plugin]
    _together.cache_clear()


def find(name: str, registry: Registry) -> list[Entry]:
    """The parts of a plugin, or the parts of a name.

    Args:
        name: ``plugin``, ``plugin/part`` or ``part``.
        registry: where they are looked up.

    Raises:
        PluginError: if there is none, or the plugin could not be loaded.
    """
    plugin, _, part = name.rpartition("/")
    broken = registry.fault(plugin or name, part)
    if broken is not None:
        raise PluginError(f"plugin {plugin or name!r} could not be loaded:\n{broken.traceback}")
    entries = [e for e in registry.entries() if name == e.plugin or (e.name == part and plugin in ("", e.plugin))]
    if not entries:
        known = sorted({entry.plugin for entry in registry.entries()})
        parts = sorted({word for entry in registry.entries() for word in (entry.name, f"{entry.plugin}/{entry.name}")})
        raise PluginError(
            f"no plugin or part named {name!r}{near(name, [*known, *parts])}; plugins: {', '.join(known)}"
        )
    return entries


def test_function(name: str) -> Callable[..., None]:
    """Makes the pytest function of :func:`gansemble.testing.for_plugin`."""
    import pytest

    from gansemble.plugins import loading

    try:
        entries = find(name, loading.registry())
    except PluginError as error:
        message = str(error)

        def test_plugin_is_installed() -> None:
            raise AssertionError(message)

        return test_plugin_is_installed
    note(entries)
    cases = [
        pytest.param(entry, check, id=f"{entry.kind}-{entry.name}-{check.__name__}")
        for entry in entries
        for check in CHECKS[entry.kind]
    ]

    @pytest.mark.parametrize(("entry", "check"), cases)
    def test_conformance(entry: Entry, check: Check) -> None:
        try:
            hold(entry, check)
        except MissingNeed as missing:
            pytest.skip(str(missing))

    return test_conformance


test_function.__test__ = False  # type: ignore[attr-defined]  # a maker of tests, not one
