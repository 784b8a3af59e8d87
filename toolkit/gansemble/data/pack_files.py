"""The pack files of a folder of packed data, opened and read by position; from copies on a local disk where there is a cache.

They are read and not mapped: a page of a mapped file that cannot be read, as on a network folder that is away, ends the process.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gansemble.data.awaited import awaited
from gansemble.data.pack_cache import PackCache
from gansemble.data.stored import dtype_of
from gansemble.errors import DataError

#: So many packs are held open, all of them from the beginning where there are no more; else those that were used last.
OPEN = 256
#: Whether a copy of a pack has come is looked for after so long [s]; that one is used is noted as often.
LOOK_SECONDS = 10.0


@dataclass
class _Open:
    """A file that is open.

    Args:
        descriptor: of the file.
        copy: it is a copy in the cache, of this name there; None for the pack itself.
        looked: when the cache was last asked [s].
    """

    descriptor: int
    copy: str | None
    looked: float


class PackFiles:
    """The packs of a folder by name; a slice of one is an array of its values.

    If the corpus is packed again, packs that are open are read on. It can be pickled; packs are then opened again.

    Args:
        folder: of the packed data.
        names: of the packs.
        sign: a file that the folder holds whenever it is there, as a network folder may be away.
        cache: where copies are kept on this machine; None reads the packs themselves.
        key: the name of a pack's copy in the cache.

    Raises:
        DataError: if a pack is gone.
    """

    def __init__(
        self,
        folder: Path,
        names: Iterable[str],
        sign: Path,
        cache: PackCache | None = None,
        key: Callable[[str], str] = str,
    ) -> None:
        self.folder, self.names, self.sign, self.cache, self.key = folder, frozenset(names), sign, cache, key
        self._begin()

    def _begin(self) -> None:
        self._held: OrderedDict[str, _Open] = OrderedDict()
        weakref.finalize(self, _close_all, self._held)
        if len(self.names) <= OPEN:
            for name in sorted(self.names):
                awaited(partial(self._opened, name), self.sign)

    def __getitem__(self, name: str) -> PackFile:
        return PackFile(self, name)

    def read(self, name: str, first: int, last: int) -> np.ndarray:
        """Values of a pack from one place to before another, fewer where it ends earlier; not to be written to."""
        dtype = np.dtype(dtype_of(name))
        place, size = first * dtype.itemsize, (last - first) * dtype.itemsize
        data = self._from_copy(name, place, size) if self.cache is not None else None
        if data is None:
            data = awaited(partial(self._read, name, place, size), self.sign)
        return np.frombuffer(data, dtype)

    def _read(self, name: str, place: int, size: int) -> bytes:
        held = self._opened(name)
        try:
            data = _whole(held.descriptor, place, size)
        except OSError:
            self._drop(name)  # it is opened anew, as what is open may be stale for ever
            raise
        if len(data) < size:
            raise DataError(
                f"{self.folder / name}: ends at byte {place + len(data)} where {place + size} are expected; it was cut since it was "
                "opened. Delete it and run the prepare stage, which packs its clips again"
            )
        return data

    def _from_copy(self, name: str, place: int, size: int) -> bytes | None:
        """The bytes from a copy in the cache; None where there is none, or it cannot be read."""
        held, now = self._held.get(name), time.monotonic()
        if held is None or now - held.looked > LOOK_SECONDS:
            held = self._looked(name, held, now)
        if held is None or held.copy is None:
            return None
        with contextlib.suppress(OSError):
            data = _whole(held.descriptor, place, size)
            if len(data) == size:
                return data
        self._drop(name)
        return None

    def _looked(self, name: str, held: _Open | None, now: float) -> _Open | None:
        """What is read from now on: a copy that has come, or what was read before; notes that a copy is used."""
        assert self.cache is not None
        if held is not None:
            held.looked = now
            if held.copy is not None and self.cache.used(held.copy):
                return held
        key = self.key(name) if held is None or held.copy is None else held.copy
        copy = self.cache.opened(key, name)
        if copy is None:
            return held if held is not None and held.copy is None else None
        self._drop(name)
        return self._hold(name, _Open(copy, key, now))

    def _opened(self, name: str) -> _Open:
        held = self._held.get(name)
        if held is not None and held.copy is None:
            self._held.move_to_end(name)
            return held
        self._drop(name)
        path = self.folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError as error:
            if self.sign.exists():
                raise DataError(
                    f"{path}: the packed audio is gone; was the corpus packed anew meanwhile? Run the stage again, or, if a disk lost the "
                    "file, the prepare stage, which packs its clips again"
                ) from error
            raise
        return self._hold(name, _Open(descriptor, None, -math.inf))

    def _hold(self, name: str, opened: _Open) -> _Open:
        self._held[name] = opened
        while len(self._held) > OPEN:
            self._drop(next(iter(self._held)))
        return opened

    def _drop(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            os.close(held.descriptor)

    def __getstate__(self) -> dict[str, object]:
        return {key: getattr(self, key) for key in ("folder", "names", "sign", "cache", "key")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__ |= state
        self._begin()


@dataclass(frozen=True)
class PackFile:
    """One pack of several, of which a slice is read.

    Args:
        files: all packs.
        name: of this one.
    """

    files: PackFiles
    name: str

    def __getitem__(self, part: slice) -> np.ndarray:
        return self.files.read(self.name, part.start or 0, part.stop)


def _whole(descriptor: int, place: int, size: int) -> bytes:
    """Bytes of a file from a place on, fewer only where it ends."""
    data = os.pread(descriptor, size, place)
    while len(data) < size:
        more = os.pread(descriptor, size - len(data), place + len(data))
        if not more:
            break
        data += more
    return data


def _close_all(held: dict[str, _Open]) -> None:
    for each in held.values():
        os.close(each.descriptor)
    held.clear()
