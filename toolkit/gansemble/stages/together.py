"""Starts the processes of one machine that train together, and ends with one message for all of them.

It is run as a program: ``python -m gansemble.stages.together PLAN COMMAND…``, by :mod:`gansemble.stages.launch`. The
processes find each other by the environment variables of ``torch.distributed``, as those of torch's own launcher do. That one
is not used because it kills processes that take longer than 30 s to save their state, and ends in a traceback of its own when
it is asked to stop. Imports no torch.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from gansemble.errors import GansembleError, Interrupted
from gansemble.stages import json_files
from gansemble.stages.children import die_with_parent
from gansemble.stages.last_words import PLACE, LastWords

POLL_SECONDS = 0.05
#: Signals that arrive this soon after the first one are the same request [s]: a scheduler sends one to every process of a job,
#: and a terminal to its whole group.
SAME_REQUEST = 0.5
#: How long the other processes have to end after one has failed [s]; they may wait for it in an operation of all.
GRACE_SECONDS = 30.0
#: How long processes may take to save their state after a signal [s].
SAVE_SECONDS = 900.0
REMIND_SECONDS = 30.0
#: Exit statuses of a process that has done what it was to do, or has saved its state.
DONE = (0, Interrupted.exit_code)
#: How long they have after a second signal [s].
KILL_SECONDS = 3.0


@dataclass(frozen=True)
class Plan:
    """Which processes are started here.

    Args:
        here: number of processes on this machine.
        first: rank of the first of them.
        total: number of processes on all machines together.
        address: host name or IP address of the machine that rank 0 runs on.
        port: TCP port there at which the processes meet; 0 is one that is free, where all are on this machine.
    """

    here: int
    first: int
    total: int
    address: str
    port: int

    def word(self) -> str:
        """The plan as one word of a command line."""
        return f"{self.here},{self.first},{self.total},{self.port},{self.address}"

    @classmethod
    def of(cls, word: str) -> Plan:
        """The plan that :meth:`word` wrote."""
        *numbers, address = word.split(",", 4)
        here, first, total, port = (int(number) for number in numbers)
        return cls(here, first, total, address, port)


def demand_free(port: int) -> None:
    """Refuses a port of this machine that processes cannot meet at.

    Raises:
        GansembleError: if there is no such port, another program listens there, or it may not be used.
    """
    if not 0 < port < 65536:
        raise GansembleError(f"--main-port {port}: expected a port number from 1 to 65535")
    try:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was used a moment ago is free
            tried.bind(("", port))
            tried.listen()
    except OSError as error:
        raise GansembleError(
            f"--main-port {port}: cannot be used on this machine ({error.strerror}); give another one, or on a single machine "
            "leave the option out, and a free one is taken"
        ) from error


def free_port() -> int:
    """A TCP port of this machine that no program listens at."""
    with socket.socket() as tried:
        tried.bind(("", 0))
        return int(tried.getsockname()[1])


class Together:
    """Runs one command as several processes, until all have ended.

    The first SIGTERM, SIGINT or SIGHUP is passed on to each process once, as SIGTERM, by which they save their state; the
    second ends them at once. After one has failed, the others have 30 s to end.

    Args:
        plan: which processes.
        command: what each of them runs.
        folder: for what each of them says last.
    """

    def __init__(self, plan: Plan, command: Sequence[str], folder: Path) -> None:
        self.plan, self.command, self.folder = plan, command, folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.killed: set[int] = set()
        self._asked, self._first_asked = 0, 0.0
        self._limit: float | None = None
        self._begun = self._said = 0.0

    def run(self) -> int:
        """Starts the processes, waits for them, says once why they ended, and returns the exit status of all."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                signal.signal(number, self._pass_on)
        port = self.plan.port or free_port()
        for index in range(self.plan.here):
            self.processes.append(self._start(index, port))
        while any(process.poll() is None for process in self.processes):
            time.sleep(POLL_SECONDS)
            self._watch()
        text, status = self._outcome()
        if text:
            sys.stderr.write(f"{text.rstrip()}\n")
            sys.stderr.flush()
        return status

    def _start(self, index: int, port: int) -> subprocess.Popen[bytes]:
        own = {
            "RANK": self.plan.first + index,
            "LOCAL_RANK": index,
            "WORLD_SIZE": self.plan.total,
            "LOCAL_WORLD_SIZE": self.plan.here,
            "MASTER_ADDR": self.plan.address,
            "MASTER_PORT": port,
            PLACE: self._words(index),
            # What Accelerate would else take from the user's own configuration of it.
            "ACCELERATE_MIXED_PRECISION": "no",
            "ACCELERATE_DYNAMO_BACKEND": "no",
        }
        environment = {"OMP_NUM_THREADS": "1", **os.environ, **{name: str(value) for name, value in own.items()}}
        # A group of its own: signals that are sent to this process's group reach it through this process alone.
        return subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, env=environment, process_group=0, preexec_fn=die_with_parent
        )

    def _words(self, index: int) -> Path:
        return self.folder / f"{index}.json"

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked and now - self._first_asked < SAME_REQUEST:
            return
        self._first_asked = self._first_asked if self._asked else now
        self._asked += 1
        if self._limit is None:
            self._begun = time.monotonic()
            self._limit = self._begun + SAVE_SECONDS
        self._send(signal.SIGTERM)
        if self._asked > 1:  # a process that waits for another one in an operation of all does not notice
            self._limit = min(self._limit, time.monotonic() + KILL_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        for index, process in enumerate(self.processes):
            if process.poll() is None:
                if number == signal.SIGKILL:
                    self.killed.add(index)
                process.send_signal(number)

    def _watch(self) -> None:
        """Ends the others when one has failed, within a bound, and says what is waited for."""
        now = time.monotonic()
        if self._limit is None and any(self._failed(index) for index in range(self.plan.here)):
            self._begun, self._limit = now, now + GRACE_SECONDS
            self._send(signal.SIGTERM)
        if self._limit is None and all(self._status(index) in DONE for index in range(self.plan.here)):
            self._begun, self._limit = now, now + GRACE_SECONDS  # all that is left is to exit
        if self._limit is None:
            return
        if now > self._limit:
            self._send(signal.SIGKILL)
        elif now - self._begun > REMIND_SECONDS and now - self._said > REMIND_SECONDS:
            self._said = now
            left = sum(process.poll() is None for process in self.processes)
            sys.stderr.write(
                f"waiting for {left} of {self.plan.here} processes to save their state and end ({now - self._begun:.0f} s; "
                f"they are killed after {self._limit - self._begun:.0f} s); a second signal ends them at once\n"
            )

    def _failed(self, index: int) -> bool:
        return self._status(index) not in (None, *DONE)

    def _status(self, index: int) -> int | None:
        """How a process has ended; None while that is open.

        One that said that it is done is done: as Python ends, libraries may still abort, with nothing lost.
        """
        said = self._said_last(index)
        return said["status"] if said is not None else self.processes[index].poll()

    def _said_last(self, index: int) -> LastWords | None:
        try:
            return json_files.read(self._words(index), LastWords, "")
        except GansembleError:
            return None

    def _outcome(self) -> tuple[str, int]:
        """What is said of all processes, and their common exit status: those of the first that failed."""
        said = [self._said_last(index) for index in range(self.plan.here)]
        ends = [self._status(index) or 0 for index in range(self.plan.here)]
        # Whether it has saved and recorded is what the first process knows: what others die of afterwards changes nothing.
        if ends[0] in DONE:
            return (said[0]["text"] if said[0] is not None else ""), ends[0]
        ended = {index: -end for index, end in enumerate(ends) if end < 0 and index not in self.killed}
        of_signals = {index: number for index, number in ended.items() if number != signal.SIGTERM}
        if of_signals and not self._asked:
            index, number = next(iter(of_signals.items()))
            why = ", as when memory runs out" if number == signal.SIGKILL else ""
            rank = self.plan.first + index
            text = f"error: process {rank} of {self.plan.total} was ended by signal {number} ({signal.strsignal(number)}{why})"
            return f"{text}; the last checkpoint is untouched, run the same command to go on from it", 1
        words = [each for each in said if each is not None and each["status"] not in DONE]
        if words:
            first = min(words, key=lambda each: each["time"])
            return first["text"], first["status"]
        if self._asked:
            return "", 128 + signal.SIGTERM
        return "", next((end for end in ends if end > 0), 1)


def main(words: Sequence[str]) -> int:
    """Runs the program: the word of a :class:`Plan`, then those of the command."""
    plan = Plan.of(words[0])
    try:
        if plan.port and plan.first == 0:
            demand_free(plan.port)
        with tempfile.TemporaryDirectory(prefix="gansemble-") as folder:
            return Together(plan, words[1:], Path(folder)).run()
    except (GansembleError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
