"""The errors a user is meant to read. Each says what was wrong, what was expected and what to do."""

import errno
from collections.abc import Iterable, Sequence

#: Numbers of the errors of a disk, or a quota, that is full.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Errors of the machine that meet every file alike: no space, no quota, read-only, too many open files.
_OF_ALL = NO_ROOM | frozenset({errno.EROFS, errno.EMFILE, errno.ENFILE})

#: Number of letters from which on a word may stand for a name that begins with it.
SHORTEST = 3


class GansembleError(Exception):
    """An error whose message is for the user.

    The command line prints the message without a traceback, and exits with ``exit_code``.
    """

    exit_code = 1


class DataError(GansembleError):
    """Audio or a corpus is not what the recipe asks for."""


class CheckpointError(GansembleError):
    """A checkpoint is missing, altered, or belongs to another recipe or audio specification."""


class BundleError(GansembleError):
    """A bundle was altered, is incomplete, holds what a bundle may not hold, or is of a newer format."""


class HubError(GansembleError):
    """The hub cannot be reached, refuses, or has not got what was asked for."""


class PluginError(GansembleError):
    """A part cannot be found, or its plugin could not be loaded."""


class MissingNeed(PluginError):
    """A part needs a package that is not installed or does not load here, or a file that only the user can supply."""


class PartError(GansembleError):
    """A part failed at its work, or returned what the toolkit cannot use."""


class TrainingError(GansembleError):
    """Training cannot start or had to stop, such as for a non-finite loss or a full disk."""


class FolderInUse(GansembleError):
    """Another run is writing in the same folder."""


class Interrupted(GansembleError):
    """The run was asked to stop, and has saved its state.

    Its exit code is 75 (EX_TEMPFAIL): running the same command again goes on.
    """

    exit_code = 75


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that a mistyped word most likely stands for; None where none resembles it.

    That is the one with the fewest letters changed, added, left out or exchanged with a neighbour, at most one in three;
    else the shortest that begins with the word; else one that shares most of its letters in the same order. Case, leading
    dashes, and ``-`` against ``_`` make no difference.

    Args:
        word: what was written.
        known: the names that there are, the likelier ones first.
    """
    import difflib

    if len(word) > 100:  # comparing takes time with the square of the length
        return None
    bare: dict[str, str] = {}
    for name in known:
        bare.setdefault(_bare(name), name)
    mine = _bare(word)
    far = {name: _distance(mine, name) for name in bare if abs(len(name) - len(mine)) <= max(len(name), len(mine)) // 3}
    close = [name for name, steps in far.items() if steps <= max(len(name), len(mine)) // 3]
    if close:
        return bare[min(close, key=far.__getitem__)]
    longer = [name for name in bare if len(mine) >= SHORTEST and name.startswith(mine)]
    if longer:
        return bare[min(longer, key=len)]
    matches = difflib.get_close_matches(mine, list(bare), n=1, cutoff=0.6)
    return bare[matches[0]] if matches else None


def _bare(name: str) -> str:
    return name.lstrip("-").replace("_", "-").casefold()


def _distance(one: str, other: str) -> int:
    """How many letters must be changed, added, left out or exchanged with a neighbour to make one word of the other.

    No place is changed twice: the optimal string alignment distance.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            steps = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                steps = min(steps, earlier[j - 2] + 1)
            row.append(steps)
    return row[-1]


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message, ``; did you mean 'x'?``, where a known word resembles ``word``; else an empty string."""
    name = nearest(word, known)
    return f"; did you mean {name!r}?" if name is not None else ""


def first_few(names: Sequence[str], most: int) -> str:
    """The first of many names for a message, ``a, b, …``."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def of_all_files(error: BaseException) -> OSError | None:
    """The error of the machine that an error came of, if it would meet every other file as well, such as a full disk."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.errno in _OF_ALL:
            return found
        found = found.__cause__ or found.__context__
    return None


def fault_of(source: object, error: Exception) -> str:
    """What is wrong with one of many files or clips, in one line that names it.

    Args:
        source: the file, or the clip's id.
        error: the exception that it gave, of whatever kind.
    """
    text = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if isinstance(error, GansembleError):
        return text if str(source) in text else f"{source}: {text}"
    if isinstance(error, UnicodeError) and any("\ud800" <= character <= "\udfff" for character in str(source)):
        return f"{source}: its name is not valid text on this system; rename it"
    if isinstance(error, MemoryError):
        return f"{source}: there is not enough memory for it"
    if isinstance(error, OSError):
        place = f" {error.filename}" if error.filename and str(error.filename) != str(source) else ""
        return f"{source}: {error.strerror or text or type(error).__name__}{place}"
    return f"{source}: {type(error).__name__}: {text} (GANSEMBLE_TRACEBACK=1 shows where)"
