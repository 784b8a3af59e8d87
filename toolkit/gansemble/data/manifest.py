"""The manifest of packed data: a header line, then one line of JSON for each clip. Imports no torch.

The header holds a hash of all lines below it, so that a manifest edited by hand is noticed. For each split it also
holds the number of clips and a hash over their samples, order and labels, which identifies the data that a network is
trained on. A long manifest has an index beside it (see :mod:`gansemble.data.index`), whose hash is in the header, too; without
it, or where it is damaged, every line is read.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NotRequired, TypedDict

from gansemble.data import index
from gansemble.data.clips import ORIGINAL as ORIGINAL
from gansemble.data.clips import SPLITS as SPLITS
from gansemble.data.clips import VARIANT as VARIANT
from gansemble.data.clips import Clip as Clip
from gansemble.data.clips import ManifestEntry as ManifestEntry
from gansemble.data.clips import SignalPlace as SignalPlace
from gansemble.data.index import Entries
from gansemble.errors import DataError
from gansemble.files import write_atomically
from gansemble.stages import json_files
from gansemble.stages.records import SplitRecord

log = logging.getLogger(__name__)
#: Name of the manifest within a folder of packed data.
MANIFEST = "manifest.jsonl"
#: Version of the layout of manifest and pack; raised whenever an older reader would misread a new file.
VERSION = 2
#: Versions that can be read: packs of the first one hold 16-bit integers without a factor.
READABLE = (1, VERSION)
#: A manifest of so many clips has an index; the lines of a shorter one are read in less than half a second.
INDEXED_FROM = 20_000
#: A line has so many fields; without signals and factors, which it leaves out where there are none.
_ALWAYS = len(dataclasses.fields(ManifestEntry)) - 3
_REMEDY = "run the prepare stage with --force"


@dataclass(frozen=True)
class SplitIdentity:
    """Identifies one split of packed data.

    Args:
        clips: how many clips it has.
        sha256: the first 16 hexadecimal digits of a hash over everything that training reads of them.
    """

    clips: int
    sha256: str

    def record(self) -> SplitRecord:
        """The same as a dictionary for JSON."""
        return {"clips": self.clips, "sha256": self.sha256}


def identity(entries: Iterable[ManifestEntry]) -> dict[str, SplitIdentity]:
    """The identity of each split that has at least one clip.

    The hash covers ids, order, samples, sample rates, lengths, peaks and labels. It covers neither the place of a clip
    in its pack nor the name of its source file, so that the same corpus packed again, in another folder or in shards,
    counts as the same data.
    """
    digests = {split: hashlib.sha256() for split in SPLITS}
    counts = dict.fromkeys(SPLITS, 0)
    for entry in entries:
        facts: list[object] = [
            entry.id,
            entry.sample_rate,
            entry.frames,
            entry.peak,
            entry.sha256,
            entry.partner_sha256,
        ]
        facts += [entry.shift, entry.partner_shift] if entry.shift or entry.partner_shift else []
        facts += [[name, place["sha256"]] for name, place in sorted(entry.signals.items())]
        digests[entry.split].update(json.dumps([*facts, sorted(entry.labels.items())], default=str).encode() + b"\n")
        counts[entry.split] += 1
    return {split: SplitIdentity(counts[split], digests[split].hexdigest()[:16]) for split in SPLITS if counts[split]}


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read, and whose hash agrees with its header.

    Args:
        entries: the clips of all splits, in the order by which training indexes them; as it was read, each is made when it is
            asked for.
        identity: of each split; see :func:`identity`.
        sha256: hash of the lines below the header.
    """

    entries: Sequence[ManifestEntry]
    identity: Mapping[str, SplitIdentity]
    sha256: str

    @property
    def clips(self) -> Entries:
        """The entries with what is asked of all of them at once."""
        return sequence(self.entries)


def sequence(entries: Sequence[ManifestEntry]) -> Entries:
    """Entries with what is asked of all of them at once, such as their packs."""
    return entries if isinstance(entries, Entries) else Entries(index.Listed(entries))


def write(path: Path, entries: Iterable[ManifestEntry]) -> None:
    """Writes a manifest: the header and one line of JSON for each entry. The file is replaced in one atomic step.

    One of many clips has an index beside it, which is written before, under a name of its content.
    """
    entries = list(entries)
    lines = [_line(entry).encode() for entry in entries]
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
    splits = {split: found.record() for split, found in identity(entries).items()}
    header: dict[str, object] = {
        "manifest": VERSION,
        "samples": sorted({Path(entry.pack).suffix.removeprefix(".") for entry in entries}),
        "clips": len(entries),
        "splits": splits,
        "sha256": digest.hexdigest(),
    }
    content = _index(entries, lines, digest.hexdigest(), splits) if len(entries) >= INDEXED_FROM else None
    if content is not None:
        header["index"] = hashlib.sha256(content).hexdigest()
        write_atomically(_index_path(path, str(header["index"])), content)
    write_atomically(path, json.dumps(header).encode() + b"\n" + b"".join(lines))
    for old in path.parent.glob(f"{path.stem}-*.index"):
        if content is None or old != _index_path(path, str(header["index"])):
            old.unlink(missing_ok=True)


def _index(
    entries: Sequence[ManifestEntry], lines: Sequence[bytes], sha256: str, splits: Mapping[str, SplitRecord]
) -> bytes:
    """The index of a manifest; places of lines are counted from behind the header, whose length is not known yet."""
    builder, place = index.Builder(), 0
    for entry, line in zip(entries, lines, strict=True):
        builder.add(entry, place)
        place += len(line)
    return index.content(builder.finish(place), sha256, splits)


def _index_path(path: Path, sha256: str) -> Path:
    return path.with_name(f"{path.stem}-{sha256[:16]}.index")


def _line(entry: ManifestEntry) -> str:
    line = json.dumps(_row(entry), sort_keys=True, ensure_ascii=False) + "\n"
    try:
        line.encode()
    except UnicodeEncodeError:  # the path holds bytes that are no text, which JSON can hold as escapes only
        return json.dumps(_row(entry), sort_keys=True) + "\n"
    return line


def _row(entry: ManifestEntry) -> dict[str, object]:
    """An entry for JSON, without signals and factors where it has none."""
    row = vars(entry) | {"labels": dict(entry.labels), "signals": dict(entry.signals)}
    return {key: value for key, value in row.items() if value or key not in ("signals", "shift", "partner_shift")}


def packs(entries: Iterable[ManifestEntry]) -> set[str]:
    """Names of the files that clips, and their signals, are packed in."""
    if isinstance(entries, Entries):
        return entries.packs()
    found: set[str] = set()
    for entry in entries:
        found |= {entry.pack, *(place["pack"] for place in entry.signals.values())}
    return found


def read(path: Path) -> list[ManifestEntry]:
    """The entries of a manifest file as a list of objects; raises what :func:`load` raises."""
    return list(load(path).entries)


def load(path: Path) -> Manifest:
    """Reads and checks a manifest.

    The result is cached within this process for as long as the file does not change, since several modules of a stage
    read the same manifest.

    Raises:
        DataError: if the file is missing, of another version, was edited since it was written, or a line is no entry.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise DataError(
            f"{path}: no manifest here; run the prepare stage (run.sh --stage prepare --stop-stage prepare)"
        ) from error
    if not stat.S_ISREG(facts.st_mode):  # a pipe would be waited for without end
        raise DataError(f"{path}: expected a file, got {'a folder' if path.is_dir() else 'something else'}; {_REMEDY}")
    return _load(path, (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))


@functools.lru_cache(maxsize=4)
def _load(path: Path, stamp: tuple[int, ...]) -> Manifest:
    """Reads a manifest for :func:`load`.

    ``stamp`` (inode, size, times) only serves as part of the cache key: a manifest is always replaced as a whole, which
    changes its inode. Exceptions are not cached.
    """
    with path.open("rb") as stream:
        first = stream.readline()
        header = _header(path, first.rstrip(b"\n"))
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != header["sha256"]:
        raise DataError(
            f"{path}: was changed after it was written (its lines do not have the hash its first line states), so what "
            f"it says of the packed audio cannot be relied on. Splits and labels come from the corpus and the recipe: "
            f"change them there, then {_REMEDY}"
        )
    table, splits = _indexed(path, header, len(first)) or _unindexed(path, len(first))
    if splits != header["splits"]:
        raise DataError(f"{path}:1: its splits are not those of the lines below, which were changed; {_REMEDY}")
    return Manifest(
        Entries(table), {name: SplitIdentity(each["clips"], each["sha256"]) for name, each in splits.items()}, digest
    )


def _indexed(path: Path, header: _Header, begin: int) -> tuple[index.Lines, dict[str, SplitRecord]] | None:
    """The clips by the index beside a manifest, and their splits; None where it has none that belongs to it."""
    known = header.get("index")
    if known is None:
        return None
    place = _index_path(path, known)
    try:
        if not place.is_file():
            raise FileNotFoundError("no such file")
        if index.file_hash(place) != known:
            raise ValueError("its content does not have the hash that the manifest states")
        columns, facts = index.opened(place)
        if facts["manifest"] != header["sha256"]:
            raise ValueError("it belongs to another manifest")
    except (OSError, ValueError, KeyError) as error:
        log.warning(
            "%s: the index of %s cannot be used (%s), so that all its lines are read, which takes longer; the prepare stage with "
            "--force makes it again",
            place,
            path,
            error,
        )
        return None
    return index.Lines(path, columns, _made, begin, place), facts["splits"]


def _unindexed(path: Path, begin: int) -> tuple[index.Lines, dict[str, SplitRecord]]:
    """The clips of a manifest by its lines, each of which is read, and their splits."""
    builder, place = index.Builder(), 0

    def entries(stream: BinaryIO) -> Iterator[ManifestEntry]:
        nonlocal place
        # Not splitlines(), which also splits where an id holds U+2028. Line 1 is the header, so entries are counted from 2.
        for number, line in enumerate(stream, 2):
            if line.rstrip(b"\n"):
                entry = _entry(path, number, line)
                try:
                    builder.add(entry, place)
                except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
                    raise DataError(f"{path}:{number}: not a manifest line ({error}); {_REMEDY}") from error
                yield entry
            place += len(line)

    with path.open("rb") as stream:
        stream.seek(begin)
        splits = {name: found.record() for name, found in identity(entries(stream)).items()}
    return index.Lines(path, builder.finish(place), _made, begin), splits


def _made(line: bytes) -> ManifestEntry:
    """The entry of a line that is known to hold one."""
    row = json.loads(line)
    if len(row) < _ALWAYS:  # written by an early version, which left fields out
        return ManifestEntry(**row)
    # Without the constructor, which takes longer than all the rest, as it sets the fields of a frozen object one by one.
    entry = object.__new__(ManifestEntry)
    vars(entry).update({"signals": {}, "shift": 0, "partner_shift": 0}, **row)
    return entry


class _Header(TypedDict):
    manifest: int
    samples: str | list[str]
    clips: int
    splits: dict[str, SplitRecord]
    sha256: str
    index: NotRequired[str]


def _header(path: Path, line: bytes) -> _Header:
    try:
        header = json_files.parse(line, dict[str, object])
        version = header["manifest"]
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path}:1: no manifest header; it was written by an earlier version or damaged; {_REMEDY}"
        ) from error
    known = "<i2" if version == 1 else header.get("samples")
    if version not in READABLE or header.get("samples") != known:
        raise DataError(
            f"{path}:1: packed data of version {version} with samples {header.get('samples')!r}; this gansemble reads "
            f"versions {READABLE[0]} to {VERSION}, little-endian. Use the gansemble that wrote them, or {_REMEDY}"
        )
    try:
        return json_files.checked(header, _Header)
    except ValueError as error:
        raise DataError(f"{path}:1: a damaged manifest header ({error}); {_REMEDY}") from error


def _entry(path: Path, number: int, line: bytes) -> ManifestEntry:
    try:
        return ManifestEntry(**json.loads(line))
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{path}:{number}: not a manifest line ({error}); {_REMEDY}") from error
