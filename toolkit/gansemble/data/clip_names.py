"""Names of files for clips, whose ids may have any length and any characters. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path

from gansemble.errors import GansembleError

#: Longest name without suffix [bytes]: some file systems take 143 bytes, and temporary names are longer than final ones.
LONGEST = 110
#: Characters that some file system takes for something else.
_SPECIAL = frozenset('/\\<>:"|?*')
#: Digits of the hash in a name that is not the id itself.
_DIGITS = 10
#: Names that a path may have where the system does not say [bytes].
_PATH_MAX = 4096
#: What stages make below an experiment at most, besides the name of a clip: samples/<split>/baselines/<name>/ and a suffix.
_BELOW = len("/samples/validation/baselines//.wav") + 2 * LONGEST + 60


class ClipNames:
    """Names without suffix for the files of clips: the id where it can be a name, else a part of it with a short hash.

    No two ids get one name, nor two names that differ in capital letters alone. The same ids in the same order always get
    the same names.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, identity: str) -> str:
        """The name for an id."""
        if identity not in self._names:
            name = file_name(identity)
            turn = 0
            while folded(name) in self._taken:
                name = _hashed(identity, turn)
                turn += 1
            self._names[identity] = name
            self._taken.add(folded(name))
        return self._names[identity]


def file_name(identity: str) -> str:
    """The name of a clip's file by its id alone: the id itself where any file system takes it, else with a hash.

    Args:
        identity: the id.
    """
    return identity if usable(identity) else _hashed(identity)


def usable(name: str) -> bool:
    """Whether any file system takes a text for a name: short, printable, without separators, not hidden."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # bytes of a file name that are no valid text
        return False
    plain = name.isprintable() and not _SPECIAL & set(name) and name == name.strip(" .")
    return 0 < size <= LONGEST and plain


def folded(name: str) -> str:
    """A name as file systems compare it that do not tell capital letters from small ones, nor ways to write an accent."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _hashed(identity: str, turn: int = 0) -> str:
    """The beginning of an id, with a hash of the whole; another one at each turn."""
    raw = identity.encode("utf-8", "surrogatepass")
    text = raw.decode("utf-8", "replace")
    plain = "".join("_" if c in _SPECIAL or not c.isprintable() else c for c in text).strip(" .")
    room = LONGEST - _DIGITS - 1
    head = plain.encode()[:room].decode("utf-8", "ignore").strip(" .")
    return f"{head or 'clip'}-{hashlib.sha256(raw + bytes(turn)).hexdigest()[:_DIGITS]}"


def demand_room(exp: Path) -> None:
    """Refuses an experiment folder that lies so deep that the files of stages 3 to 6 could have no path.

    Args:
        exp: the experiment folder, absolute; it need not be there.

    Raises:
        GansembleError: naming the lengths.
    """
    above = next(each for each in (exp, *exp.parents) if each.exists())
    try:
        most = os.pathconf(above, "PC_PATH_MAX")
    except (OSError, ValueError):
        most = _PATH_MAX
    length = len(os.fsencode(exp))
    if length + _BELOW >= most:
        raise GansembleError(
            f"--exp {exp}: its path has {length} bytes; what stages 3 to 6 make below it needs up to {_BELOW} more, and this system "
            f"takes {most} in all. Give an --exp with a shorter path"
        )
