"""The errors a user is meant to read: what was wrong, what was expected, what to do."""

from collections.abc import Sequence


class GansembleError(Exception):
    """A message for the user; the command line prints it without a traceback and exits with ``exit_code``."""

    exit_code = 1


class DataError(GansembleError):
    """Audio or a corpus is not what the recipe asks for."""


class CheckpointError(GansembleError):
    """A checkpoint is missing, altered, or belongs to another recipe or audio specification."""


class PluginError(GansembleError):
    """A part cannot be found or its plugin could not be loaded."""


class TrainingError(GansembleError):
    """Training had to stop: non-finite loss, no space left, nothing to go on with."""


class FolderInUse(GansembleError):
    """Another run is writing in the folder."""


class Interrupted(GansembleError):
    """The run was asked to stop and saved its state (exit code 75, EX_TEMPFAIL: run again to go on)."""

    exit_code = 75


def near(word: str, known: Sequence[str]) -> str:
    """``; did you mean 'x'?`` when a known word is close to ``word``, else an empty string."""
    import difflib

    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""
