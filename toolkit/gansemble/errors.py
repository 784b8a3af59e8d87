"""The errors a user is meant to read. Each says what was wrong, what was expected and what to do."""

import errno
from collections.abc import Sequence

#: Numbers of the errors of a disk, or a quota, that is full.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Errors of the machine that meet every file alike: no space, no quota, read-only, too many open files.
_OF_ALL = NO_ROOM | frozenset({errno.EROFS, errno.EMFILE, errno.ENFILE})


class GansembleError(Exception):
    """An error whose message is for the user.

    The command line prints the message without a traceback, and exits with ``exit_code``.
    """

    exit_code = 1


class DataError(GansembleError):
    """Audio or a corpus is not what the recipe asks for."""


class CheckpointError(GansembleError):
    """A checkpoint is missing, altered, or belongs to another recipe or audio specification."""


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


def near(word: str, known: Sequence[str]) -> str:
    """The end of a message, ``; did you mean 'x'?``, where a known word resembles ``word``; else an empty string."""
    import difflib

    if len(word) > 100:  # comparing takes time with the square of the length
        return ""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""


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
