"""Random access to packed audio: whole clips, or parts of them, as float32 arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from copy import copy
from pathlib import Path

import numpy as np

from gansemble.data import manifest, signal_files
from gansemble.data.index import Lines, Listed, file_hash
from gansemble.data.manifest import Manifest, ManifestEntry
from gansemble.data.pack_cache import PackCache
from gansemble.data.pack_copies import Copies
from gansemble.data.pack_files import PackFiles
from gansemble.data.stored import bytes_of, decode, suffix_of
from gansemble.data.verification import SIGNAL_BYTES
from gansemble.errors import DataError


class Packed:
    """The clips of one split, read from pack files.

    Pack files are opened in the constructor and stay open, but for those of a corpus of hundreds of packs, which are opened when
    they are needed. If the corpus is packed again while this object is in use, it goes on reading the files that it opened. It can
    be pickled, as data-loading workers need; the files are then opened again. A network folder that is away for a moment is waited
    for, see :mod:`gansemble.data.awaited`.

    Args:
        folder: the folder that the prepare stage wrote, with ``manifest.jsonl``.
        split: ``train``, ``validation`` or ``test``.
        normalise: peak that each clip as a whole is scaled to when it is read, full scale being 1; None keeps the
            levels.
        found: the manifest of the folder, for callers that have loaded it already.
        cache: keeps copies of the packs on this machine; None reads the packs where they are.

    Raises:
        DataError: if the folder has no valid manifest, the split holds no clip, or a pack file is missing or too short.

    Attributes:
        entries: the manifest entries of the split, in the order by which clips are indexed; each is made when it is asked for.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        normalise: float | None = None,
        found: Manifest | None = None,
        cache: PackCache | None = None,
    ) -> None:
        self.folder, self.split = folder, split
        self.manifest = manifest.load(folder / manifest.MANIFEST) if found is None else found
        clips = self.manifest.clips
        self.entries: Sequence[ManifestEntry] = clips.of_split(manifest.SPLITS.index(split))
        self.normalise = normalise
        if not self.entries:
            raise DataError(
                f"{folder}/manifest.jsonl: no clip is in the {split} split; prepare more data, or change the corpus' split"
            )
        self._check_sizes()
        copies = Copies(folder, clips) if cache is not None else None
        if cache is not None and copies is not None:
            _map_locally(clips.table, cache)
            cache.sources |= {name: copies.source(name) for name in manifest.packs(self.entries)}
        key = copies.key if copies is not None else str
        sign = folder / manifest.MANIFEST
        self._packs: PackFiles = PackFiles(folder, manifest.packs(self.entries), sign, cache, key)

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int, start: int = 0, length: int | None = None, *, degraded: bool = False) -> np.ndarray:
        """Reads a stretch of one clip.

        Args:
            index: position of the clip in ``entries``.
            start: first sample to read [samples from the clip's beginning].
            length: how much to read [samples]; None reads to the clip's end.
            degraded: read the degraded recording that belongs to the clip, where it has one. It is scaled by the factor
                of the clean clip, so that the level between the two is kept.

        Returns:
            float32 [length], padded with zeros where the clip ends earlier.
        """
        entry = self.entries[index]
        wanted = entry.frames - start if length is None else length
        have = max(0, min(wanted, entry.frames - start))
        # Offsets count samples from the beginning of the pack; the clip's own and its partner's are separate.
        first, shift = entry.offset + start, entry.shift
        if degraded and entry.partner is not None:
            first, shift = entry.partner + start, entry.partner_shift
        samples = decode(self._packs[entry.pack][first : first + have], shift)
        if self.normalise is not None and entry.peak > 0:
            samples *= self.normalise / entry.peak
        return samples if have == wanted else np.pad(samples, (0, wanted - have))

    def signal(self, index: int, name: str, start: int, frames: int) -> np.ndarray:
        """Reads a stretch of a conditioning signal that was packed with a clip.

        Args:
            index: position of the clip in ``entries``.
            name: of the signal.
            start: first frame.
            frames: how many; those behind the signal's end repeat its last one.

        Returns:
            float32 [C, frames]; a constant signal is repeated for each frame.

        Raises:
            DataError: if the clip has no such signal.
        """
        entry = self.entries[index]
        place = entry.signals.get(name)
        if place is None:
            there = ", ".join(sorted(entry.signals)) or "none"
            raise DataError(
                f"{self.folder}: {entry.id} was packed without the signal {name}, with {there}; prepare again"
            )
        channels, length = place["channels"], place["frames"]
        first = 0 if place["constant"] else min(start, length - 1)
        last = max(first + 1, min(first + frames, length))
        values = self._packs[place["pack"]][place["offset"] + first * channels : place["offset"] + last * channels]
        return signal_files.aligned(np.array(values, np.float32).reshape(last - first, channels).T, 0, frames)

    def originals(self) -> Packed:
        """The same split without the variants that augmentations made: only clips that the corpus itself lists."""
        variant = manifest.sequence(self.entries).column("variant")
        return self._only(np.flatnonzero(variant == 0)) if variant.any() else self

    def without(self, ids: Collection[str]) -> Packed:
        """The same split without the clips of the given ids; the original object is not changed.

        Raises:
            DataError: if no clip is left.
        """
        names = manifest.sequence(self.entries).texts("id")
        return self._only(np.array([number for number, name in enumerate(names) if name not in ids], np.int64))

    def _only(self, places: np.ndarray) -> Packed:
        rest = copy(self)
        rest.entries = manifest.sequence(self.entries).at(places)
        if not rest.entries:
            raise DataError(f"{self.folder}: no clip of the {self.split} split is left; prepare more data")
        return rest

    def _check_sizes(self) -> None:
        for name, (end, of_signals) in manifest.sequence(self.entries).pack_ends().items():
            size = end * (SIGNAL_BYTES if of_signals else bytes_of(suffix_of(name)))
            path = self.folder / name
            found = path.stat().st_size if path.is_file() else 0
            if found < size:
                raise DataError(
                    f"{path}: expected at least {size} bytes, got {found}; run the prepare stage with --force"
                )


def _map_locally(table: Listed | Lines, cache: PackCache) -> None:
    """Maps the index from a copy in the cache, if it is sound."""
    if not isinstance(table, Lines) or table.index is None or table.index.parent == cache.folder:
        return
    copy = cache.local(table.index)
    with contextlib.suppress(OSError):
        if copy is not None and file_hash(copy).startswith(table.index.stem.rpartition("-")[2]):
            table.map_from(copy)
