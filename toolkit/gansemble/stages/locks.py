"""A lock that lets only one process write in a folder at a time, on local and on network disks.

The lock is a folder with a file that names its owner. It is taken by renaming a folder, which is atomic on network
disks, too, where ``flock`` is not. A thread of the owner touches the file every 30 s as a sign of life for other
machines; on the owner's own machine the process table tells whether it lives. The clocks of two machines are never
compared: a process that doubts whether an owner elsewhere is alive watches the file, and measures by its own clock how
long it stays unchanged.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from gansemble.errors import FolderInUse
from gansemble.stages import json_files
from gansemble.stages.owners import Owner, OwnerIdentity, identify

#: Time between two signs of life of an owner.
BEAT_SECONDS = 30.0
#: A run that waits takes an owner on another machine for dead after watching it for so long without a sign of life.
STALE_SECONDS = 600.0
#: The same for a run that was told to take the lock (``--force-unlock``): two intervals and some delay of the disk.
FORCE_SECONDS = 75.0
POLL_SECONDS = 1.0
#: How long a process may take to take a dead owner's lock away [s]; it is a matter of milliseconds.
TURN_SECONDS = 10.0
REMIND_SECONDS = 60.0


class Beat:
    """A background thread that touches a file every 30 s, until :meth:`end`.

    It goes on if the file cannot be touched, as when a network disk is absent for a moment.

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
        """Ends the thread."""
        self._ended.set()
        self._thread.join(timeout=5)


def holder(folder: Path, name: str = ".lock") -> Owner | None:
    """Who holds the lock of a folder; None if there is no lock, or its owner is certainly gone.

    Args:
        folder: that the lock is in.
        name: of the lock.
    """
    owner = FolderLock(folder, name=name)._read()
    return None if owner is None or owner.dead else owner


class FolderLock:
    """Holds the lock ``folder/<name>`` while in the ``with`` block.

    The lock of an owner that is certainly dead is taken at once. If it cannot be told, because the owner is on another
    machine, a waiting run takes the lock once it has watched it for 10 minutes without a sign of life.

    Args:
        folder: where this process is going to write; made if it is missing.
        force: where ``wait`` is None, watch the lock of an owner on another machine, and take it if there is no sign of
            life for 75 s.
        name: of the lock; locks of different names do not exclude one another.
        work: what the owner does there, for messages, such as ``training``.
        wait: wait for the lock, and call this with a message at the beginning and then once a minute; None: do not
            wait.

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
        self._number = 0

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
        """Whether this process still holds the lock.

        A process that was suspended may have lost it to another one that took it for dead.
        """
        found = self._read()
        return found is not None and found.facts.get("token") == self.owner["token"]

    def kept(self) -> bool:
        """Whether this process holds the lock; one that nobody else has taken is put back in place.

        Somebody may have deleted or emptied the lock's folder, or damaged the file in it, while this process was at work.
        """
        if self.held():
            return True
        found = self._read()
        with contextlib.suppress(OSError):
            if found is not None and not found.facts and self.path.stat().st_ino == self._number:
                json_files.write(self.path / "owner.json", self.owner)  # the folder is still this process's own
            elif found is None and not self._put_in_place():
                return False
        with contextlib.suppress(OSError):
            shutil.rmtree(self._own, ignore_errors=True)
            self._number = self.path.stat().st_ino
        return self.held()

    def release(self) -> None:
        """Releases the lock if it is held; a folder that was made for it and is still empty is removed."""
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
        """Path of the lock before it is put in place: a folder that names its owner already."""
        return self.path.with_name(f"{self.path.name}.{self.owner['token']}")

    def _acquire(self) -> None:
        waiting = _Waiting(self)
        while not self._put_in_place():
            owner = self._read()
            if owner is None:  # released just now
                continue
            limit = STALE_SECONDS if self.wait is not None else FORCE_SECONDS
            if owner.dead or (not owner.here and waiting.silent(owner) > limit):
                self._take_away(owner)
            elif self.wait is not None or (self.force and not owner.here and not waiting.moved):
                waiting.once(owner)
            else:
                raise FolderInUse(self._refusal(owner))
        self._number = self.path.stat().st_ino
        self._beat = Beat(self.path / "owner.json")

    def _put_in_place(self) -> bool:
        """Tries once to rename the prepared lock to its place, and returns whether that succeeded.

        A folder cannot be renamed to one that holds something, so of several processes only one succeeds.
        """
        self._new_folder = self._new_folder or not self.path.parent.exists()
        self._own.mkdir(parents=True, exist_ok=True)  # another run that gave up may have removed the folder itself
        json_files.write(self._own / "owner.json", self.owner)  # flushed to disk, or a power cut would leave it empty
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
        """The owner of the lock; None if there is no lock any more."""
        file = self.path / "owner.json"
        try:
            facts = json_files.read(file, OwnerIdentity, "see --force-unlock")
        except json_files.MissingFile:
            return None if not self.path.exists() else Owner({}, self._age(self.path))
        except json_files.DamagedFile:
            facts = {}
        return Owner(facts, self._age(file))

    def _age(self, path: Path) -> float:
        try:
            return max(0.0, time.time() - path.stat().st_mtime)
        except OSError:
            return 0.0

    def _take_away(self, judged: Owner) -> None:
        """Removes the lock of an owner that was judged to be dead, and of no other.

        Of several processes that do so one at a time looks at the owner again and takes the lock away: no other owner can
        come in between, as its lock cannot be put in place before this one is gone.
        """
        turn = self.path.with_name(f"{self.path.name}.taking")
        try:
            turn.mkdir()
        except OSError:
            self._wait_for(turn)
            return
        aside = self.path.with_name(f"{self.path.name}.dead-{self.owner['token']}")
        try:
            found = self._read()
            if found is None or found.facts != judged.facts:
                return
            with contextlib.suppress(OSError):
                self.path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        finally:
            with contextlib.suppress(OSError):
                turn.rmdir()

    def _wait_for(self, turn: Path) -> None:
        """Lets another process take the lock away; one that died at it is waited for no longer than some seconds."""
        until = time.monotonic() + TURN_SECONDS
        while turn.exists():
            if time.monotonic() > until:
                with contextlib.suppress(OSError):
                    turn.rmdir()
                return
            time.sleep(min(POLL_SECONDS, 0.01))

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
    """Waits for a lock, or watches it: reports that, and measures for how long its owner gave no sign of life."""

    def __init__(self, lock: FolderLock) -> None:
        self.lock, self.since = lock, time.monotonic()
        self._said = -REMIND_SECONDS  # so that the first turn reports at once
        self._sign: tuple[str | None, int] | None = None
        self._seen = self.since
        self._first: float | None = None

    @property
    def moved(self) -> bool:
        """Whether the owner has given a sign of life since it was first looked at."""
        return self._first is not None and self._seen > self._first

    def silent(self, owner: Owner) -> float:
        """For how long the owner's file has stayed unchanged while it was watched [s]."""
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
        """Reports the wait, at most once a minute, and sleeps for a second."""
        waited = time.monotonic() - self.since
        if waited - self._said >= REMIND_SECONDS and self.lock.wait is not None:
            self._said = waited
            how_long = f" ({waited / 60:.0f} min)" if waited >= REMIND_SECONDS else ""
            self.lock.wait(f"{self.lock.path.parent}: waiting for {owner}, which is {self.lock.work} here{how_long}")
        time.sleep(POLL_SECONDS)
