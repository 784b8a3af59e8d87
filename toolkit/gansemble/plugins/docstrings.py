"""Reads the docstring of a part: what it says of the parameters, and the paper that it cites."""

from __future__ import annotations

import inspect
import re
from types import ModuleType


def documented(text: str) -> dict[str, str]:
    """The descriptions of parameters in an ``Args:`` block, by name.

    One entry may describe several parameters, whose names are separated by commas.

    Args:
        text: a docstring without its indentation, as ``inspect.getdoc`` returns it.
    """
    block = re.search(r"Args:\n((?:[ \t]+.*\n?|\n(?=[ \t]))+)", text)
    found: dict[str, str] = {}
    current: list[str] = []
    for line in block.group(1).splitlines() if block else ():
        start = re.match(r"\s{4}(\w[\w, ]*): (.*)", line)
        if start:
            current = [name.strip() for name in start.group(1).split(",")]
            found |= dict.fromkeys(current, start.group(2))
        elif line.strip():
            for name in current:
                found[name] += " " + line.strip()
        else:
            break
    return found


def paper(module: ModuleType | None, target: object) -> str:
    """The first citation in the docstrings of a part, of its module or of its package; empty if there is none.

    A citation is a text in parentheses with a year, such as ``(First Author and Second Author 2024)``.

    Args:
        module: in which the part is defined.
        target: its class or function.
    """
    import sys

    package = sys.modules.get(module.__package__) if module and module.__package__ else None
    for text in (inspect.getdoc(target), inspect.getdoc(module), inspect.getdoc(package)):
        found = re.search(r"\(([^()]*(?:19|20)\d\d[^()]*)\)", text or "")
        if found:
            return found.group(1)
    return ""
