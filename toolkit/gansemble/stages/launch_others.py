"""Runs a launcher of others in this process, and ends with one message and one exit status for all that it has started.

It is run as a program: ``python -m gansemble.stages.launch_others MODULE WORDS…``. Torch's launcher makes an exit status of 1
of whatever its processes ended with, also of 75, by which they say that their state is saved, and prints tracebacks of its own;
Accelerate's does so too, and dies of a signal before the one process that it has started.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType

from gansemble.errors import GansembleError
from gansemble.stages import json_files, launch_member
from gansemble.stages.group import DONE, GO_ON
from gansemble.stages.last_words import ASKED_TO_END, LastWords
from gansemble.stages.restarts import WAIT, WAIT_SECONDS

#: Errors of torch's launcher when the machines have not found each other, by their names: it is imported by itself alone.
NOT_MET = (
    "RendezvousTimeoutError",
    "RendezvousConnectionError",
    "RendezvousClosedError",
    "DistNetworkError",
    "DistStoreError",
)
#: How many last words are looked for: processes of one machine.
MOST = 1024


def main(words: Sequence[str]) -> int:
    """Runs the program: the launcher's module, then its words. Returns the exit status."""
    asked = _Asked()
    with tempfile.TemporaryDirectory(prefix="gansemble-") as folder:
        os.environ[launch_member.FOLDER] = folder
        sys.argv = list(words)
        error: BaseException | None = None
        try:
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        except BaseException as raised:
            error = raised
        asked.deaf()
        text, status = outcome(said(Path(folder)), error, words)
    if text:
        sys.stderr.write(f"{text.rstrip()}\n")
        sys.stderr.flush()
    return status


class _Asked:
    """Passes the first SIGTERM, SIGINT or SIGHUP on to the process group, for launchers that handle none.

    Torch's launcher sets handlers of its own. A handler that Python runs, unlike an ignored signal, is not handed down to what
    is started.
    """

    def __init__(self) -> None:
        self._passed = False
        self._numbers = [
            number
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN  # nohup ignores SIGHUP
        ]
        for number in self._numbers:
            signal.signal(number, self._pass_on)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if not self._passed:
            self._passed = True
            os.killpg(0, signal.SIGTERM)

    def deaf(self) -> None:
        """Ignores signals from now on: all that is left is to tell how it ended."""
        for number in self._numbers:
            signal.signal(number, signal.SIG_IGN)


def said(folder: Path) -> dict[int, LastWords]:
    """What the processes have said last, by local rank."""
    found = {}
    for rank in range(MOST):
        path = launch_member.place(str(folder), rank)
        if path.exists():
            try:
                found[rank] = json_files.read(path, LastWords, "")
            except GansembleError:  # cut off as it was written
                continue
    return found


def outcome(words: dict[int, LastWords], error: BaseException | None, command: Sequence[str] = ()) -> tuple[str, int]:
    """What is said of all processes, and their common exit status.

    Args:
        words: what each has said last, by local rank.
        error: what the launcher ended with; None if it returned.
        command: the launcher's words, which name the place where machines meet.
    """
    status = _status(error)
    if status == 0:
        return "", 0
    # Whether it has saved and recorded is what the first process knows: what others die of afterwards changes nothing.
    if 0 in words and words[0]["status"] in DONE:
        return words[0]["text"], words[0]["status"]
    if killed := _killed(error):  # what the others say of it is only that the connection was closed
        return killed, 1
    failed = [each for each in words.values() if each["status"] not in DONE]
    if failed:
        first = min(failed, key=lambda each: each["time"])
        return first["text"], first["status"]
    if status in ASKED_TO_END:
        return "", status
    return _of_launcher(error, command), 1


def _status(error: BaseException | None) -> int:
    """The exit status that an error of the launcher stands for."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    number = getattr(error, "sigval", None)  # of torch's SignalException
    return 128 + int(number) if number is not None else 1


def _of_launcher(error: BaseException | None, command: Sequence[str]) -> str:
    """An error of the launcher itself, or of a process that could say nothing, in words."""
    if error is not None and type(error).__name__ in NOT_MET:
        place = dict(pairwise(command)).get("--rdzv-endpoint", "machine 0")
        return (
            f"error: the machines did not meet at {place} within {float(os.environ.get(WAIT) or WAIT_SECONDS):g} s "
            f"({type(error).__name__}: {_line(error)}); start the same command on every machine, each with its own "
            "--machine-rank, and see that --main-address and --main-port are those of machine 0 and can be reached"
        )
    if error is None or isinstance(error, SystemExit) or _exit_codes(error):
        return f"error: a process of the training failed; its last lines are above; {GO_ON}"
    return f"error: {type(error).__name__}: {_line(error)}"


def _killed(error: BaseException | None) -> str:
    """Which process was ended by a signal that the launcher did not send, in words; empty if none was."""
    for rank, code in sorted(_exit_codes(error).items()):
        if code < 0 and code != -signal.SIGTERM:
            why = ", as when memory runs out" if code == -signal.SIGKILL else ""
            return f"error: process {rank} was ended by signal {-code} ({signal.strsignal(-code)}{why}); {GO_ON}"
    return ""


def _exit_codes(error: BaseException | None) -> dict[int, int]:
    """The exit codes of processes that failed, by rank, as the errors of torch's and of Accelerate's launcher hold them."""
    if isinstance(error, subprocess.CalledProcessError):
        return {0: error.returncode}
    failures = getattr(error, "failures", None)
    return {rank: each.exitcode for rank, each in failures.items()} if isinstance(failures, dict) else {}


def _line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no further words")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
