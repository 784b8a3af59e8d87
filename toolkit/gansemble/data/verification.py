"""Whether packed audio is what its manifest says: every clip's hash, once in a process, never crop by crop."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from gansemble.data import manifest
from gansemble.data.manifest import SAMPLES, SPLITS, Entry
from gansemble.errors import DataError

SHOWN = 3
_BYTES = int(SAMPLES[-1])


def verify(folder: Path, splits: Collection[str] = SPLITS) -> None:
    """Reads the packed clips of some splits and compares their hashes with the manifest's.

    A pack that was found to be sound is not read again in this process while neither it nor its manifest changes.

    Raises:
        DataError: if a pack is absent, cut or altered, naming the clips.
    """
    found = manifest.load(folder / "manifest.jsonl")
    entries = [entry for entry in found.entries if entry.split in splits]
    packs = {entry.pack for entry in entries}
    stamps = tuple(sorted((name, *_stamp(folder / name)) for name in packs))
    _verified(folder, found.sha256, frozenset(splits), stamps)


@functools.lru_cache(maxsize=64)
def _verified(folder: Path, sha256: str, splits: frozenset[str], stamps: tuple[tuple[str, int, int, int], ...]) -> None:
    """As :func:`verify`; the arguments are all that the answer depends on. An error is not kept."""
    entries = [entry for entry in manifest.read(folder / "manifest.jsonl") if entry.split in splits]
    wrong = wrong_clips(folder, entries)
    if wrong:
        named = ", ".join(entry.id for entry in wrong[:SHOWN]) + (", \u2026" if len(wrong) > SHOWN else "")
        packs = ", ".join(sorted({entry.pack for entry in wrong}))
        raise DataError(
            f"{folder}: {len(wrong)} of {len(entries)} packed clips are not what the manifest says ({named} in {packs}): "
            "the file was altered, damaged, or written on a machine that orders bytes otherwise; pack the corpus again "
            "with the prepare stage and --force"
        )


def wrong_clips(folder: Path, entries: Sequence[Entry]) -> list[Entry]:
    """The clips whose packed samples do not have the hash that the manifest states.

    Raises:
        DataError: if a pack cannot be read.
    """
    by_pack: dict[str, list[Entry]] = defaultdict(list)
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


def _sound(descriptor: int, entry: Entry) -> bool:
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
    """Verifies packed data beside the training that reads them: hours of audio take seconds, and nobody waits.

    Args:
        folder: the prepared data.
        splits: those that are read.
    """

    def __init__(self, folder: Path, splits: Collection[str]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(folder, splits), name="verification", daemon=True)
        self._thread.start()

    def _run(self, folder: Path, splits: Collection[str]) -> None:
        try:
            verify(folder, splits)
        except BaseException as error:
            self._error = error

    def check(self) -> None:
        """Raises what was found wrong so far, without waiting."""
        if self._error is not None:
            raise self._error

    def wait(self) -> None:
        """Raises what is wrong, when everything was read: to be called before a state is saved."""
        self._thread.join()
        self.check()
