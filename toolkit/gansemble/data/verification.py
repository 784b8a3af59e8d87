"""Whether packed audio is what its manifest says: every clip's hash, once in a process, never crop by crop."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from gansemble.data import manifest
from gansemble.data.manifest import SAMPLES, SPLITS, Manifest, ManifestEntry
from gansemble.errors import DataError

SHOWN = 3
_BYTES = int(SAMPLES[-1])


def verify(folder: Path, splits: Collection[str] = SPLITS, found: Manifest | None = None) -> None:
    """Reads the packed clips of some splits and compares their hashes with the manifest's.

    A split that was found to be sound is not read again in this process while neither its packs nor the manifest change.

    Args:
        folder: the prepared data.
        splits: those that are read.
        found: the manifest that is gone by; None reads the one that is there.

    Raises:
        DataError: if a pack is absent, cut or altered, naming the clips.
    """
    found = manifest.load(folder / "manifest.jsonl") if found is None else found
    wrong: list[ManifestEntry] = []
    read = 0
    for split in splits:
        entries = [entry for entry in found.entries if entry.split == split]
        stamps = tuple(sorted((name, *_stamp(folder / name)) for name in {entry.pack for entry in entries}))
        known = (str(folder), found.sha256, split, stamps)
        if known in _SOUND:
            continue
        read += len(entries)
        altered = wrong_clips(folder, entries)
        wrong += altered
        if not altered:
            _SOUND.add(known)
    if wrong:
        named = ", ".join(entry.id for entry in wrong[:SHOWN]) + (", \u2026" if len(wrong) > SHOWN else "")
        packs = ", ".join(sorted({entry.pack for entry in wrong}))
        raise DataError(
            f"{folder}: {len(wrong)} of {read} packed clips are not what the manifest says ({named} in {packs}): the file was "
            "altered, damaged, or written on a machine that orders bytes otherwise; pack the corpus again with the prepare "
            "stage and --force"
        )


#: What this process found to be sound: a split of a manifest, in packs of these stamps. All that the answer depends on.
_SOUND: set[tuple[str, str, str, tuple[tuple[str, int, int, int], ...]]] = set()


def wrong_clips(folder: Path, entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
    """The clips whose packed samples do not have the hash that the manifest states.

    Raises:
        DataError: if a pack cannot be read.
    """
    by_pack: dict[str, list[ManifestEntry]] = defaultdict(list)
    for entry in entries:
        by_pack[entry.pack].append(entry)
    wrong = []
    for name, chosen in by_pack.items():
        try:
            # Read, not mapped: a page of a mapped file that cannot be read kills the process.
            descriptor = os.open(folder / name, os.O_RDONLY)
        except OSError as error:
            raise DataError(
                f"{folder / name}: the packed audio cannot be read ({error.strerror}); prepare again"
            ) from error
        try:
            wrong += [entry for entry in chosen if not _sound(descriptor, entry)]
        except OSError as error:
            raise DataError(
                f"{folder / name}: the packed audio cannot be read ({error.strerror}); prepare again"
            ) from error
        finally:
            os.close(descriptor)
    return wrong


def _sound(descriptor: int, entry: ManifestEntry) -> bool:
    if _hash(descriptor, entry.offset, entry.frames) != entry.sha256:
        return False
    return entry.partner is None or _hash(descriptor, entry.partner, entry.frames) == entry.partner_sha256


def _hash(descriptor: int, offset: int, frames: int) -> str:
    digest, position, left = hashlib.sha256(), offset * _BYTES, frames * _BYTES
    while left:
        block = os.pread(descriptor, min(left, 1 << 22), position)
        if not block:
            break
        digest.update(block)
        position, left = position + len(block), left - len(block)
    return digest.hexdigest()


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        facts = path.stat()
    except OSError:
        return (0, 0, 0)
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns)


class Background:
    """Verifies packed data in a thread beside the training that reads them: hours of audio take seconds.

    Args:
        folder: the prepared data.
        found: the manifest whose clips are read.
        splits: those that are read.

    Attributes:
        error: what is wrong, as far as it was found.
    """

    def __init__(self, folder: Path, found: Manifest, splits: Collection[str]) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(folder, found, splits), name="verification", daemon=True
        )
        self._thread.start()

    def _run(self, folder: Path, found: Manifest, splits: Collection[str]) -> None:
        try:
            verify(folder, splits, found)
        except BaseException as error:
            self.error = error

    @property
    def running(self) -> bool:
        """Whether something is left to read."""
        return self._thread.is_alive()
