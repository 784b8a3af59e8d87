"""The errors a user is meant to read. Each says what was wrong, what was expected and what to do."""

from collections.abc import Sequence


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
