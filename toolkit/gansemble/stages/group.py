"""The processes of one machine that train together: started, watched and ended as one. Imports no torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gansemble.errors import GansembleError, Interrupted
from gansemble.stages import how_far, json_files
from gansemble.stages.children import die_with_parent
from gansemble.stages.how_far import HowFar
from gansemble.stages.last_words import PLACE, LastWords

POLL_SECONDS = 0.05
#: How long the other processes have to end after one has failed [s]; they may wait for it in an operation of all.
GRACE_SECONDS = 30.0
#: How long processes may take to save their state after a signal [s], where no shorter time is given.
SAVE_SECONDS = 900.0
REMIND_SECONDS = 30.0
#: Exit statuses of a process that has done what it was to do, or has saved its state.
DONE = (0, Interrupted.exit_code)
#: How long they have after a second signal [s].
KILL_SECONDS = 3.0
#: Environment variable: how often training was started anew since the checkpoint that it goes on from.
RESTARTS = "GANSEMBLE_RESTARTS"
GO_ON = "the last checkpoint is untouched, run the same command to go on from it"


@dataclass(frozen=True)
class Plan:
    """Which processes are started here.

    Args:
        here: number of processes on this machine.
        first: rank of the first of them.
        total: number of processes on all machines together.
        address: host name or IP address of the machine that rank 0 runs on.
        port: TCP port there; 0 is one that is free, where all processes are on this machine. Those of a single machine meet
            there, and of several machines what starts their processes.
    """

    here: int
    first: int
    total: int
    address: str
    port: int

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return self.total // self.here

    @property
    def machine(self) -> int:
        """The number of this one among them, from 0."""
        return self.first // self.here

    def word(self) -> str:
        """The plan as one word of a command line."""
        return f"{self.here},{self.first},{self.total},{self.port},{self.address}"

    @classmethod
    def of(cls, word: str) -> Plan:
        """The plan that :meth:`word` wrote."""
        *numbers, address = word.split(",", 4)
        here, first, total, port = (int(number) for number in numbers)
        return cls(here, first, total, address, port)


@dataclass(frozen=True)
class End:
    """How the processes of one machine ended.

    Args:
        status: their common exit status.
        text: what is to be said of it.
        cause: ``done`` (or saved); ``killed`` by a signal that nobody here sent; ``crashed`` with an error that is not one for
            the user, or without a word; ``error``, which the same command would meet again; ``asked`` to end at once.
        far: how far they were; None where they had not come to train.
    """

    status: int
    text: str = ""
    cause: Literal["done", "killed", "crashed", "error", "asked"] = "done"
    far: HowFar | None = None

    @property
    def short(self) -> str:
        """What happened, as the beginning of a line: the last one of a traceback, or the first part of a message."""
        lines = self.text.strip().splitlines() or ["a process ended without a word"]
        return lines[0].removeprefix("error: ").partition(";")[0] if self.cause == "killed" else lines[-1]


class Group:
    """Runs one command as several processes, until all have ended.

    After one has failed, the others have 30 s to end. :meth:`look` must be called every now and then until :attr:`running` is
    false, and does not wait itself.

    Args:
        plan: which processes.
        command: what each of them runs.
        folder: for what each of them says last.
        save_seconds: how long they may take to save their state when they are asked to; None is 15 minutes.
    """

    def __init__(self, plan: Plan, command: Sequence[str], folder: Path, save_seconds: float | None = None) -> None:
        self.plan, self.command, self.folder, self.save_seconds = plan, command, folder, save_seconds
        self.processes: list[subprocess.Popen[bytes]] = []
        self.killed: set[int] = set()
        self._asked, self._late, self._told_to_end = 0, False, False
        self._limit: float | None = None
        self._begun = self._said = 0.0

    def start(self, port: int, restarts: int = 0) -> None:
        """Starts the processes.

        Args:
            port: TCP port at rank 0's machine, at which they meet.
            restarts: how often training was started anew since the checkpoint that it goes on from.
        """
        for index in range(self.plan.here):
            self.processes.append(self._start(index, port, restarts))

    @property
    def running(self) -> bool:
        """Whether a process still runs."""
        return any(process.poll() is None for process in self.processes)

    @property
    def failing(self) -> bool:
        """Whether a process has failed, though others may still run."""
        return any(self._status(index) not in (None, *DONE) for index in range(len(self.processes)))

    def stop(self, asked: int) -> None:
        """Asks the processes to save their state and end, or, asked again, ends them within moments.

        Args:
            asked: how often was asked.
        """
        if asked <= self._asked:
            return
        self._asked = asked
        if self._limit is None:
            self._begin(SAVE_SECONDS if self.save_seconds is None else self.save_seconds)
        self._send(signal.SIGTERM)
        if asked > 1:  # a process that waits for another one in an operation of all does not notice
            self._limit = min(self._limit or 0.0, time.monotonic() + KILL_SECONDS)

    def finish(self) -> None:
        """Ends the processes, as others that train with them have failed or are gone; they have 30 s."""
        if self._limit is None:
            self._told_to_end = True
            self._begin(GRACE_SECONDS)
            self._send(signal.SIGTERM)

    def look(self) -> None:
        """Ends the others when one has failed, within a bound, and says what is waited for."""
        if self._limit is None and self.failing:
            self.finish()
        if self._limit is None and all(self._status(index) in DONE for index in range(len(self.processes))):
            self._begin(GRACE_SECONDS)  # all that is left is to exit
        now = time.monotonic()
        if self._limit is None:
            return
        if now > self._limit:
            self._late = self._late or self._asked == 1
            self._send(signal.SIGKILL)
        elif now - self._begun > REMIND_SECONDS and now - self._said > REMIND_SECONDS:
            self._said = now
            left = sum(process.poll() is None for process in self.processes)
            sys.stderr.write(
                f"waiting for {left} of {self.plan.here} processes to save their state and end ({now - self._begun:.0f} s; "
                f"they are killed after {self._limit - self._begun:.0f} s); a second signal ends them at once\n"
            )

    def end(self) -> End:
        """What is said of all processes, and their common exit status: those of the first that failed."""
        said = [self._said_last(index) for index in range(self.plan.here)]
        ends = [self._status(index) or 0 for index in range(self.plan.here)]
        notes = [note for index in range(self.plan.here) if (note := how_far.read(self._words(index))) is not None]
        far = max(notes, key=lambda note: note.step, default=None)
        # Whether it has saved and recorded is what the first process knows: what others die of afterwards changes nothing.
        done = End(ends[0], said[0]["text"] if said[0] is not None else "", "done", far)
        if ends[0] == 0 or (ends[0] in DONE and not self._told_to_end):
            return done
        ended = {index: -end for index, end in enumerate(ends) if end < 0 and index not in self.killed}
        of_signals = {index: number for index, number in ended.items() if number != signal.SIGTERM}
        if of_signals and not self._asked:
            return End(1, self._killed(*next(iter(of_signals.items()))), "killed", far)
        words = [each for each in said if each is not None and each["status"] not in DONE]
        if words:
            first = min(words, key=lambda each: each["time"])
            return End(first["status"], first["text"], "crashed" if first.get("crash") else "error", far)
        if ends[0] in DONE:  # told to end, for something that happened on another machine, it could save
            return done
        if self._late:
            within = (self._limit or 0.0) - self._begun
            text = f"the processes had not saved their state within {within:.0f} s and were ended; {GO_ON}"
            return End(Interrupted.exit_code, text, "done", far)
        if self._asked:
            return End(128 + signal.SIGTERM, "", "asked", far)
        return End(next((end for end in ends if end > 0), 1), "", "crashed", far)

    def _killed(self, index: int, number: int) -> str:
        why = ", as when memory runs out" if number == signal.SIGKILL else ""
        rank = self.plan.first + index
        text = (
            f"error: process {rank} of {self.plan.total} was ended by signal {number} ({signal.strsignal(number)}{why})"
        )
        return f"{text}; {GO_ON}"

    def _start(self, index: int, port: int, restarts: int) -> subprocess.Popen[bytes]:
        several: dict[str, object] = {
            "RANK": self.plan.first + index,
            "LOCAL_RANK": index,
            "WORLD_SIZE": self.plan.total,
            "LOCAL_WORLD_SIZE": self.plan.here,
            "MASTER_ADDR": self.plan.address,
            "MASTER_PORT": port,
        }
        own = (several if self.plan.total > 1 else {}) | {
            PLACE: self._words(index),
            RESTARTS: restarts,
            # What Accelerate would else take from the user's own configuration of it.
            "ACCELERATE_MIXED_PRECISION": "no",
            "ACCELERATE_DYNAMO_BACKEND": "no",
        }
        environment = {"OMP_NUM_THREADS": "1", **os.environ, **{name: str(value) for name, value in own.items()}}
        # A group of its own: signals that are sent to this process's group reach it through this process alone.
        return subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, env=environment, process_group=0, preexec_fn=die_with_parent
        )

    def _begin(self, seconds: float) -> None:
        self._begun = time.monotonic()
        self._limit = self._begun + seconds

    def _words(self, index: int) -> Path:
        return self.folder / f"{index}.json"

    def _send(self, number: signal.Signals) -> None:
        for index, process in enumerate(self.processes):
            if process.poll() is None:
                if number == signal.SIGKILL:
                    self.killed.add(index)
                process.send_signal(number)

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
