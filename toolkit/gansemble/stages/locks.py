"""One writer in a folder at a time, on local and network disks (renaming a folder is atomic where ``flock`` is not).

A lock is a folder with the name of its owner in it. A thread of the owner touches that file, so that other machines see
it is alive; on the owner's own machine the table of processes tells. Clocks of two machines are never compared: whether
an owner elsewhere is alive is watched, by this machine's own clock.
"""

from __future__ import annotations

import contextlib
import errno
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
from typing import TypedDict

from gansemble.errors import FolderInUse
from gansemble.files import alive

BEAT_SECONDS = 30.0
#: An owner elsewhere that gives no sign of life while it is watched for so long is taken for dead by who waits.
STALE_SECONDS = 600.0
#: The same for who was told to take the lock.
FORCE_SECONDS = 75.0
POLL_SECONDS = 1.0
REMIND_SECONDS = 60.0


class Beat:
    """A thread that touches a file every 30 s, until :meth:`end`; a disk that is absent for a moment does not end it.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"beat {path.parent.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def end(self) -> None:
        """Stops touching it."""
        self._ended.set()
        self._thread.join(timeout=5)


class OwnerIdentity(TypedDict, total=False):
    """What :func:`identify` gives; a file of another version, or a damaged one, may lack any of it."""

    host: str
    machine: str | None
    boot: str | None
    namespace: str | None
    pid: int
    started: int | None
    since: str
    token: str


def identify() -> OwnerIdentity:
    """Names this process so that nobody takes another for it: numbers of processes come again, and names of machines."""
    return {
        "host": socket.gethostname(),
        "machine": _text("/etc/machine-id"),
        "boot": _text("/proc/sys/kernel/random/boot_id"),
        "namespace": _namespace(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "token": uuid.uuid4().hex,
    }


@dataclass(frozen=True)
class Owner:
    """Who holds a lock, as its file tells.

    Args:
        facts: of :func:`identify`; empty where the file is damaged.
        age: since the last sign of life by this machine's clock [s], for messages; another machine's may differ.
    """

    facts: OwnerIdentity
    age: float

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process that this machine's table of processes can tell of."""
        mine = identify()
        return all(self.facts.get(key) in (None, mine[key]) for key in ("boot", "namespace")) and self._same_machine(
            mine
        )

    @property
    def dead(self) -> bool:
        """Whether it is certain to be gone: its process ended, or its machine was started anew."""
        mine = identify()
        if self._same_machine(mine) and self.facts.get("machine") and self.facts.get("boot") != mine["boot"]:
            return True
        return self.here and not living(self.facts)

    def _same_machine(self, mine: OwnerIdentity) -> bool:
        return self.facts.get("host") == mine["host"] and self.facts.get("machine") in (None, mine["machine"])

    def __str__(self) -> str:
        if not self.facts:
            return "a run whose name cannot be read"
        return f"run {self.facts.get('pid')} on {self.facts.get('host')}"


def living(facts: OwnerIdentity) -> bool:
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
        force: take the lock of an owner elsewhere that gives no sign of life while it is watched for 75 s.
        name: of the lock; locks of different names do not exclude one another.
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
        self._new_folder = False

    def __enter__(self) -> FolderLock:
        try:
            self._acquire()
        except BaseException:  # a signal, or a full disk
            self.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def held(self) -> bool:
        """Whether the lock is still ours: a run that was suspended may have lost it to one that took it for dead."""
        found = self._read()
        return found is not None and found.facts.get("token") == self.owner["token"]

    def release(self) -> None:
        """Lets the folder go, if it is held."""
        if self._beat is not None:
            self._beat.end()
        shutil.rmtree(self._own, ignore_errors=True)
        if self.held():
            shutil.rmtree(self.path, ignore_errors=True)
        if self._new_folder:  # what failed before it wrote anything leaves no empty folder
            with contextlib.suppress(OSError):
                self.path.parent.rmdir()

    @property
    def _own(self) -> Path:
        """The lock before it is put in place, with its owner's name in it already."""
        return self.path.with_name(f"{self.path.name}.{self.owner['token']}")

    def _acquire(self) -> None:
        waiting = _Waiting(self)
        while not self._put_in_place():
            owner = self._read()
            if owner is None:  # released just now
                continue
            limit = STALE_SECONDS if self.wait is not None else FORCE_SECONDS
            if owner.dead or (not owner.here and waiting.silent(owner) > limit):
                self._take_away()
            elif self.wait is not None or (self.force and not owner.here and not waiting.moved):
                waiting.once(owner)
            else:
                raise FolderInUse(self._refusal(owner))
        self._beat = Beat(self.path / "owner.json")

    def _put_in_place(self) -> bool:
        """One try to move the lock, named, to its place; a folder is not moved onto one that holds something."""
        self._new_folder = self._new_folder or not self.path.parent.exists()
        self._own.mkdir(parents=True, exist_ok=True)  # another run that gave up may have removed the folder itself
        (self._own / "owner.json").write_text(json.dumps(self.owner))
        if self.path.is_symlink() or self.path.is_file():
            raise FolderInUse(f"{self.path}: something else stands where the lock belongs; remove it")
        try:
            self._own.rename(self.path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise
            return False  # it is held, or the folder itself was removed a moment ago
        return True

    def _read(self) -> Owner | None:
        """The owner; None where the lock is gone."""
        file = self.path / "owner.json"
        try:
            facts: OwnerIdentity = json.loads(file.read_text())
        except FileNotFoundError:
            return None if not self.path.exists() else Owner({}, self._age(self.path))
        except (OSError, ValueError):
            facts = {}
        return Owner(facts if isinstance(facts, dict) else {}, self._age(file))

    def _age(self, path: Path) -> float:
        try:
            return max(0.0, time.time() - path.stat().st_mtime)
        except OSError:
            return 0.0

    def _take_away(self) -> None:
        """Removes a dead owner's lock, and no other's: it is moved aside in one step, and its owner looked at again."""
        aside = self.path.with_name(f"{self.path.name}.dead-{self.owner['token']}")
        before = _content(self.path / "owner.json")
        try:
            self.path.rename(aside)
        except OSError:
            return  # somebody else was faster
        if _content(aside / "owner.json") != before and not self.path.exists():
            with contextlib.suppress(OSError):  # it had a new owner already
                aside.rename(self.path)
                return
        shutil.rmtree(aside, ignore_errors=True)

    def _refusal(self, owner: Owner) -> str:
        since = f" since {owner.facts['since']}" if owner.facts.get("since") else ""
        message = f"{self.path.parent}: {owner} has been {self.work} here{since}"
        if owner.here:
            return f"{message}; stop it, or give this run another --exp"
        if self.force:
            return f"{message} and gives signs of life; stop it there, or give this run another --exp"
        seen = f"its last sign of life is {owner.age / 60:.0f} minutes old by this machine's clock"
        return (
            f"{message}; {seen}. Stop it there, or give this run another --exp; if it is dead, pass --force-unlock, which "
            f"takes the lock after watching it for {FORCE_SECONDS:.0f} s"
        )


class _Waiting:
    """Waiting for a lock, or watching it: says so, and measures how long its owner has given no sign of life."""

    def __init__(self, lock: FolderLock) -> None:
        self.lock, self.since = lock, time.monotonic()
        self._said = -REMIND_SECONDS
        self._sign: tuple[str | None, int] | None = None
        self._seen = self.since
        self._first: float | None = None

    @property
    def moved(self) -> bool:
        """Whether the owner has given a sign of life since it was first looked at."""
        return self._first is not None and self._seen > self._first

    def silent(self, owner: Owner) -> float:
        """For how long its file has not moved while it was watched [s]."""
        try:
            when = (self.lock.path / "owner.json").stat().st_mtime_ns
        except OSError:
            when = 0
        sign, now = (owner.facts.get("token"), when), time.monotonic()
        self._first = now if self._first is None else self._first
        if sign != self._sign:
            self._sign, self._seen = sign, now
        return now - self._seen

    def once(self, owner: Owner) -> None:
        """One turn."""
        waited = time.monotonic() - self.since
        if waited - self._said >= REMIND_SECONDS and self.lock.wait is not None:
            self._said = waited
            how_long = f" ({waited / 60:.0f} min)" if waited >= REMIND_SECONDS else ""
            self.lock.wait(f"{self.lock.path.parent}: waiting for {owner}, which is {self.lock.work} here{how_long}")
        time.sleep(POLL_SECONDS)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except OSError:
        return None


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
