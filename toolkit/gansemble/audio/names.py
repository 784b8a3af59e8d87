"""Names of files as text: file systems allow bytes that are none, and characters that no line can hold."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

#: Kinds of characters that an id must not hold: controls, which may end a line, and halves of characters.
_NO_TEXT = frozenset({"Cc", "Cs"})
_REPLACED = "\N{REPLACEMENT CHARACTER}"
_LOOKS_REPLACED = re.compile(f"{_REPLACED}[0-9A-F]{{2}}")


def shown(path: str | Path) -> str:
    """A path as text that can be printed on one line and be written as UTF-8, whatever its name holds.

    Bytes that are no text are shown as ``\\xe9``, characters that a terminal would not print as ``\\n`` or ``\\u2028``.
    """
    text = os.fspath(path)
    try:
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a surrogate pair, from a table; no file has such a name
        pass
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def is_text(word: str) -> bool:
    """Whether a word is valid Unicode without control characters, as ids and labels must be."""
    return all(unicodedata.category(each) not in _NO_TEXT for each in word)


def as_text(name: str) -> str:
    """A file's name as valid Unicode without control characters, for ids and labels; ordinary names stay as they are.

    Each byte of what is no text, or a control character as a line's end is, becomes U+FFFD and two hexadecimal digits: ``caf\\xe9`` in Latin-1
    becomes ``caf�E9``. Two names never become one: a name that holds such a sequence itself is written so, too.
    """
    odd = {each for each in name if unicodedata.category(each) in _NO_TEXT}
    if _LOOKS_REPLACED.search(name):
        odd.add(_REPLACED)
    if not odd:
        return name
    return "".join(_bytewise(each) if each in odd else each for each in name)


def _bytewise(character: str) -> str:
    # The bytes that a file system has for it: Python reads those that are no UTF-8 as U+DC80 to U+DCFF.
    lone = "\udc80" <= character <= "\udcff"
    data = character.encode("utf-8", "surrogateescape" if lone else "surrogatepass")
    return "".join(f"{_REPLACED}{byte:02X}" for byte in data)
