"""Docstrings as the pages' renderer reads them: an entry that documents several parameters becomes one for each."""

from __future__ import annotations

import re
from typing import Any

import griffe

ENTRY = re.compile(r"^(    )(\w+(?:, \w+)+)(: .*(?:\n     +.*)*)", re.MULTILINE)
ROLE = re.compile(r":(?:class|func|data|mod|meth|attr):`~?([^`]+)`")


class Docstrings(griffe.Extension):
    """Rewrites each docstring once, before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring is not None:
            text = ENTRY.sub(_split, obj.docstring.value)
            obj.docstring.value = ROLE.sub(r"``\1``", text)


def _split(match: re.Match[str]) -> str:
    return "\n".join(f"{match[1]}{name}{match[3]}" for name in match[2].split(", "))
