"""The registry of parts: what there is of each kind, by name.

Listing all parts imports none of them, nor torch.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gansemble.errors import PluginError, near
from gansemble.plugins import declarations, signatures

#: The kinds of parts, in the order in which they are listed.
KINDS = (
    "generator",
    "discriminator",
    "noise_injector",
    "regulariser",
    "metric",
    "objective",
    "loss",
    "representation",
    "corpus",
    "optimiser",
    "degradation",
    "monitor",
    "augmentation",
    "perturbation",
    "feature",
    "observer",
    "schedule",
    "embedder",
)
_PLURALS = {"corpus": "corpora", "loss": "losses"}
#: kind -> the entry-point group that takes single parts of this kind, without a plugin around them.
GROUPS = {kind: f"gansemble.{_PLURALS.get(kind, kind + 's')}" for kind in KINDS}
#: kind -> its Protocol in gansemble.interfaces, for messages.
_PROTOCOLS = {kind: "".join(word.title() for word in kind.split("_")) for kind in KINDS} | {
    "loss": "Term",
    "regulariser": "Term",
}
#: Names that mean something to the recipe around a part, so no part may take them as a parameter.
RESERVED = frozenset({"use", "weight"})
_RESERVED_OF = {
    "optimiser": frozenset({"groups", "decay", "decay_every", "warmup", "cosine"}),
    "perturbation": frozenset({"probability"}),
    "generator": frozenset({"prior"}),
}


@dataclass(frozen=True)
class Entry:
    """One registered part.

    Args:
        kind: one of :data:`KINDS`.
        name: how recipes refer to it; if several plugins have a part of this kind and name, ``plugin/name`` tells them
            apart, and the name alone means the one that comes with the toolkit.
        target: ``package.module:attribute``, imported on first use.
        summary: one line about it.
        plugin: name of the plugin that provides it.
        example: the smallest sensible constructor arguments.
        since: the version of the plugin that introduced it.
    """

    kind: str
    name: str
    target: str
    summary: str
    plugin: str
    example: Mapping[str, object] = field(default_factory=dict)
    since: str | None = None

    def load(self) -> Callable[..., object]:
        """Imports the target and returns it: a class, or a function that makes the part.

        Raises:
            PluginError: if it cannot be imported or called, takes ``**kwargs`` or a parameter of a reserved name,
                lacks a method that the toolkit calls on parts of its kind, or declares what the toolkit does not know.
        """
        module_name, _, attribute = self.target.partition(":")
        try:
            target = importlib.import_module(module_name)
            for part in attribute.split("."):
                target = getattr(target, part)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"{self.kind} {self.plugin}/{self.name}: its target {self.target} cannot be imported "
                f"({type(error).__name__}: {error}); see `gansemble plugins doctor`"
            ) from error
        return _checked(self, target)


def _checked(entry: Entry, target: object) -> Callable[..., object]:
    who = f"{entry.kind} {entry.plugin}/{entry.name}: {entry.target}"
    if not callable(target):
        raise PluginError(f"{who}: expected a class or function, got {type(target).__name__}")
    # A class without an __init__ of its own may inherit one that takes anything, such as torch's Module: no parameters.
    inherited = inspect.isclass(target) and getattr(target.__init__, "__module__", "").startswith("torch.")
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError as error:  # written in C
        raise PluginError(f"{who}: its parameters cannot be read; give a Python class or function") from error
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD and not inherited:
            raise PluginError(f"{who}: takes **{parameter.name}, which hides misspelt keys; name every parameter")
        if parameter.name in RESERVED | _RESERVED_OF.get(entry.kind, frozenset()):
            raise PluginError(
                f"{who}: parameter {parameter.name!r} is reserved by the recipe, whose key of this name for every "
                f"{entry.kind} would never reach it; rename it, such as own_{parameter.name}"
            )
    wrong = signatures.fault(entry.kind, target) or declarations.fault(entry.kind, target)
    if wrong:
        raise PluginError(f"{who}: {wrong}; see gansemble.interfaces.{_PROTOCOLS[entry.kind]}")
    return target


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


@dataclass(frozen=True)
class PluginSource:
    """Where a plugin came from.

    Args:
        distribution: name of the installed package.
        version: its version.
        file: of a single-file plugin, its path.
    """

    distribution: str | None = None
    version: str | None = None
    file: str | None = None

    def requirement(self) -> str | None:
        """How to get the plugin again: a pip requirement, or ``--plugin FILE``.

        None if it ships with the toolkit, or was found without a distribution that could be asked for.
        """
        if self.distribution == "gansemble":
            return None
        if self.distribution is None:
            return None if self.file is None else f"--plugin {self.file}"
        return f"{self.distribution}>={self.version}" if self.version else self.distribution


@dataclass(frozen=True)
class Broken:
    """A plugin, or a single part, that could not be loaded.

    Args:
        plugin: its name, ``file:<name>.py`` for a single-file plugin, or ``<distribution>:<part>`` for a single part.
        error: what was raised.
        traceback: as text.
    """

    plugin: str
    error: BaseException
    traceback: str


class Registry:
    """All registered parts, and the plugins that could not be loaded or are switched off.

    Attributes:
        broken: plugins and single parts that could not be loaded.
        sources: where each plugin came from, by its name.
        disabled: plugins that are switched off, with the environment variable that does so.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self.broken: dict[str, Broken] = {}
        self.sources: dict[str, PluginSource] = {}
        self.disabled: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()

    def add(self, entry: Entry) -> None:
        """Adds a part.

        Raises:
            PluginError: if the kind is unknown, the name is no identifier, the target is not ``module:attribute``, or
                the plugin has a part of this kind and name already.
        """
        if entry.kind not in KINDS:
            raise PluginError(
                f"{entry.plugin}: no kind {entry.kind!r} of part{near(entry.kind, KINDS)}; kinds: {', '.join(KINDS)}"
            )
        if not entry.name.isidentifier():
            raise PluginError(f"{entry.plugin}: a part's name must be a lower_snake identifier, got {entry.name!r}")
        if entry.target.count(":") != 1:
            raise PluginError(
                f"{entry.plugin}/{entry.name}: target must be 'package.module:attribute', got {entry.target!r}"
            )
        if any((entry.kind, entry.name, entry.plugin) == (e.kind, e.name, e.plugin) for e in self._entries):
            raise PluginError(f"{entry.plugin}: registers {entry.kind} {entry.name!r} twice")
        self._entries.append(entry)

    def remove(self, plugin: str) -> None:
        """Removes all parts of a plugin."""
        self._entries = [entry for entry in self._entries if entry.plugin != plugin]

    def entries(self, kind: str | None = None) -> list[Entry]:
        """The parts of a kind, or of all kinds, sorted by kind, name and plugin."""
        chosen = [entry for entry in self._entries if kind in (None, entry.kind)]
        return sorted(chosen, key=lambda entry: (KINDS.index(entry.kind), entry.name, entry.plugin))

    def get(self, kind: str, name: str) -> Entry:
        """The part that a recipe means by ``name`` or ``plugin/name``.

        Of several plugins with a part of this name, the toolkit's own is meant, as it was before the others were
        installed; that there are others is logged as a warning, once.

        Args:
            kind: one of :data:`KINDS`.
            name: as in the recipe's ``use``.

        Raises:
            PluginError: if there is none, several plugins give it and none of them is the toolkit's, or its plugin is
                broken.
        """
        plugin, _, short = name.rpartition("/")
        found = [e for e in self.entries(kind) if e.name == short and plugin in ("", e.plugin)]
        if len(found) == 1:
            return found[0]
        own = self.meant(kind, short) if found else None
        if own is not None:
            others = " or ".join(f"'{entry.plugin}/{entry.name}'" for entry in found if entry != own)
            if (kind, short) not in self._told:
                self._told.add((kind, short))
                logging.getLogger(__name__).warning(
                    "%s %r means %s/%s, which comes with the toolkit; for the other of this name say %s",
                    *(kind, short, own.plugin, own.name, others),
                )
            return own
        if found:
            choices = " or ".join(f"'{entry.plugin}/{entry.name}'" for entry in found)
            raise PluginError(f"{kind} {short!r} is given by several plugins; say {choices}")
        raise PluginError(self._missing(kind, plugin, short))

    def meant(self, kind: str, name: str) -> Entry | None:
        """The part that the toolkit itself has of a kind and name; None if it has none."""
        own = [entry for entry in self.entries(kind) if entry.name == name and self._ships(entry.plugin)]
        return own[0] if len(own) == 1 else None

    def _ships(self, plugin: str) -> bool:
        return plugin in self.sources and self.sources[plugin].distribution == "gansemble"

    def fault(self, plugin: str, part: str = "") -> Broken | None:
        """Why a plugin, or a single part of a distribution, could not be loaded; None if no failure is known.

        Args:
            plugin: name of the plugin or distribution, as recipes write it.
            part: name of the part.
        """
        if plugin in {entry.plugin for entry in self._entries}:
            return self.broken.get(f"{plugin}:{part}")
        files = [n for n in self.broken if n.startswith("file:") and Path(n.removeprefix("file:")).stem == plugin]
        found = [self.broken[name] for name in (plugin, f"{plugin}:{part}", *files) if name in self.broken]
        return found[0] if found else None

    def ambiguous(self) -> list[tuple[str, str, list[str]]]:
        """(kind, name, plugins) for each name that several plugins give to parts of one kind."""
        plugins: dict[tuple[str, str], list[str]] = {}
        for entry in self.entries():
            plugins.setdefault((entry.kind, entry.name), []).append(entry.plugin)
        return [(kind, name, given) for (kind, name), given in plugins.items() if len(given) > 1]

    def _missing(self, kind: str, plugin: str, name: str) -> str:
        broken = self.fault(plugin, name)
        if broken is not None:
            return (
                f"{kind} {plugin}/{name}: plugin {plugin!r} could not be loaded "
                f"({type(broken.error).__name__}: {broken.error}); see `gansemble plugins doctor`"
            )
        if plugin in self.disabled:
            return f"{kind} {plugin}/{name}: plugin {plugin!r} is switched off by {self.disabled[plugin]}"
        if plugin and plugin not in {entry.plugin for entry in self.entries()}:
            installed = sorted({entry.plugin for entry in self.entries()})
            return (
                f"{kind} {plugin}/{name}: plugin {plugin!r} is not installed{near(plugin, installed) or ';'} install the "
                f"package that provides it (pip install …), or load its file with --plugin; installed: {', '.join(installed)}"
            )
        known = [entry.name for entry in self.entries(kind)] + [f"{e.plugin}/{e.name}" for e in self.entries(kind)]
        message = f"no {kind} named {(plugin + '/' + name) if plugin else name!r}{near(name, known)}"
        if not near(name, known):
            message += f"; known: {', '.join(sorted({entry.name for entry in self.entries(kind)})) or 'none'}"
        elsewhere = sorted({entry.kind for entry in self.entries() if entry.name == name})
        if elsewhere:
            message += f" ({name!r} is {' and '.join(map(_article, elsewhere))})"
        if self.broken:
            message += f"; these plugins could not be loaded: {', '.join(sorted(self.broken))} (see `gansemble plugins doctor`)"
        if self.disabled:
            message += f"; these are switched off: {', '.join(sorted(self.disabled))} ({', '.join(sorted(set(self.disabled.values())))})"
        return message
