"""The manifest of packed data: a header that identifies them, then one JSON line per clip. Imports no torch.

The header holds the hash of everything behind it, so that a manifest edited by hand is noticed, and for each split the
number of its clips and a hash over their samples, order and labels: the identity of what a network learns from.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from gansemble.errors import DataError
from gansemble.files import write_atomically
from gansemble.stages.ledger import SplitRecord

SPLITS = ("train", "validation", "test")
#: Of the manifest's and the pack's layout; raised when an older reader would misread them.
VERSION = 1
#: How samples lie in a pack, whatever machine wrote it: 16 bit, little-endian.
SAMPLES = "<i2"
#: Between a clip's id and the name of a variant of it, in the variant's id.
VARIANT = "~"
#: The label by which a variant names its clip.
ORIGINAL = "original"
_REMEDY = "run the prepare stage with --force"


@dataclass(frozen=True)
class Clip:
    """A clip a corpus lists, before its audio is opened.

    Args:
        id: unique in the corpus; no path separators.
        path: relative to the corpus folder.
        split: ``train``, ``validation`` or ``test``.
        labels: integers or names by label kind, such as ``{"speaker": "p225", "pitch": 60}``. Clips of one
            ``recording`` must be of one split.
        partner: a degraded recording of the same clip, relative to the corpus folder.
    """

    id: str
    path: str
    split: str
    labels: Mapping[str, int | str] = field(default_factory=dict)
    partner: str | None = None


@dataclass(frozen=True)
class ManifestEntry:
    """A clip that was read and packed.

    Args:
        id, path, split, labels: as in :class:`Clip`.
        sample_rate: of the packed audio [Hz].
        frames: packed length [samples].
        channels: of the source file.
        source_rate: of the source file [Hz].
        offset: where the clip starts in the pack [samples].
        peak: largest magnitude, full scale 1.
        sha256: of the packed samples.
        pack: the pack's file, relative to the manifest.
        partner: where the clip's degraded recording starts in the pack [samples]; it is as long as the clip.
        partner_sha256: of that recording's packed samples.
    """

    id: str
    path: str
    split: str
    sample_rate: int
    frames: int
    channels: int
    source_rate: int
    offset: int
    peak: float
    sha256: str
    labels: Mapping[str, int | str] = field(default_factory=dict)
    pack: str = "audio.i16"
    partner: int | None = None
    partner_sha256: str | None = None

    @property
    def seconds(self) -> float:
        """Length [s]."""
        return self.frames / self.sample_rate

    @property
    def original(self) -> str | None:
        """The id of the clip that an augmentation made this one of; None for a clip of the corpus."""
        of = self.labels.get(ORIGINAL)
        return of if isinstance(of, str) and self.id.rpartition(VARIANT)[0] == of else None


@dataclass(frozen=True)
class SplitIdentity:
    """What identifies one split of packed data: how many clips it has, and a hash over all that training reads of them."""

    clips: int
    sha256: str

    def record(self) -> SplitRecord:
        """As it is noted in JSON."""
        return {"clips": self.clips, "sha256": self.sha256}


def identity(entries: Iterable[ManifestEntry]) -> dict[str, SplitIdentity]:
    """The identity of each split that has clips.

    It covers ids, order, samples, lengths, peaks and labels, and neither where samples lie in a pack nor what their
    source file is called: the same corpus packed again, elsewhere or in shards, is the same data.
    """
    digests = {split: hashlib.sha256() for split in SPLITS}
    counts = dict.fromkeys(SPLITS, 0)
    for entry in entries:
        facts = [entry.id, entry.sample_rate, entry.frames, entry.peak, entry.sha256, entry.partner_sha256]
        digests[entry.split].update(json.dumps([*facts, sorted(entry.labels.items())], default=str).encode() + b"\n")
        counts[entry.split] += 1
    return {split: SplitIdentity(counts[split], digests[split].hexdigest()[:16]) for split in SPLITS if counts[split]}


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and found to be as it was written.

    Args:
        entries: the clips, in the order training counts them.
        identity: of each split.
        sha256: of the manifest's lines.
    """

    entries: Sequence[ManifestEntry]
    identity: Mapping[str, SplitIdentity]
    sha256: str


def write(path: Path, entries: Iterable[ManifestEntry]) -> None:
    """Writes the header and one JSON line per entry, atomically."""
    entries = list(entries)
    lines = [json.dumps(dataclasses.asdict(entry), sort_keys=True, ensure_ascii=False) + "\n" for entry in entries]
    body = "".join(lines).encode()
    header = {
        "manifest": VERSION,
        "samples": SAMPLES,
        "clips": len(entries),
        "splits": {split: dataclasses.asdict(found) for split, found in identity(entries).items()},
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    write_atomically(path, json.dumps(header).encode() + b"\n" + body)


def read(path: Path) -> list[ManifestEntry]:
    """The entries of a manifest; see :func:`load`."""
    return list(load(path).entries)


def load(path: Path) -> Manifest:
    """A manifest with its header.

    The parts of a stage that read it one after the other share what was read, while the file is the same.

    Raises:
        DataError: if the file is missing, of another version, was edited, or a line is not an entry.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise DataError(
            f"{path}: no manifest here; run the prepare stage (run.sh --stage prepare --stop-stage prepare)"
        ) from error
    return _load(path, (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns))


@functools.lru_cache(maxsize=4)
def _load(path: Path, stamp: tuple[int, ...]) -> Manifest:
    """As :func:`load`; the stamp is the file's, which is replaced whole when it changes. An error is not kept."""
    first, _, body = path.read_bytes().partition(b"\n")
    header = _header(path, first)
    if hashlib.sha256(body).hexdigest() != header["sha256"]:
        raise DataError(
            f"{path}: was changed after it was written (its lines do not have the hash its first line states), so what "
            f"it says of the packed audio cannot be relied on. Splits and labels come from the corpus and the recipe: "
            f"change them there, then {_REMEDY}"
        )
    # Not splitlines(), which also splits where an id holds U+2028.
    entries = [_entry(path, number, line) for number, line in enumerate(body.split(b"\n"), 2) if line]
    splits = identity(entries)
    if {split: dataclasses.asdict(found) for split, found in splits.items()} != header["splits"]:
        raise DataError(f"{path}:1: its splits are not those of the lines below, which were changed; {_REMEDY}")
    return Manifest(entries, splits, header["sha256"])


class _Header(TypedDict):
    manifest: int
    samples: str
    clips: int
    splits: dict[str, SplitRecord]
    sha256: str


def _header(path: Path, line: bytes) -> _Header:
    try:
        header = json.loads(line)
        version = header["manifest"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}:1: no manifest header; it was written by an earlier version or damaged; {_REMEDY}"
        ) from error
    if version != VERSION or header.get("samples") != SAMPLES:
        raise DataError(
            f"{path}:1: packed data of version {version} with samples {header.get('samples')!r}; this gansemble reads "
            f"version {VERSION} with {SAMPLES!r} (16 bit, little-endian). Use the gansemble that wrote them, or {_REMEDY}"
        )
    if not isinstance(header.get("splits"), dict) or not isinstance(header.get("sha256"), str):
        raise DataError(f"{path}:1: a damaged manifest header; {_REMEDY}")
    return header


def _entry(path: Path, number: int, line: bytes) -> ManifestEntry:
    try:
        return ManifestEntry(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}:{number}: not a manifest line ({error}); {_REMEDY}") from error
