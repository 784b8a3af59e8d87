"""What is said when a stage did not end well: how it ended, and what to type to go on."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from gansemble.errors import Interrupted
from gansemble.stages.stage import Stage

#: The exit statuses, as a shell counts them, of a process that was asked to end and had nothing to save.
ASKED_TO_END = tuple(128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))


def ending(stage: Stage, status: int) -> str:
    """How a stage ended, in a sentence.

    Args:
        stage: the one that ended.
        status: its exit status, not 0.
    """
    if status == Interrupted.exit_code:
        return "Interrupted with the state saved."
    if status in ASKED_TO_END:
        return f"\nStage {stage.number} {stage.name} was interrupted."
    return f"\nStage {stage.number} {stage.name} failed (exit {status}); its last lines are above."


def continuation(command: Sequence[str], given: Sequence[str], stage: Stage, force: bool) -> str:
    """What to type to go on at a stage: the command that was given, quoted for a shell.

    ``--force-unlock`` is left out, because the lock that it was meant for is gone.

    Args:
        command: the program, such as ``("gansemble", "run")``.
        given: the words that followed it.
        stage: the one to go on with.
        force: keep ``--force`` where it was given.
    """
    words, skip = list(command), False
    for word in given:
        if skip or word == "--stage":
            skip = not skip
        elif not (word.startswith("--stage=") or word == "--force-unlock" or (word == "--force" and not force)):
            words.append(word)
    return shlex.join([*words, "--stage", str(stage.number)])


def training_state(exp: Path) -> list[str]:
    """An experiment's checkpoints, and its runs that were set aside."""
    return sorted(str(path) for folder in ("previous", "checkpoints") for path in (exp / folder).glob("*"))


def keeps_force(stage: Stage, status: int, before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether going on with ``--force`` undoes nothing. A training that was begun anew is not begun anew again, because
    its state would be set aside.

    Args:
        stage, status: what ended, and how.
        before, after: :func:`training_state` when it began and now.
    """
    if stage.name != "train":
        return True
    return status != Interrupted.exit_code and list(before) == list(after)
