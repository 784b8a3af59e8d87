"""Checks that packed audio still has the hashes of its manifest: each clip once in a process, not crop by crop."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from gansemble.data import manifest
from gansemble.data.manifest import SPLITS, Manifest, ManifestEntry
from gansemble.data.stored import bytes_of, suffix_of
from gansemble.data.verified import Memory, stamp
from gansemble.errors import DataError, first_few

SHOWN = 3
#: Bytes of a value of a signal, which is float32.
SIGNAL_BYTES = 4


def verify(
    folder: Path, splits: Collection[str] = SPLITS, found: Manifest | None = None, memory: Memory | None = None
) -> None:
    """Reads all packed clips of some splits and compares their hashes with the manifest.

    A split that passed is not read again in this process as long as neither its packs nor the manifest change.

    Args:
        folder: the prepared data.
        splits: the splits to check.
        found: the manifest to compare with; None loads the one in ``folder``.
        memory: of what was found sound before and need not be read again; None reads everything.

    Raises:
        DataError: if a pack is missing, truncated or altered; the message names clips.
    """
    found = manifest.load(folder / manifest.MANIFEST) if found is None else found
    wrong: dict[str, ManifestEntry] = {}
    read = 0
    for split in splits:
        entries = found.clips.of_split(SPLITS.index(split))
        stamps = tuple(sorted((name, *stamp(folder / name)) for name in entries.packs()))
        known = (str(folder), found.sha256, split, stamps)
        if known in _SOUND:
            continue
        read += len(entries)
        altered: dict[str, ManifestEntry] = {}
        for name in entries.pack_ends():
            if memory is None or not memory.knows(name, split):
                mine = wrong_in(folder / name, name, entries.of_pack(name))
                altered |= {entry.id: entry for entry in mine}
                if memory is not None and not mine:
                    memory.note(name, split)
        wrong |= altered
        if not altered:
            _SOUND.add(known)
    if wrong:
        named = first_few(list(wrong), SHOWN)
        packs = ", ".join(sorted({entry.pack for entry in wrong.values()}))
        raise DataError(
            f"{folder}: {len(wrong)} of {read} packed clips are not what the manifest says ({named} in {packs}): the file was "
            "altered, damaged, or written on a machine that orders bytes otherwise; pack the corpus again with the prepare "
            "stage and --force"
        )


#: Splits that passed in this process, as everything that the answer depends on: folder, hash of the manifest, split,
#: and name, inode, size and time of modification of each pack.
_SOUND: set[tuple[str, str, str, tuple[tuple[str, int, int, int], ...]]] = set()


def wrong_clips(folder: Path, entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
    """The clips of which the packed samples, those of the degraded recording, or signals do not have their hashes in the
    manifest.

    Raises:
        DataError: if a pack cannot be read.
    """
    clips = manifest.sequence(entries)
    wrong: dict[str, ManifestEntry] = {}
    for name in clips.pack_ends():
        wrong |= {entry.id: entry for entry in wrong_in(folder / name, name, clips.of_pack(name))}
    return list(wrong.values())


def wrong_in(path: Path, name: str, entries: Iterable[ManifestEntry]) -> list[ManifestEntry]:
    """Those of some clips of which a file, a pack of this name or a copy of it, does not hold what the manifest says.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        # Read, not mapped: a page of a mapped file that cannot be read kills the process.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise DataError(f"{path}: the packed data cannot be read ({error.strerror}); prepare again") from error
    try:
        return [entry for entry in entries if not _sound(descriptor, name, entry)]
    except OSError as error:
        raise DataError(f"{path}: the packed data cannot be read ({error.strerror}); prepare again") from error
    finally:
        os.close(descriptor)


def _sound(descriptor: int, pack: str, entry: ManifestEntry) -> bool:
    """Whether what a pack holds of a clip has the hashes in the manifest."""
    for place in entry.signals.values():
        size = place["channels"] * place["frames"] * SIGNAL_BYTES
        if place["pack"] == pack and _hash(descriptor, place["offset"] * SIGNAL_BYTES, size) != place["sha256"]:
            return False
    if entry.pack != pack:
        return True
    size = bytes_of(suffix_of(pack))
    if _hash(descriptor, entry.offset * size, entry.frames * size) != entry.sha256:
        return False
    if entry.partner is None:
        return True
    return _hash(descriptor, entry.partner * size, entry.frames * size) == entry.partner_sha256


def _hash(descriptor: int, position: int, left: int) -> str:
    """SHA-256 of so many bytes of a file from a position on."""
    digest = hashlib.sha256()
    while left:
        block = os.pread(descriptor, min(left, 1 << 22), position)
        if not block:
            break
        digest.update(block)
        position, left = position + len(block), left - len(block)
    return digest.hexdigest()


class Background:
    """Runs :func:`verify` in a thread, so that training need not wait for it. The thread starts at once.

    Large packs that an earlier run found sound are looked at only by size and time; see :mod:`gansemble.data.verified`.

    Args:
        folder: the prepared data.
        found: the manifest to compare with.
        splits: the splits to check.

    Attributes:
        error: the exception that :func:`verify` raised; None while it runs, and when everything is as it should be.
    """

    def __init__(self, folder: Path, found: Manifest, splits: Collection[str]) -> None:
        self.error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(folder, found, splits), name="verification", daemon=True
        )
        self._thread.start()

    def _run(self, folder: Path, found: Manifest, splits: Collection[str]) -> None:
        try:
            verify(folder, splits, found, Memory(folder, found.clips))
        except BaseException as error:
            self.error = error

    @property
    def running(self) -> bool:
        """Whether the check has not finished yet."""
        return self._thread.is_alive()
