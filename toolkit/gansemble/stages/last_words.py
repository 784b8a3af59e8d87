"""The messages about a stage that failed or was interrupted: how it ended, and the command to go on with."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from gansemble.errors import Interrupted
from gansemble.stages import json_files
from gansemble.stages.stage import Stage

#: Exit statuses of a process that a signal ended with nothing to save: 128 + the signal's number, as in a shell.
ASKED_TO_END = tuple(128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1))


#: Exit status of a process that was killed, as a shell counts SIGKILL.
KILLED = 128 + signal.SIGKILL
#: Environment variable of a process that trains together with others: the file for what it says last.
PLACE = "GANSEMBLE_LAST_WORDS"
#: Exit status of a process that nobody reads the output of any more, as a shell counts SIGPIPE.
UNREAD = 128 + signal.SIGPIPE


class LastWords(TypedDict):
    """What one of several processes says at its end.

    Attributes:
        text: its message.
        status: its exit status.
        time: when [s since the epoch].
        crash: whether it is no error for the user, so that the same may go well another time.
    """

    text: str
    status: int
    time: float
    crash: NotRequired[bool]


def leave(text: str, status: int, crash: bool = False) -> bool:
    """Leaves the last words of a process that trains together with others to the one that started them.

    It shows those of the first that ended: the others only miss that one. Words that were left before are kept.

    Args:
        text: the message.
        status: the exit status.
        crash: whether the error is not one for the user.

    Returns:
        Whether they were left; if not, the process is to print them itself.
    """
    place = os.environ.get(PLACE)
    if not place:
        return False
    try:
        if not Path(place).exists():
            words: LastWords = {"text": text, "status": status, "time": time.time(), "crash": crash}
            json_files.write(Path(place), words)
    except OSError:
        return False
    return True


def ending(stage: Stage, status: int, saved: bool = True) -> str:
    """How a stage ended, as a message to the user.

    Args:
        stage: the one that ended.
        status: its exit status, other than 0.
        saved: whether it has saved anything.
    """
    if status == Interrupted.exit_code:
        return (
            "Interrupted with the state saved."
            if saved
            else "Interrupted; nothing was saved beyond what was there before."
        )
    if status == UNREAD:
        return f"\nStage {stage.number} {stage.name} is done; what would follow is left, as nobody reads the output."
    if status in ASKED_TO_END:
        return f"\nStage {stage.number} {stage.name} was interrupted."
    return f"\nStage {stage.number} {stage.name} failed (exit {status}); its last lines are above."


def what_now(status: int, command: str, recipe_is_wrong: bool) -> str:
    """What the user is to do after a stage that ended before its end, as a message.

    Args:
        status: its exit status, other than 0.
        command: the one that goes on with it, which fails again where the cause of a failure is still there.
        recipe_is_wrong: the recipe has problems; where they are in a ``--set``, no command with it can succeed.
    """
    if status in (Interrupted.exit_code, UNREAD, *ASKED_TO_END):
        return f"Continue with: {command}"
    if recipe_is_wrong:
        return (
            "Mend the recipe, or the --set that changes it, as the error above says (gansemble check RECIPE shows all its "
            "problems at once), and give the same command again; what is done is not done twice."
        )
    if status == KILLED:
        return (
            "It was killed (signal 9), most often because the memory was full: smaller plan.batch_size, plan.segment or --jobs "
            f"need less. Then continue with: {command}"
        )
    return f"The same would fail again: mend what the error above says first. Then continue with: {command}"


def continuation(command: Sequence[str], given: Sequence[str], stage: Stage, force: bool) -> str:
    """The command that goes on at a stage, quoted for a shell: the given command with another ``--stage``.

    ``--force-unlock`` is left out, because the lock that it was meant for is gone.

    Args:
        command: the program, such as ``("gansemble", "run")``.
        given: the words that followed it.
        stage: the one to go on with.
        force: keep ``--force`` where it was given.
    """
    words, skip = list(command), False
    for word in given:
        if skip or word == "--stage":  # two words are left out: the option, and then its value
            skip = not skip
        elif not (word.startswith("--stage=") or word == "--force-unlock" or (word == "--force" and not force)):
            words.append(word)
    return shlex.join([*words, "--stage", str(stage.number)])


def training_state(exp: Path) -> list[str]:
    """The paths of an experiment's checkpoints and of earlier runs that were set aside, sorted.

    If they are the same before and after a stage, it has neither saved nor set aside a run.
    """
    return sorted(str(path) for folder in ("previous", "checkpoints") for path in (exp / folder).glob("*"))


def keeps_force(stage: Stage, status: int, before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether the command to go on with may keep ``--force`` without losing work.

    With ``--force``, training sets an earlier run aside and begins anew. Once it has done so or has saved a checkpoint,
    ``--force`` would set aside what this run has made.

    Args:
        stage: the one that ended.
        status: its exit status.
        before: :func:`training_state` when the stage began.
        after: :func:`training_state` now.
    """
    if stage.name != "train":
        return True
    return status != Interrupted.exit_code and list(before) == list(after)
