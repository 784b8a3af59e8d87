"""Holding the parts of a recipe against each other before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Contract
from gansemble.recipe import types
from gansemble.recipe.document import Document, KeyPath, Problem
from gansemble.recipe.limits import LIMITS, Finding
from gansemble.recipe.rules import RULES
from gansemble.recipe.scene import Scene
from gansemble.recipe.sections import Part

if TYPE_CHECKING:
    from gansemble.recipe.check import Recipe


def stand_ins() -> dict[str, Any]:
    """What the toolkit supplies to parts, for looking at one outside a recipe."""
    return {"audio": AudioSpec(), "batch_size": 16, "seed": 0, "segment": 8192}


def filled(part: Part, recipe: Recipe) -> dict[str, Any]:
    """A part's arguments with defaults and supplied values written out."""
    given = {n: p.default for n, p in types.signature(part.target).items() if p.default is not p.empty}
    names = types.signature(part.target)
    supplied = {name: value for name, value in recipe.supplied().items() if name in names}
    return given | supplied | part.arguments


def contract_of(part: Part, recipe: Recipe) -> Contract:
    """What a part declares; an empty contract when it says nothing."""
    declare = getattr(part.target, "contract", None)
    return declare(filled(part, recipe)) if declare else Contract()


#: Kinds whose parts hold numbers and no networks, and are built to see whether the numbers can be.
LIGHT = frozenset({"corpus", "regulariser", "monitor", "augmentation", "objective"})


def _at_fault(part: Part, message: str) -> KeyPath:
    """The key that a message begins with, where it is one of the part's parameters; else the part."""
    name, _, rest = message.partition(" ")
    several = rest.startswith(("and ", "or "))  # of two parameters neither is at fault alone
    name = name.rstrip(":,")
    return (*part.path, name) if name in types.signature(part.target) and not several else part.path


def examine(recipe: Recipe) -> list[Finding]:
    """Every violated contract and every number out of range, advice included."""
    findings = []
    contracts: dict[KeyPath, Contract] = {}
    for part in recipe.parts():
        try:
            contracts[part.path] = contract_of(part, recipe)
        except (ValueError, TypeError, ArithmeticError, KeyError) as error:
            shown = f"its contract needs the parameter {error}" if isinstance(error, KeyError) else str(error)
            findings.append(Finding(_at_fault(part, shown), shown))
            continue
        if part.kind in LIGHT:
            try:
                part.target(**filled(part, recipe))
            except ValueError as error:
                findings.append(Finding(_at_fault(part, str(error)), str(error)))
    if findings:
        return [finding for limit in LIMITS for finding in limit(recipe) if not finding.advice] + findings
    scene = Scene(recipe, contracts)
    findings += [finding for limit in LIMITS for finding in limit(recipe)]
    return findings + [finding for rule in RULES for finding in rule(scene)]


def problem(finding: Finding, document: Document, mend: str = "") -> Problem:
    """A finding with its places in the recipe's files."""
    other_mark = _exact(document, finding.against) if finding.against else None
    default = finding.against is not None and other_mark is None and "by default" not in finding.stands
    stands = f"{finding.stands} (its default)" if default else finding.stands
    return Problem(
        finding.path,
        finding.message,
        document.mark(finding.path),
        other=stands if finding.against else "",
        other_mark=other_mark,
        mend=mend,
    )


def _exact(document: Document, path: KeyPath) -> Any:
    """The mark of a value that is written out; a section counts by its key."""
    return document.marks.get(path) if len(path) > 1 else document.keys.get(path)
