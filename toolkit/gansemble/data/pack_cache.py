"""Copies of packs on a local disk, for packed data on a network folder: made in the background, shared, and limited in size.

The folder holds a file for each copy, called by what it holds, so that corpora that grew, and experiments, share them. One process
of a machine copies at a time, holding a lock on the folder; the others read the packs themselves until a copy is there. What goes
wrong with the cache, such as a full disk, makes reading slower and nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gansemble.errors import DataError
from gansemble.files import staged_file

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe

log = logging.getLogger(__name__)
#: A copy that was used within so long is not removed for another [s]: crops come from all packs in turn, and where these do not fit
#: into the cache together, packs would be copied and removed without end.
SPARED = 600.0
#: A pack for which there was no room, or whose copying failed, is asked for again after so long [s].
AGAIN = 600.0
#: The disk keeps so much free [bytes].
FREE = 1 << 30
#: Read and written at once [bytes].
BLOCK = 1 << 22


@dataclass(frozen=True)
class Source:
    """A pack that may be copied.

    Args:
        path: of the pack.
        check: says what is wrong with a copy; None if it is sound.
    """

    path: Path
    check: Callable[[Path], str | None]


class PackCache:
    """The copies in a folder of this machine.

    It can be pickled and used by forked processes, each of which copies in a thread of its own when it is its turn.

    Args:
        folder: of the copies; made when the first one is.
        limit: of their sizes together [bytes].
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.sources: dict[str, Source] = {}
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._later: dict[str, float] = {}
        self._wanted: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._asked: set[str] = set()
        self._thread: threading.Thread | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._told: set[str] = set()

    @classmethod
    def of(cls, recipe: Recipe) -> PackCache | None:
        """The cache that a recipe names with ``data.cache``; None without one."""
        if recipe.data.cache is None:
            return None
        return cls(Path(recipe.data.cache).expanduser(), int(recipe.data.cache_gigabytes * 1e9))

    def opened(self, key: str, name: str) -> int | None:
        """A descriptor of a copy, open for reading; None if it is not there, in which case it is going to be made.

        Args:
            key: name of the copy.
            name: of its pack, by which ``sources`` know it.
        """
        try:
            descriptor = os.open(self.folder / key, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            self._ask(key, name)
            return None
        self.used(key)
        return descriptor

    def local(self, path: Path) -> Path | None:
        """A copy of a small file whose name says its content, made now if it is not there; None if it cannot be made."""
        copy = self.folder / f"{path.stem}.pack"
        try:
            if not self.used(copy.name):
                self.folder.mkdir(parents=True, exist_ok=True)
                with staged_file(copy) as part:
                    _copied(path, part)
        except OSError as error:
            self._tell(f"{self.folder}: {path.name} is not copied ({error}); it is read where it is")
            return None
        return copy

    def used(self, key: str) -> bool:
        """Notes that a copy is used; whether it is still there."""
        try:
            os.utime(self.folder / key)
        except OSError:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Waits until this process has copied all that it asked for; whether it has."""
        return self._idle.wait(seconds)

    def _ask(self, key: str, name: str) -> None:
        if self._process != os.getpid():
            self._begin()  # a forked process has none of its parent's threads
        if key in self._asked or name not in self.sources or time.monotonic() < self._later.get(key, 0.0):
            return
        self._asked.add(key)
        self._idle.clear()
        self._wanted.put((key, name))
        if self._thread is None:
            self._thread = threading.Thread(target=self._copy_all, name="copy packs", daemon=True)
            self._thread.start()

    def _copy_all(self) -> None:
        while True:
            key, name = self._wanted.get()
            self._later[key] = time.monotonic() + AGAIN
            try:
                self._copy(key, self.sources[name])
            except (OSError, DataError) as error:
                self._tell(f"{self.folder}: {name} is not copied ({error}); it is read where it is, which is slower")
            self._asked.discard(key)
            if self._wanted.empty():
                self._idle.set()

    def _copy(self, key: str, source: Source) -> None:
        """Makes a copy unless another process has meanwhile, or there is no room; it gets its name when it was found sound."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._turn():
            if (self.folder / key).exists():
                return
            for left in self.folder.glob(".*.part"):  # of a process that died, as only one copies at a time
                left.unlink(missing_ok=True)
            size = source.path.stat().st_size
            if not self._room(size):
                self._tell(
                    f"{self.folder}: full ({self.limit / 1e9:.3g} GB, data.cache_gigabytes, or the disk) of packs in use; further packs "
                    "are read where they are, which is slower"
                )
                return
            part = self.folder / f".{key}.part"
            try:
                _copied(source.path, part)
                wrong = source.check(part)
                if wrong is not None:
                    raise DataError(wrong)
                part.replace(self.folder / key)
            finally:
                part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _room(self, size: int) -> bool:
        """Makes room for a copy by removing those that were not used for longest; whether there is room."""
        there = []
        for path in self.folder.glob("*.pack"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                there.append((facts.st_mtime, facts.st_size, path))
        needed = sum(each for _, each, _ in there) + size - self.limit
        needed = max(needed, size + FREE - shutil.disk_usage(self.folder).free)
        for modified, freed, path in sorted(there):
            if needed <= 0:
                break
            if time.time() - modified < SPARED:
                return False
            path.unlink(missing_ok=True)
            needed -= freed
        return needed <= 0

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.warning("%s", text)

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "limit": self.limit, "sources": self.sources}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__ |= state
        self._begin()


def _copied(source: Path, target: Path) -> None:
    """Copies a file, by reading and writing, as what is mapped cannot be waited for."""
    with source.open("rb", 0) as reading, target.open("wb", 0) as writing:
        while block := reading.read(BLOCK):
            view = memoryview(block)
            while view:
                view = view[writing.write(view) :]
