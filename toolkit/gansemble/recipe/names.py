"""The names that a recipe gives: its own, and those of its parts, which become names of curves, files and modules."""

from __future__ import annotations

import re

#: Longest name of a recipe, and of a part in it [bytes in UTF-8]. A file's name has at most 255 on common systems.
LONGEST_TITLE, LONGEST_PART = 200, 64
_PART = re.compile(r"\w[\w -]*")


def title_fault(name: str) -> str | None:
    """Why a recipe cannot have a name, which may become the name of a file; None if it can."""
    if not name.strip():
        return "is empty; give a name, or leave the key out"
    if name != name.strip():
        return "begins or ends with a space; take it away"
    if name[0] in ".-":
        return f"begins with {name[0]!r}, which hides a file or looks like an option; begin with a letter or digit"
    return _signs(name, "/\\", LONGEST_TITLE)


def title_of(text: str) -> str:
    """The nearest name to a text that a recipe can have, such as ``a-b`` for ``a/b``."""
    signs = "".join("-" if each in "/\\" or not each.isprintable() else each for each in text)
    whole = signs.encode()[:LONGEST_TITLE].decode("utf-8", "ignore").strip()
    return whole if whole and whole[0] not in ".-" else f"_{whole}"[:LONGEST_TITLE]


def part_fault(name: object) -> str | None:
    """Why a part cannot have a name, which becomes that of curves, files and of a module of the network; None if it can."""
    if not isinstance(name, str):
        return "is no text; write it in quotes, such as 'one'" if isinstance(name, int) else "is no text"
    if not name:
        return "is empty; give a name"
    fault = _signs(name, "", LONGEST_PART)
    if fault is None and (not _PART.fullmatch(name) or name != name.strip()):
        return "has other signs than letters, digits, spaces, - and _, or begins with - or a space; name it such as my_part"
    return fault


def _signs(name: str, forbidden: str, longest: int) -> str | None:
    found = [each for each in name if each in forbidden or not each.isprintable()]
    if found:
        shown = "a control character" if found[0] not in forbidden else repr(found[0])
        return f"has {shown} in it, which the name of a file cannot; take it out"
    length = len(name.encode("utf-8", "surrogatepass"))
    return f"is too long: {length:,} bytes, at most {longest}; shorten it" if length > longest else None
