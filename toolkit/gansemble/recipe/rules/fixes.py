"""Finds a change of the recipe that fixes a finding, by trying it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gansemble.recipe.document import RecipeError
from gansemble.recipe.rules.finding import Finding

#: Changes tried for one finding; each costs a check of the recipe.
TRIES = 24
Try = Callable[[Sequence[str]], list[Finding]]


def find_fix(finding: Finding, found: Sequence[Finding], attempt: Try) -> str:
    """The first of a finding's changes that fixes it and causes no new one, as ``--set`` options; or empty.

    Args:
        finding: to be fixed.
        found: all findings of the recipe as it is.
        attempt: called with a change, the values of ``--set``; gives the findings of the changed recipe, and raises
            RecipeError if that cannot be read.
    """
    before = {_identity(each) for each in found}
    for change in finding.changes[:TRIES]:
        try:
            after = {_identity(each) for each in attempt(change)}
        except RecipeError:
            continue
        if _identity(finding) not in after and after <= before:
            return " ".join(f"--set {_quoted(each)}" for each in change)
    return ""


def _identity(finding: Finding) -> tuple[object, ...]:
    return (finding.path, finding.against, finding.message)


def _quoted(change: str) -> str:
    return f"'{change}'" if any(letter in change for letter in ' {}[]"') else change
