"""What a part's docstring says: its summary, its arguments, the paper it comes from."""

from __future__ import annotations

import inspect
import re
from types import ModuleType


def documented(text: str) -> dict[str, str]:
    """Parameter descriptions from an ``Args:`` block; one line may document several."""
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
    """The first citation in the docstrings of the part, its module or its plugin."""
    import sys

    package = sys.modules.get(module.__package__) if module and module.__package__ else None
    for text in (inspect.getdoc(target), inspect.getdoc(module), inspect.getdoc(package)):
        found = re.search(r"\(([^()]*(?:19|20)\d\d[^()]*)\)", text or "")
        if found:
            return found.group(1)
    return ""
