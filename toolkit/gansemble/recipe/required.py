"""The ``plugins`` section of a recipe: the plugins that it needs, and how to get those that are missing.

An example is ``plugins: {acme: "gansemble-acme>=0.2"}``.
"""

from __future__ import annotations

import shlex

from gansemble.plugins.registry import Registry
from gansemble.recipe import types
from gansemble.recipe.document import Document, Problem


class Required:
    """Compares the ``plugins`` section of a recipe with what is installed.

    A value in the form that ``pip install`` takes is also compared with the installed version; any other text is only
    shown to the user.

    Args:
        document: the recipe.
        registry: what is installed.

    Attributes:
        problems: what is wrong with the section, and the plugins that are missing, broken, switched off or of another
            version.
        missing: how to get each missing plugin, by its name.
        given: the section.
    """

    def __init__(self, document: Document, registry: Registry) -> None:
        self.problems: list[Problem] = []
        self.missing: dict[str, str] = {}
        section = document.value.get("plugins") or {}
        self.given: dict[str, str] = types.check_value(section, dict[str, str], ("plugins",), document, self.problems)
        if self.problems:
            self.given = {}
        installed = {entry.plugin for entry in registry.entries()}
        for name, requirement in self.given.items():
            path = ("plugins", name)
            broken = registry.fault(name)
            if broken is not None:
                text = (
                    f"plugin {name!r} is there but could not be loaded ({broken.error}); see `gansemble plugins doctor`"
                )
                self.problems.append(Problem(path, text, document.mark(path)))
            elif name in registry.disabled:
                text = f"plugin {name!r} is switched off by {registry.disabled[name]}"
                self.problems.append(Problem(path, text, document.mark(path)))
            elif name not in installed:
                self.missing[name] = way(requirement)
                text = f"plugin {name!r} is not installed; get it with: {way(requirement)}"
                self.problems.append(Problem(path, text, document.mark(path)))
            else:
                source = registry.sources.get(name)
                wrong = _mismatch(requirement, source.version if source else None)
                if wrong:
                    text = f"plugin {name!r}: {wrong}; get another with: {way(requirement)}"
                    self.problems.append(Problem(path, text, document.mark(path)))

    def hint(self) -> str:
        """What to add to the message about a part that is not found: the missing plugins that may provide it."""
        ways = [f"{name!r} ({how})" for name, how in self.missing.items()]
        return f"; it may come with the missing plugin {' or '.join(ways)}" if ways else ""


def way(requirement: str) -> str:
    """How to get a plugin: a ``pip install`` command, or the recipe's own words if pip would not take them."""
    return f"pip install {shlex.quote(requirement)}" if _specifier(requirement) is not None else requirement


def _specifier(requirement: str):  # type: ignore[no-untyped-def]
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(requirement).specifier
    except InvalidRequirement:
        return None


def _mismatch(requirement: str, version: str | None) -> str:
    wanted = _specifier(requirement)
    if wanted is None or version is None or wanted.contains(version, prereleases=True):
        return ""
    return f"the recipe needs {requirement}, installed is {version}"
