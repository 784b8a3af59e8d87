"""The clips of a manifest as a sequence that makes each entry when it is asked for, and what is asked of all of them at once.

A million entries as Python objects take gigabytes and half a minute to make. So numbers, packs, labels and ids are kept as
columns, one value for each clip, and an entry is made of its line of the manifest whenever somebody asks for that clip. A long
manifest has its columns in a file beside it, the index, of which processes of one machine share the pages. Imports no torch.
"""

from __future__ import annotations

import array
import functools
import hashlib
import json
import mmap
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict, overload

import numpy as np

from gansemble.data.awaited import awaited
from gansemble.data.clips import SPLITS, ManifestEntry
from gansemble.errors import DataError
from gansemble.stages import json_files
from gansemble.stages.records import SplitRecord

#: Version of the layout of an index; one of another version is passed over, and the manifest's lines are read instead.
LAYOUT = 1
#: So many entries are kept once they were made: all of a corpus of usual size, and about 20 MB of a large one.
KEPT = 16_384
#: Texts that are columns of their own: what identifies a clip.
TEXTS = ("id", "sha256", "partner_sha256")
#: Columns of a signal's places: number of its pack, first value, channels, frames, whether it is constant; -1 without it.
SIGNAL_FACTS = 5


class Facts(TypedDict):
    """What an index says of itself.

    Attributes:
        layout: its version.
        manifest: hash of the lines that it was made from.
        splits: clips and hash of each split.
        packs: names of the packs, by their numbers in the columns.
        labels: names of the labels that clips have.
        signals: names of the signals that clips have.
    """

    layout: int
    manifest: str
    splits: dict[str, SplitRecord]
    packs: list[str]
    labels: list[str]
    signals: list[str]


class Columns(NamedTuple):
    """One value for each clip of a manifest, in its order.

    Args:
        arrays: by name. ``split`` is a position in ``SPLITS``, ``pack`` a position in ``packs``; ``partner`` is -1
            without a degraded recording, and ``line`` the place of a clip's line in the manifest [bytes], with its end last.
        packs: names of the packs.
        labels: names of the labels.
        signals: names of the signals.
    """

    arrays: Mapping[str, np.ndarray]
    packs: tuple[str, ...]
    labels: tuple[str, ...]
    signals: tuple[str, ...]


class Builder:
    """Makes columns of entries that come one after the other."""

    def __init__(self) -> None:
        self._splits = {name: number for number, name in enumerate(SPLITS)}
        self._numbers = {name: array.array("q") for name in ("offset", "frames", "partner", "line")}
        self._small = {"split": array.array("B"), "variant": array.array("B")}
        self._pack, self._packs = array.array("i"), dict[str, int]()
        self._texts = {name: (array.array("q", [0]), bytearray()) for name in TEXTS}
        self._labels: dict[str, tuple[array.array[int], dict[str, int]]] = {}
        self._signals: dict[str, array.array[int]] = {}
        self._count = 0

    def add(self, entry: ManifestEntry, line: int = 0) -> None:
        """Adds a clip, whose line begins at a byte of the manifest."""
        self._small["split"].append(self._splits[entry.split])
        self._small["variant"].append(entry.original is not None)
        self._pack.append(self._packs.setdefault(entry.pack, len(self._packs)))
        for name, number in (("offset", entry.offset), ("frames", entry.frames), ("line", line)):
            self._numbers[name].append(number)
        self._numbers["partner"].append(-1 if entry.partner is None else entry.partner)
        for name, text in zip(TEXTS, (entry.id, entry.sha256, entry.partner_sha256 or ""), strict=True):
            ends, blob = self._texts[name]
            blob += text.encode(errors="surrogatepass")
            ends.append(len(blob))
        for key, value in entry.labels.items():
            codes, known = self._labels.setdefault(key, (array.array("i"), {}))
            codes.extend([-1] * (self._count - len(codes)))
            codes.append(known.setdefault(json.dumps(value, default=str), len(known)))
        for key, place in entry.signals.items():
            rows = self._signals.setdefault(key, array.array("q"))
            rows.extend([-1] * (SIGNAL_FACTS * self._count - len(rows)))
            pack = self._packs.setdefault(place["pack"], len(self._packs))
            rows.extend([pack, place["offset"], place["channels"], place["frames"], int(place["constant"])])
        self._count += 1

    def finish(self, end: int = 0) -> Columns:
        """The columns of all clips that were added; the last line ends at ``end`` [bytes]."""
        self._numbers["line"].append(end)
        made = {name: np.array(values, np.int64) for name, values in self._numbers.items()}
        made |= {name: np.array(values, np.uint8) for name, values in self._small.items()}
        made["pack"] = np.array(self._pack, np.int32)
        for name, (ends, blob) in self._texts.items():
            made |= {f"{name}.ends": np.array(ends, np.int64), f"{name}.text": np.frombuffer(bytes(blob), np.uint8)}
        for key, (codes, known) in self._labels.items():
            codes.extend([-1] * (self._count - len(codes)))
            values = f"[{','.join(known)}]".encode()
            made |= {f"label.{key}": np.array(codes, np.int32), f"values.{key}": np.frombuffer(values, np.uint8)}
        for key, rows in self._signals.items():
            rows.extend([-1] * (SIGNAL_FACTS * self._count - len(rows)))
            made[f"signal.{key}"] = np.array(rows, np.int64).reshape(-1, SIGNAL_FACTS)
        return Columns(made, tuple(self._packs), tuple(self._labels), tuple(self._signals))


def content(columns: Columns, manifest: str, splits: Mapping[str, SplitRecord]) -> bytes:
    """An index as bytes: columns in the layout of safetensors, with :class:`Facts` in its header.

    Args:
        columns: of all clips of a manifest.
        manifest: hash of its lines.
        splits: identity of its splits.
    """
    from safetensors.numpy import save

    facts: Facts = {
        "layout": LAYOUT,
        "manifest": manifest,
        "splits": dict(splits),
        "packs": list(columns.packs),
        "labels": list(columns.labels),
        "signals": list(columns.signals),
    }
    return save(dict(columns.arrays), {"facts": json.dumps(facts)})


class _Place(TypedDict):
    """Where an array lies in a file of safetensors."""

    dtype: str
    shape: list[int]
    data_offsets: list[int]


_DTYPES = {"U8": "<u1", "I32": "<i4", "I64": "<i8"}


def opened(path: Path) -> tuple[Columns, Facts]:
    """The columns of an index, mapped into memory, so that processes of one machine share them.

    Raises:
        OSError, ValueError: if it cannot be read, is damaged or of another layout.
    """
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    begin = 8 + int.from_bytes(mapped[:8], "little")
    header = json_files.parse(mapped[8:begin], dict[str, object])
    facts = json_files.parse(json_files.checked(header.pop("__metadata__"), dict[str, str])["facts"], Facts)
    if facts["layout"] != LAYOUT:
        raise ValueError(f"an index of layout {facts['layout']}")
    arrays = {}
    for name, place in header.items():
        found = json_files.checked(place, _Place)
        first, last = (begin + each for each in found["data_offsets"])
        plain = np.frombuffer(memoryview(mapped)[first:last], _DTYPES[found["dtype"]])
        arrays[name] = plain.reshape(found["shape"])
    return Columns(arrays, tuple(facts["packs"]), tuple(facts["labels"]), tuple(facts["signals"])), facts


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read block by block."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Listed:
    """Entries that are objects already, such as those of a stage that has just packed them."""

    def __init__(self, entries: Sequence[ManifestEntry]) -> None:
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def entry(self, number: int) -> ManifestEntry:
        """One of them."""
        return self.entries[number]

    @functools.cached_property
    def columns(self) -> Columns:
        """Their columns."""
        builder = Builder()
        for entry in self.entries:
            builder.add(entry)
        return builder.finish()


class Lines:
    """Entries that are made of the lines of a manifest file, which stays open: one that replaces it is not read.

    It can be pickled, as data-loading workers need; the file, and the index where there is one, are then opened again.

    Args:
        path: of the manifest.
        columns: of all its clips.
        make: makes an entry of a line.
        begin: where the first line begins [bytes]; the places of lines are counted from there.
        index: the file of the columns; None where they are in memory.
    """

    def __init__(
        self,
        path: Path,
        columns: Columns,
        make: Callable[[bytes], ManifestEntry],
        begin: int,
        index: Path | None = None,
    ) -> None:
        self.path, self.columns, self.make, self.begin, self.index = path, columns, make, begin, index
        self._open()

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDONLY)
        facts = os.fstat(self._file)
        self.stamp = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        weakref.finalize(self, os.close, self._file)
        self._places = self.columns.arrays["line"]
        # Bound to the file and not to this object, which would otherwise keep itself alive.
        self._cached = functools.lru_cache(KEPT)(
            functools.partial(_made, self._file, self._places, self.begin, self.make)
        )

    def __len__(self) -> int:
        return len(self._places) - 1

    def entry(self, number: int) -> ManifestEntry:
        """The entry of a line, counted from 0 below the header."""
        try:
            return self._cached(number)
        except OSError:
            return awaited(functools.partial(self._again, number), self.path)

    def _again(self, number: int) -> ManifestEntry:
        """The entry from the file opened anew, as what is open may be stale for ever."""
        before = self.stamp
        self._open()
        self._demand_same(before)
        return self._cached(number)

    def map_from(self, copy: Path) -> None:
        """Goes on with a copy of the index: what is mapped from a network folder ends the process when that is away."""
        self.columns, self.index = opened(copy)[0], copy
        self._open()

    def _demand_same(self, before: tuple[int, ...]) -> None:
        if self.stamp != before:
            raise DataError(f"{self.path}: was packed anew meanwhile; run the stage again")

    def __getstate__(self) -> dict[str, object]:
        kept = None if self.index is not None else self.columns
        rest = {"make": self.make, "begin": self.begin, "index": self.index, "stamp": self.stamp}
        return {"path": self.path, "columns": kept, **rest}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__ |= state
        before = self.stamp
        try:
            if self.index is not None:
                self.columns = opened(self.index)[0]
            self._open()
        except OSError as error:
            raise DataError(f"{self.path}: the packed data are gone ({error.strerror}); run the stage again") from error
        self._demand_same(before)


def _made(
    file: int, places: np.ndarray, begin: int, make: Callable[[bytes], ManifestEntry], number: int
) -> ManifestEntry:
    first, last = int(places[number]), int(places[number + 1])
    return make(os.pread(file, last - first, begin + first))


class Entries(Sequence[ManifestEntry]):
    """Clips of a manifest, in its order: a sequence of entries, each of which is made when it is asked for.

    Args:
        table: all clips of the manifest.
        where: the numbers of the chosen ones; None is all.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, table: Listed | Lines, where: np.ndarray | None = None) -> None:
        self.table, self.where = table, where

    def __len__(self) -> int:
        return len(self.table) if self.where is None else len(self.where)

    @overload
    def __getitem__(self, index: int) -> ManifestEntry: ...

    @overload
    def __getitem__(self, index: slice) -> Entries: ...

    def __getitem__(self, index: int | slice) -> ManifestEntry | Entries:
        if isinstance(index, slice):
            return self.at(np.arange(len(self))[index])
        count = len(self)
        if not -count <= index < count:
            raise IndexError(index)
        place = index + count if index < 0 else index
        return self.table.entry(place if self.where is None else int(self.where[place]))

    def __iter__(self) -> Iterator[ManifestEntry]:
        return map(self.table.entry, range(len(self)) if self.where is None else map(int, self.where))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_equal, self, other))

    def at(self, places: np.ndarray) -> Entries:
        """Those at some places of this sequence."""
        chosen = places if self.where is None else self.where[places]
        return Entries(self.table, chosen.astype(np.int32 if len(self.table) < 1 << 31 else np.int64))

    def column(self, name: str) -> np.ndarray:
        """A column of these clips; see :class:`Columns`."""
        values = self.table.columns.arrays[name]
        return values if self.where is None else values[self.where]

    def of_split(self, number: int) -> Entries:
        """Those of a split, by its place in ``SPLITS``."""
        return self.at(np.flatnonzero(self.column("split") == number))

    def of_pack(self, name: str) -> Entries:
        """Those that are packed in a file, or whose signals are."""
        code = self.table.columns.packs.index(name)
        chosen = self.column("pack") == code
        for signal in self.table.columns.signals:
            chosen = chosen | (self.column(f"signal.{signal}")[:, 0] == code)
        return self.at(np.flatnonzero(chosen))

    def packs(self) -> set[str]:
        """Names of the files that these clips, and their signals, are packed in."""
        return set(self.pack_ends())

    def pack_ends(self) -> dict[str, tuple[int, bool]]:
        """For each pack of these clips the end of the last one [values], and whether it holds signals."""
        names, columns = self.table.columns.packs, self.table.columns
        codes, frames = self.column("pack"), self.column("frames")
        # A degraded recording is as long as its clip, so the later of the two ends the entry.
        ends = np.maximum(self.column("offset"), self.column("partner")) + frames
        found = {names[code]: (end, False) for code, end in _latest(codes, ends)}
        for key in columns.signals:
            rows = self.column(f"signal.{key}")
            rows = rows[rows[:, 0] >= 0]
            for code, end in _latest(rows[:, 0], rows[:, 1] + rows[:, 2] * rows[:, 3]):
                found[names[code]] = (max(end, found.get(names[code], (0, True))[0]), True)
        return found

    def label(self, key: str) -> tuple[np.ndarray, list[object]]:
        """(a number for each clip, -1 where it has no such label; the label that each number stands for)."""
        if key not in self.table.columns.labels:
            return np.full(len(self), -1, np.int32), []
        values = json_files.parse(bytes(self.table.columns.arrays[f"values.{key}"]), list[object])
        return self.column(f"label.{key}"), values

    def texts(self, name: str) -> Iterator[str]:
        """A text of each clip, one of ``TEXTS``; empty where it has none."""
        ends, text = self.table.columns.arrays[f"{name}.ends"], self.table.columns.arrays[f"{name}.text"]
        blob = text.data
        numbers: Iterable[int] = range(len(self)) if self.where is None else self.where.tolist()
        places = ends.tolist()
        return (str(blob[places[number] : places[number + 1]], "utf-8", "surrogatepass") for number in numbers)


def _equal(one: object, other: object) -> bool:
    return one == other


def _latest(codes: np.ndarray, ends: np.ndarray) -> Iterator[tuple[int, int]]:
    """The largest of some values for each code that occurs."""
    highest = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(highest, codes, ends)
    present = np.unique(codes)
    return zip(present.tolist(), highest[present].tolist(), strict=True)
