"""One writer in a folder at a time, on local and network disks (``mkdir`` is atomic where ``flock`` is not).

A lock is a folder with the name of its owner in it. A thread of the owner touches that file, so that other machines see
it is alive; on the owner's own machine the process itself tells.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from gansemble.errors import FolderInUse
from gansemble.files import alive, write_atomically

BEAT_SECONDS = 30.0
#: Without a sign of life for so long, an owner on another machine is taken for dead.
STALE_SECONDS = 600.0
#: A lock without an owner's name is one whose owner died between two system calls.
NAMELESS_SECONDS = 60.0
POLL_SECONDS = 1.0
REMIND_SECONDS = 60.0


class Beat:
    """A file that a thread touches while this process lives.

    Args:
        path: touched every 30 s; the thread ends when it is gone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"beat {path.parent.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            # Neither a full nor an absent disk for a moment is a reason to stop what is being done.
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def end(self) -> None:
        """Stops touching it."""
        self._ended.set()
        self._thread.join(timeout=5)


def identify() -> dict[str, Any]:
    """Names this process so that nobody takes another for it: numbers of processes come again."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "namespace": _namespace(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "token": uuid.uuid4().hex,
    }


@dataclass(frozen=True)
class Owner:
    """Who holds a lock, as its file tells.

    Args:
        facts: of :func:`identify`; empty where nothing is known.
        age: since the last sign of life [s]; never negative, though clocks of two machines may differ.
    """

    facts: dict[str, Any]
    age: float

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process that this machine's process table can tell of."""
        same = self.facts.get("host") == socket.gethostname()
        return same and self.facts.get("namespace", _namespace()) == _namespace()

    @property
    def dead(self) -> bool:
        """Whether it is certain to be gone."""
        if not self.facts:
            return self.age > NAMELESS_SECONDS
        return self.here and not living(self.facts)

    def __str__(self) -> str:
        if not self.facts:
            return "a run that has not told its name yet"
        return f"run {self.facts.get('pid')} on {self.facts.get('host')}"


def living(facts: dict[str, Any]) -> bool:
    """Whether a process of this machine still runs; another one with its number is another process."""
    pid = facts.get("pid")
    if not isinstance(pid, int) or not alive(pid):
        return False
    began = facts.get("started")
    return began is None or _started(pid) in (None, began)


class FolderLock:
    """Holds ``folder/<name>`` while in the ``with`` block.

    Args:
        folder: what is written in.
        name: of the lock; different names exclude each other not.
        force: take a lock that has given no sign of life for ten minutes, without being certain that its owner is dead.
        work: what the owner does there, for messages.
        wait: told whom we wait for, and then how long; None: do not wait.

    Raises:
        FolderInUse: if another run holds it, and this one does not wait.
    """

    def __init__(
        self,
        folder: Path,
        force: bool = False,
        *,
        name: str = ".lock",
        work: str = "training",
        wait: Callable[[str], None] | None = None,
    ) -> None:
        self.path = folder / name
        self.force, self.work, self.wait = force, work, wait
        self.owner = identify()
        self._beat: Beat | None = None
        self._new_folder = self._made = False

    def __enter__(self) -> FolderLock:
        try:
            self._acquire()
        except BaseException:  # a signal, or a full disk: a lock without a name would keep others waiting
            self.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _acquire(self) -> None:
        self._new_folder = not self.path.parent.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        waiting = _Waiting(self)
        while True:
            try:
                self.path.mkdir()
                self._made = True
                break
            except FileExistsError:
                owner = self._read()
            if owner is None:  # released just now
                if self.path.is_symlink():
                    raise FolderInUse(
                        f"{self.path}: a link that leads nowhere stands where the lock belongs; remove it"
                    )
                continue
            forced = self.force and not owner.here and owner.age > STALE_SECONDS
            if owner.dead or forced or (self.wait is not None and waiting.silent(owner)):
                self._take_away(owner)
            elif self.wait is None:
                raise FolderInUse(self._refusal(owner))
            else:
                waiting.once(owner)
        write_atomically(self.path / "owner.json", json.dumps(self.owner))
        self._beat = Beat(self.path / "owner.json")

    def release(self) -> None:
        """Gives the folder free, if it is held."""
        if self._beat is not None:
            self._beat.end()
        found = self._read() if self._made else None
        if found is not None and found.facts.get("token") in (None, self.owner["token"]):  # not one taken from us
            shutil.rmtree(self.path, ignore_errors=True)
        self._made = False
        if self._new_folder:  # what failed before it wrote anything leaves no empty folder
            with contextlib.suppress(OSError):
                self.path.parent.rmdir()

    def _read(self) -> Owner | None:
        """The owner; None where the lock is gone."""
        file = self.path / "owner.json"
        try:
            facts = json.loads(file.read_text())
            facts = facts if isinstance(facts, dict) else {}
            when = file.stat().st_mtime
        except (OSError, ValueError):
            facts = {}
            try:
                when = self.path.stat().st_mtime
            except OSError:
                return None
        return Owner(facts, max(0.0, time.time() - when))

    def _take_away(self, owner: Owner) -> None:
        """Removes the lock of an owner judged dead, and no other's: it is moved aside in one step, then looked at."""
        aside = self.path.with_name(f"{self.path.name}.{self.owner['token']}")
        try:
            self.path.rename(aside)
        except OSError:
            return  # somebody else was faster
        try:
            facts = json.loads((aside / "owner.json").read_text())
        except (OSError, ValueError):
            facts = {}
        if facts != owner.facts and not self.path.exists():  # it had a new owner already
            with contextlib.suppress(OSError):
                aside.rename(self.path)
                return
        shutil.rmtree(aside, ignore_errors=True)

    def _refusal(self, owner: Owner) -> str:
        since = f" since {owner.facts['since']}" if owner.facts.get("since") else ""
        message = f"{self.path.parent}: {owner} has been {self.work} here{since}"
        if owner.here or not owner.facts:
            return f"{message}; stop it, or give this run another --exp"
        if owner.age > STALE_SECONDS:
            return f"{message}; its last sign of life is {owner.age / 60:.0f} minutes old; if it is dead, pass --force-unlock"
        forced = (
            f" (it gave a sign of life {owner.age:.0f} s ago; --force-unlock takes it after {STALE_SECONDS / 60:.0f} "
            "minutes without one)"
        )
        return f"{message}; stop it, or give this run another --exp{forced if self.force else ''}"


class _Waiting:
    """Waiting for a lock: says so, and notices when its owner gives no sign of life any more.

    By this machine's own clock, not by comparing times of two machines, whose clocks may differ or go backwards.
    """

    def __init__(self, lock: FolderLock) -> None:
        self.lock, self.since = lock, time.monotonic()
        self._said = -REMIND_SECONDS
        self._sign: Any = None
        self._seen = self.since

    def silent(self, owner: Owner) -> bool:
        """Whether an owner elsewhere has not moved while we watched for ten minutes."""
        try:
            when = (self.lock.path / "owner.json").stat().st_mtime_ns
        except OSError:
            when = 0
        sign = (owner.facts.get("token"), when)
        if sign != self._sign:
            self._sign, self._seen = sign, time.monotonic()
        return not owner.here and time.monotonic() - self._seen > STALE_SECONDS

    def once(self, owner: Owner) -> None:
        """One turn."""
        waited = time.monotonic() - self.since
        if waited - self._said >= REMIND_SECONDS and self.lock.wait is not None:
            self._said = waited
            how_long = f" ({waited / 60:.0f} min)" if waited >= REMIND_SECONDS else ""
            self.lock.wait(f"{self.lock.path.parent}: waiting for {owner}, which is {self.lock.work} here{how_long}")
        time.sleep(POLL_SECONDS)


def _started(pid: int) -> int | None:
    """When a process began [clock ticks after the machine's start], where Linux tells."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _namespace() -> str | None:
    """The process table that numbers refer to: containers of one machine have tables of their own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None
