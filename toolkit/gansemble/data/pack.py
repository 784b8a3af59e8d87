"""Packing a corpus: clips as one memory-mapped int16 array and a manifest. A crop is then a slice.

A pack is written under a name of its writer's own, and gets its final name, which is a hash of what is in it, when it is
whole. The manifest comes last, in one step; so nobody ever reads a manifest and a pack that do not go together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
import socket
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from io import FileIO
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gansemble.audio import files, levels
from gansemble.data import augmented
from gansemble.data.augmented import Augmentations, Chosen, Tally, Variant
from gansemble.data.facts import Facts
from gansemble.data.manifest import SAMPLES, VARIANT, Clip, ManifestEntry
from gansemble.data.workers import end_with_parent
from gansemble.errors import DataError
from gansemble.files import sha256, sync
from gansemble.recipe.sections import Data
from gansemble.stages.corpus_files import demand_unchanged

if TYPE_CHECKING:
    from gansemble.interfaces import Augmentation


@dataclasses.dataclass(frozen=True)
class ClipSource:
    """A clip to pack: where it is, what the doctor read in its header, where its samples go; the degraded recording of
    it goes right behind."""

    clip: Clip
    path: Path
    source_rate: int
    channels: int
    frames: int
    offset: int
    partner: Path | None = None


@dataclasses.dataclass(frozen=True)
class PackedCorpus:
    """A pack that was written: its entries, in order, the hash of every source file that was read, by its path, and what
    augmentations made."""

    entries: list[ManifestEntry]
    hashes: dict[str, str]
    tally: Tally = dataclasses.field(default_factory=Tally)


@dataclasses.dataclass(frozen=True)
class _Written:
    """A clip that a process wrote: its entry, the hashes of its source files, and variants that are not written yet."""

    entry: ManifestEntry
    hashes: dict[str, str]
    variants: list[Variant]


def packed_frames(frames: int, rate: int, to_rate: int) -> int:
    """How long a file is after resampling [samples]; torchaudio rounds up."""
    return -(-frames * to_rate // rate)


def plan(
    clips: Sequence[Clip], facts: Mapping[str, Facts], folder: Path, sample_rate: int, shortest: int
) -> list[ClipSource]:
    """Where each clip goes. Clips shorter than ``shortest`` [samples] are zero-padded to it."""
    sources, offset = [], 0
    for clip in clips:
        fact = facts[clip.id]
        frames = max(shortest, packed_frames(fact.frames, fact.sample_rate, sample_rate))
        partner = folder / clip.partner if clip.partner else None
        sources.append(ClipSource(clip, folder / clip.path, fact.sample_rate, fact.channels, frames, offset, partner))
        offset += frames * (2 if partner else 1)
    return sources


def pack(
    sources: Sequence[ClipSource],
    folder: Path,
    sample_rate: int,
    policy: Data,
    jobs: int,
    augmentations: Augmentations = Augmentations(),  # noqa: B008
) -> PackedCorpus:
    """Writes every clip's samples into a pack in ``folder``, and behind all clips the variants of training clips, and
    returns the entries: each clip's with those of its variants behind it.

    Raises:
        DataError: if a file cannot be read, or changed between its examination and now; or if an augmentation fails.
    """
    part = folder / f".audio.{socket.gethostname()}.{os.getpid()}.part"
    total = sum(source.frames * (2 if source.partner else 1) for source in sources)
    _reserve(part, total * 2)
    tally, entries, hashes = Tally(), list[ManifestEntry](), dict[str, str]()
    try:
        written = _written(sources, part, sample_rate, policy, jobs, augmentations)
        # Unbuffered, as other processes write into the file meanwhile, before where this one does.
        with contextlib.closing(written) as made, part.open("r+b", 0) as stream:
            stream.seek(total * 2)
            for each in made:
                entries.append(each.entry)
                hashes |= each.hashes
                for variant in each.variants:
                    tally.add(f"{each.entry.id}{VARIANT}{variant.name}", variant)
                    if variant.samples is not None:
                        entries.append(_append(stream, each.entry, variant, total))
                        total += each.entry.frames
        if tally.unfinished and policy.broken == "error":
            raise augmented.refused(tally.unfinished)
        augmented.demand_distinct(entries)
        sync(part)
        name = _name(entries)
        part.replace(folder / name)
        sync(folder)
    except BrokenProcessPool as error:
        part.unlink(missing_ok=True)
        raise DataError(
            f"a process packing the corpus was killed (memory?); run again with fewer --jobs: {error}"
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return PackedCorpus([dataclasses.replace(entry, pack=name) for entry in entries], hashes, tally)


def _written(
    sources: Sequence[ClipSource], part: Path, sample_rate: int, policy: Data, jobs: int, augmentations: Augmentations
) -> Generator[_Written, None, None]:
    """Writes the clips, in ``jobs`` processes, and gives what was written in the clips' order."""
    if jobs <= 1:
        for source in sources:
            yield _pack_one(source, part, sample_rate, policy, augmentations.parts)
        return
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(), augmentations.chosen)
    ) as pool:
        chunk = max(1, min(64, len(sources) // (8 * jobs)))
        same = [itertools.repeat(each) for each in (part, sample_rate, policy)]
        yield from pool.map(_pack_one, sources, *same, chunksize=chunk)


#: The augmentations of a packing process.
_parts: dict[str, Augmentation] = {}


def _begin(parent: int, chosen: Mapping[str, Chosen]) -> None:
    """What a packing process does first."""
    end_with_parent(parent)
    _parts.update(augmented.build(chosen))


def _append(stream: FileIO, of: ManifestEntry, variant: Variant, offset: int) -> ManifestEntry:
    """Writes a variant at the pack's end, and returns its entry."""
    assert variant.samples is not None
    data = memoryview(variant.samples.astype(SAMPLES, copy=False).tobytes())
    digest = hashlib.sha256(data).hexdigest()
    try:
        while data:
            data = data[stream.write(data) :]
    except OSError as error:
        raise DataError(
            f"{stream.name}: no room for the variants that augmentations make ({error.strerror}); free space or pass --dump"
        ) from error
    return dataclasses.replace(
        of,
        id=f"{of.id}{VARIANT}{variant.name}",
        offset=offset,
        peak=levels.peak(levels.from_int16(variant.samples)),
        sha256=digest,
        labels=augmented.labels(of),
    )


def _name(entries: Sequence[ManifestEntry]) -> str:
    """Of a pack: a hash of where which samples lie in it."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.offset} {entry.frames} {entry.sha256} {entry.partner_sha256}\n".encode())
    return f"audio-{digest.hexdigest()[:16]}.i16"


def _reserve(target: Path, size: int) -> None:
    """Makes the file at its full size, so that a full disk shows now and not in the middle."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream:
        try:
            if size:
                os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise DataError(
                f"{target}: no room for {size / 1e9:.2f} GB of packed audio ({error.strerror}); free space or pass --dump"
            ) from error


def _pack_one(
    source: ClipSource, target: Path, sample_rate: int, policy: Data, parts: Mapping[str, Augmentation] | None = None
) -> _Written:
    """Writes one clip, and makes its variants."""
    mono, digest = _mono(source.path, source.frames, sample_rate, policy)
    samples = _as_samples(mono)
    hashes = {source.clip.path: digest}
    # Of this clip alone: the file's end moves as variants are written behind all clips.
    size = source.frames * (2 if source.partner is not None else 1)
    place = np.memmap(target, SAMPLES, "r+", offset=2 * source.offset, shape=(size,))
    place[: source.frames] = samples
    behind, partner_sha256 = source.offset + source.frames, None
    if source.partner is not None:
        theirs, hashes[str(source.clip.partner)] = _mono(source.partner, source.frames, sample_rate, policy)
        partner = _as_samples(theirs)
        place[source.frames :] = partner
        partner_sha256 = hashlib.sha256(partner.tobytes()).hexdigest()
    entry = ManifestEntry(
        id=source.clip.id,
        path=source.clip.path,
        split=source.clip.split,
        sample_rate=sample_rate,
        frames=source.frames,
        channels=source.channels,
        source_rate=source.source_rate,
        offset=source.offset,
        peak=levels.peak(levels.from_int16(samples)),
        sha256=hashlib.sha256(samples.tobytes()).hexdigest(),
        labels=dict(source.clip.labels),
        partner=behind if source.partner is not None else None,
        partner_sha256=partner_sha256,
    )
    parts = _parts if parts is None else parts
    if not parts or source.clip.split != "train":
        return _Written(entry, hashes, [])
    return _Written(entry, hashes, augmented.variants(parts, entry.id, np.clip(mono, -1, 1), sample_rate))


def _mono(path: Path, frames: int, sample_rate: int, policy: Data) -> tuple[np.ndarray, str]:
    """(float32 [frames] of a file, mono, resampled, with zeros behind it; the file's hash)."""
    before = path.stat()
    audio, rate = files.read(path)
    digest = sha256(path)
    demand_unchanged(path, before)
    if audio.shape[0] > 1:
        audio = audio.mean(axis=0, keepdims=True) if policy.channels == "mix" else audio[:1]
    mono = files.resample(audio, rate, sample_rate)[0]
    if len(mono) > frames:
        raise DataError(f"{path}: changed while it was being packed; run the prepare stage again")
    return np.pad(mono, (0, frames - len(mono))).astype(np.float32, copy=False), digest


def _as_samples(mono: np.ndarray) -> np.ndarray:
    """As little-endian int16."""
    return levels.to_int16(mono).astype(SAMPLES, copy=False)
