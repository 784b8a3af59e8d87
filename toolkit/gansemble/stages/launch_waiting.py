"""Several machines with one experiment folder: machine 0 runs the stages around training, and the others wait for it there.

Machine 0 notes in the folder which stage it is at. Each machine holds a lock for its number, so that two with one number are
found out, and so that the others see a sign of life of machine 0 (see :mod:`gansemble.stages.locks`). The clocks of two
machines are never compared. Imports no torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypedDict

from gansemble.errors import FolderInUse, GansembleError, Interrupted
from gansemble.stages import json_files
from gansemble.stages.last_words import ASKED_TO_END
from gansemble.stages.launch_machines import Machines
from gansemble.stages.locks import FORCE_SECONDS, FolderLock, holder
from gansemble.stages.restarts import WAIT_SECONDS
from gansemble.stages.stage import BY_NAME, Stage

#: File in the experiment's folder in which machine 0 notes what it is at.
SIGN = ".machine-0.json"
TRAINING = BY_NAME["train"]
POLL_SECONDS = 0.5
REMIND_SECONDS = 30.0
#: How long another machine's files may take to be seen here [s]; network folders keep what they know for a while.
SEEN_SECONDS = 60.0


class Sign(TypedDict):
    """What machine 0 notes.

    Attributes:
        token: of its lock, by which a note of an earlier run is known.
        stage: the one that it is at.
        status: the exit status of that stage where the run ended by it; None while it goes on.
    """

    token: str
    stage: str
    status: int | None


def lock_name(rank: int) -> str:
    """Name of the lock of a machine's number."""
    return f".lock-machine-{rank}"


class Number:
    """Holds the number of this machine while in the ``with`` block.

    Args:
        exp: the experiment's folder.
        machines: those that train together.

    Raises:
        GansembleError: if another machine, or another run on this one, has the number.
    """

    def __init__(self, exp: Path, machines: Machines) -> None:
        self.exp, self.machines = exp, machines
        work = f"at work as machine {machines.rank} of {machines.number}"
        self._lock = FolderLock(exp, force=True, name=lock_name(machines.rank), work=work)

    def __enter__(self) -> Number:
        try:
            self._lock.__enter__()
        except FolderInUse as error:
            raise GansembleError(
                f"--machine-rank {self.machines.rank}: another run has this number. {error}. Each machine needs a number of its "
                f"own, from 0 to {self.machines.number - 1}"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    @property
    def token(self) -> str:
        """A random word of this run."""
        return self._lock.owner["token"]

    def at(self, stage: Stage, status: int | None = None) -> None:
        """Notes the stage that machine 0 is at.

        Args:
            stage: the one that begins or, with a status, by which the run ends.
            status: its exit status.
        """
        if self.machines.rank == 0 and self.machines.number > 1:
            sign: Sign = {"token": self.token, "stage": stage.name, "status": status}
            json_files.write(self.exp / SIGN, sign)

    def finished(self) -> None:
        """Takes the note away: machine 0 has done all that it was to do."""
        if self.machines.rank == 0:
            with suppress(OSError):
                (self.exp / SIGN).unlink()


class Waiting:
    """Waits, on another machine, until machine 0 has come to training.

    Args:
        exp: the experiment's folder.
        machines: those that train together.
        say: called with a line for the user at the beginning and then every 30 s.
        stopped: whether this process was asked to stop.
        limit: how long to wait for machine 0 without a sign of life [s]; a stage of its own may take any time.
    """

    def __init__(
        self,
        exp: Path,
        machines: Machines,
        say: Callable[[str], None],
        stopped: Callable[[], bool],
        limit: float = WAIT_SECONDS,
    ) -> None:
        self.exp, self.machines, self.say, self.stopped, self.limit = exp, machines, say, stopped, limit
        self._begun = self._alive_at = time.monotonic()
        self._said = self._begun - REMIND_SECONDS
        self._life: tuple[str | None, int] | None = None
        self._changed = self._begun

    def until_training(self, up_to_date: Callable[[], bool], lacking: Callable[[], str]) -> bool:
        """Waits.

        Args:
            up_to_date: whether training, and all that it builds on, is done.
            lacking: which results of machine 0's stages cannot be seen on this machine; empty if none.

        Returns:
            Whether there is a training to join.

        Raises:
            GansembleError: if machine 0 failed, did not come, or has another folder.
            Interrupted: if machine 0 was asked to stop.
        """
        came, looked = False, False
        while not self.stopped():
            sign = self._sign()
            if sign is not None and sign["status"] is None:
                came, self._alive_at = True, time.monotonic()
                if BY_NAME[sign["stage"]].number >= TRAINING.number:
                    return sign["stage"] == TRAINING.name and self._sees(lacking)
            elif came and sign is not None:
                raise self._ended(sign)
            elif (came and not (self.exp / SIGN).exists()) or not looked:
                if up_to_date():
                    return False
                if came:
                    raise GansembleError(
                        f"{self._who}: machine 0 has ended without a training; give both the same --stop-stage"
                    )
            looked = True
            self._remind(came, sign)
            time.sleep(POLL_SECONDS)
        return False

    @property
    def _who(self) -> str:
        return f"machine {self.machines.rank} of {self.machines.number}"

    def _sign(self) -> Sign | None:
        """The note of a machine 0 that lives, or has just ended with a word; else None."""
        owner = holder(self.exp, lock_name(0))
        with suppress(GansembleError):
            sign = json_files.read(self.exp / SIGN, Sign, "")
            if sign["stage"] not in BY_NAME:
                return None
            if owner is None or owner.facts.get("token") != sign["token"]:
                known = self._life is not None and self._life[0] == sign["token"]
                return sign if known and sign["status"] is not None else None
            file = self.exp / lock_name(0) / "owner.json"
            now, life = time.monotonic(), (sign["token"], file.stat().st_mtime_ns if file.exists() else 0)
            if life != self._life:
                self._life, self._changed = life, now
            if owner.here or now - self._changed < FORCE_SECONDS:
                return sign
        return None

    def _sees(self, lacking: Callable[[], str]) -> bool:
        """Waits until the results of machine 0's stages are seen here, and returns True unless asked to stop."""
        until = time.monotonic() + SEEN_SECONDS
        while missing := lacking():
            if self.stopped():
                return False
            if time.monotonic() > until:
                raise GansembleError(
                    f"{self._who}: machine 0 has begun to train, but here {missing}; give the same --exp and --dump on all "
                    "machines, in a folder that they share"
                )
            time.sleep(POLL_SECONDS)
        return not self.stopped()

    def _ended(self, sign: Sign) -> GansembleError:
        stage, status = BY_NAME[sign["stage"]], sign["status"]
        label = f"stage {stage.number} {stage.name}"
        if status in (Interrupted.exit_code, *ASKED_TO_END):
            return Interrupted(f"{self._who}: machine 0 was asked to stop at {label}; start both again to go on")
        return GansembleError(
            f"{self._who}: machine 0 failed at {label} (exit {status}), so there is nothing to train; mend what it says there, "
            "and start all machines again"
        )

    def _remind(self, came: bool, sign: Sign | None) -> None:
        """Says every 30 s what is waited for, and ends the wait after the limit."""
        now = time.monotonic()
        silent, waited = now - self._alive_at, now - self._begun
        if silent > self.limit:
            what = "has given no sign of life" if came else "did not come"
            raise GansembleError(
                f"{self._who}: machine 0 {what} within {self.limit:.0f} s, by what is seen in {self.exp}; start the same command "
                "there with --machine-rank 0, with this folder shared by all machines"
            )
        if now - self._said >= REMIND_SECONDS:
            self._said = now
            at = (
                f"which is at stage {BY_NAME[sign['stage']].number} {sign['stage']}"
                if sign is not None
                else "which is not there yet"
            )
            self.say(f"{self._who}: waiting for machine 0, {at} ({waited:.0f} s)")
