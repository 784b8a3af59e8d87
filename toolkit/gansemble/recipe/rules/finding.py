"""The result of a rule: one thing that does not fit, and how it is reported."""

from __future__ import annotations

from dataclasses import dataclass

from gansemble.recipe.document import Document, KeyPath, Mark, Problem
from gansemble.recipe.schema import Recipe


@dataclass(frozen=True)
class Finding:
    """One thing that does not fit.

    Args:
        path: of the value at fault.
        message: what is wrong, with both sides and their values.
        against: path of the value that it does not agree with.
        stands: that value, as a sentence.
        changes: changes that may fix it, likeliest first, each a tuple of values for ``--set``; each is tried before
            one is suggested.
        advice: whether it is worth telling but no error.
    """

    path: KeyPath
    message: str
    against: KeyPath | None = None
    stands: str = ""
    changes: tuple[tuple[str, ...], ...] = ()
    advice: bool = False


def problem(finding: Finding, document: Document, fix: str = "") -> Problem:
    """A finding as a problem with its places in the recipe's files.

    Args:
        finding: of a rule.
        document: gives the places.
        fix: options that fix it; empty if none were found.
    """
    other_mark = _exact(document, finding.against) if finding.against else None
    default = finding.against is not None and other_mark is None and "by default" not in finding.stands
    stands = f"{finding.stands} (its default)" if default else finding.stands
    return Problem(
        finding.path,
        finding.message,
        document.mark(finding.path),
        other=stands if finding.against else "",
        other_mark=other_mark,
        fix=fix,
    )


def _exact(document: Document, path: KeyPath) -> Mark | None:
    """The mark of a value that is written in a file; for a section, the mark of its key."""
    return document.marks.get(path) if len(path) > 1 else document.keys.get(path)


def first_part(recipe: Recipe, kind: str) -> str:
    """The name of some registered part of a kind, to suggest; ``…`` if there is none."""
    entries = recipe.registry.entries(kind) if recipe.registry is not None else []
    return entries[0].name if entries else "…"
