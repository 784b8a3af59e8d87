"""Packing a corpus: all clips one after the other in one file, the pack, of which a crop is a slice.

While it is written, a pack has a temporary name with the host and process number of its writer. When it is complete it
is renamed to its final name, which contains a hash of its content. The manifest that refers to the pack is written
last, in one atomic step, so that a reader never sees a manifest whose pack is missing or incomplete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
import shutil
import socket
from collections.abc import Generator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gansemble.audio import files, levels
from gansemble.audio.reader import AudioReader
from gansemble.data import augmented
from gansemble.data.augmented import Augmentations, Chosen, Tally, Variant
from gansemble.data.doctor import examine_samples
from gansemble.data.facts import Facts
from gansemble.data.manifest import VARIANT, Clip, ManifestEntry
from gansemble.data.stored import DTYPES, Stored, bytes_of, encode
from gansemble.data.workers import end_with_parent, workers
from gansemble.errors import DataError
from gansemble.files import sha256, sync
from gansemble.recipe.sections import Data
from gansemble.stages.corpus_files import demand_unchanged

if TYPE_CHECKING:
    from gansemble.interfaces import Augmentation


@dataclasses.dataclass(frozen=True)
class ClipSource:
    """A clip that is to be packed, with its place in the pack.

    Args:
        clip: the clip as the corpus lists it.
        path: its audio file.
        source_rate: sample rate of the file [Hz].
        channels: number of channels of the file.
        decoded: length of the file [samples].
        frames: length in the pack, after resampling and padding [samples].
        offset: where the clip begins in the pack [samples].
        partner: file of its degraded recording, which is packed directly behind the clip; None where there is none.
        number: of the pack, where a corpus is packed in several.
    """

    clip: Clip
    path: Path
    source_rate: int
    channels: int
    decoded: int
    frames: int
    offset: int
    partner: Path | None = None
    number: int = 0


@dataclasses.dataclass(frozen=True)
class PackedCorpus:
    """The result of packing.

    Args:
        entries: manifest entries in the order of the clips, each followed by those of its variants.
        hashes: SHA-256 of every source file that was read, by its path relative to the corpus folder.
        tally: counts of the variants that augmentations made.
        measured: of clips that were mixed down or resampled, measurements of what is stored.
    """

    entries: list[ManifestEntry]
    hashes: dict[str, str]
    tally: Tally = dataclasses.field(default_factory=Tally)
    measured: list[Facts] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Written:
    """What a worker process returns for one clip.

    The clip's samples are in the pack already. The variants are returned, since only the main process appends them.
    """

    entry: ManifestEntry
    hashes: dict[str, str]
    variants: list[Variant]
    measured: Facts | None = None


def packed_frames(frames: int, rate: int, to_rate: int) -> int:
    """Length of a file after resampling [samples].

    Args:
        frames: length before [samples].
        rate: sample rate before [Hz].
        to_rate: sample rate afterwards [Hz].
    """
    # torchaudio gives ceil(frames * to_rate / rate) samples; -(-a // b) is that ceiling in exact integers.
    return -(-frames * to_rate // rate)


def samples_of(policy: Data, suffix: str) -> int | None:
    """How many samples a pack of this suffix is to hold, by ``data.pack_gigabytes``; None for any number."""
    return None if policy.pack_gigabytes is None else int(policy.pack_gigabytes * 1e9) // bytes_of(suffix)


def plan(
    clips: Sequence[Clip],
    facts: Mapping[str, Facts],
    folder: Path,
    sample_rate: int,
    shortest: int,
    most: int | None = None,
) -> list[ClipSource]:
    """Decides where each clip lies in the pack, before any audio is decoded.

    Args:
        clips: what the corpus lists, in the order in which they are packed.
        facts: what the doctor found in each clip's file, by the clip's id.
        folder: the corpus folder, to which the clips' paths are relative.
        sample_rate: rate of the packed audio [Hz].
        shortest: clips below this length are padded with zeros to it [samples].
        most: a pack holds no more than this, unless a single clip does [samples]; None is one pack.

    Returns:
        One source for each clip, without gaps between those of a pack.
    """
    sources, offset, number = [], 0, 0
    for clip in clips:
        fact = facts[clip.id]
        frames = max(shortest, packed_frames(fact.frames, fact.sample_rate, sample_rate))
        partner = folder / clip.partner if clip.partner else None
        # A degraded recording takes as much room again, directly behind its clip.
        room = frames * (2 if partner else 1)
        if most is not None and offset and offset + room > most:
            number, offset = number + 1, 0
        of_file = (fact.sample_rate, fact.channels, fact.frames)
        sources.append(ClipSource(clip, folder / clip.path, *of_file, frames, offset, partner, number))
        offset += room
    return sources


def pack(
    sources: Sequence[ClipSource],
    folder: Path,
    sample_rate: int,
    policy: Data,
    jobs: int,
    augmentations: Augmentations = Augmentations(),  # noqa: B008
    suffix: str = ".i16",
) -> PackedCorpus:
    """Decodes, mixes down and resamples every clip and writes it into its pack file, one pack after the other.

    In a pack the clips come first, in the order of ``sources``; the variants that augmentations make of its training clips follow
    behind all of them, since their number is not known beforehand.

    Args:
        sources: the clips with their places; see :func:`plan`.
        folder: where the pack is written.
        sample_rate: rate of the packed audio [Hz].
        policy: the recipe's ``data`` section, which says how channels are mixed down and whether broken variants are
            dropped.
        jobs: number of worker processes; 1 packs in this process.
        augmentations: the recipe's.
        suffix: of the pack, which says how samples are stored; see :mod:`gansemble.data.stored`.

    Raises:
        DataError: if a file cannot be read, changes while it is read, or is not as long as when it was examined; if an
            augmentation fails, or makes what must not be packed; if the disk is full; or if a worker was killed, or could
            not begin.
    """
    groups = [list(group) for _, group in itertools.groupby(sources, key=lambda source: source.number)] or [[]]
    if len(groups) > 1:
        _demand_room(folder, sum(map(_room, sources)) * bytes_of(suffix))
    found = PackedCorpus([], {})
    for group in groups:
        packed = _pack(group, folder, sample_rate, policy, jobs, augmentations, suffix, found.tally)
        entries = found.entries + packed.entries
        found = PackedCorpus(entries, found.hashes | packed.hashes, found.tally, found.measured + packed.measured)
    augmented.demand_distinct(found.entries)
    return found


def _room(source: ClipSource) -> int:
    """What a clip takes of its pack [samples]."""
    return source.frames * (2 if source.partner else 1)


def _demand_room(folder: Path, size: int) -> None:
    """Notices before anything is decoded that several packs will not fit; one reserves its room itself."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DataError(
            f"{folder}: no room for {size / 1e9:.2f} GB of packed audio ({free / 1e9:.2f} GB are free); free space or pass --dump"
        )


def _pack(
    sources: Sequence[ClipSource],
    folder: Path,
    sample_rate: int,
    policy: Data,
    jobs: int,
    augmentations: Augmentations,
    suffix: str,
    tally: Tally,
) -> PackedCorpus:
    """Writes one pack; see :func:`pack`. What became of variants is added to ``tally``."""
    part = folder / f".audio.{socket.gethostname()}.{os.getpid()}.part"
    # Samples of all clips and degraded recordings; variants are appended behind, so that this is where the first goes.
    total = sum(map(_room, sources))
    size = bytes_of(suffix)
    _reserve(part, total * size)
    entries, hashes, measured = list[ManifestEntry](), dict[str, str](), list[Facts]()
    try:
        written = _written(sources, part, sample_rate, policy, jobs, augmentations, suffix)
        # Unbuffered, as other processes write into the file meanwhile, before where this one does.
        with contextlib.closing(written) as made, part.open("r+b", 0) as stream:
            stream.seek(total * size)
            for each in made:
                entries.append(each.entry)
                hashes |= each.hashes
                measured += [each.measured] if each.measured is not None else []
                for variant in each.variants:
                    tally.add(f"{each.entry.id}{VARIANT}{variant.name}", variant)
                    if variant.samples is not None:
                        entries.append(_append(stream, each.entry, variant, total, suffix))
                        total += each.entry.frames
        if tally.unfinished and policy.broken == "error":
            raise augmented.refused(tally.unfinished)
        augmented.demand_distinct(entries)
        sync(part)
        name = _name(entries, suffix)
        part.replace(folder / name)
        sync(folder)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return PackedCorpus([dataclasses.replace(entry, pack=name) for entry in entries], hashes, tally, measured)


def _written(
    sources: Sequence[ClipSource],
    part: Path,
    sample_rate: int,
    policy: Data,
    jobs: int,
    augmentations: Augmentations,
    suffix: str,
) -> Generator[_Written, None, None]:
    """Writes the clips in ``jobs`` processes and yields the results in the clips' order, as they become available."""
    if jobs <= 1:
        for source in sources:
            yield _pack_one(source, part, sample_rate, policy, suffix, augmentations.parts)
        return
    advice = "memory?); run again with fewer --jobs"
    with workers(jobs, "packing the corpus", advice, _begin, os.getpid(), augmentations.chosen) as pool:
        # About eight portions for each process keep all of them busy to the end; 64 bounds what waits to be yielded.
        chunk = max(1, min(64, len(sources) // (8 * jobs)))
        same = [itertools.repeat(each) for each in (part, sample_rate, policy, suffix)]
        yield from pool.map(_pack_one, sources, *same, chunksize=chunk)


#: The augmentations by name, in a worker process; filled by :func:`_begin`.
_parts: dict[str, Augmentation] = {}


def _begin(parent: int, chosen: Mapping[str, Chosen]) -> None:
    """Initialises a worker process: it ends with its parent, and builds the augmentations that it will apply."""
    end_with_parent(parent)
    _parts.update(augmented.build(chosen))


def _append(stream: FileIO, of: ManifestEntry, variant: Variant, offset: int, suffix: str) -> ManifestEntry:
    """Appends a variant's samples to the pack and returns its manifest entry, derived from that of its clip ``of``."""
    assert variant.samples is not None
    # Within full scale, and in plain 16 bits: so are most clips, and a variant that equals one is found by its bytes.
    stored = Stored(levels.to_int16(variant.samples), 0) if suffix == ".i16" else encode(variant.samples, suffix)
    data = memoryview(stored.data.tobytes())
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
        peak=stored.peak,
        shift=stored.shift,
        sha256=digest,
        labels=augmented.labels(of),
    )


def _name(entries: Sequence[ManifestEntry], suffix: str) -> str:
    """File name of a pack: a hash over the place, length and content of each clip; equal packs have one name."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(f"{entry.offset} {entry.frames} {entry.sha256} {entry.partner_sha256}\n".encode())
    return f"audio-{digest.hexdigest()[:16]}{suffix}"


def _reserve(target: Path, size: int) -> None:
    """Creates the file with ``size`` bytes allocated, so that a full disk is noticed now and not during packing."""
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
    source: ClipSource,
    target: Path,
    sample_rate: int,
    policy: Data,
    suffix: str,
    parts: Mapping[str, Augmentation] | None = None,
) -> _Written:
    """Writes one clip, and its degraded recording where it has one, to their places; makes the clip's variants.

    ``parts`` are the augmentations; None takes those that :func:`_begin` built in this worker process.
    """
    mono, digest, changed = _mono(source.path, source, sample_rate, policy)
    stored = encode(mono, suffix)
    hashes = {source.clip.path: digest}
    # Maps the place of this clip only, as the file grows meanwhile: the main process appends variants to it.
    size = _room(source)
    offset = bytes_of(suffix) * source.offset
    place = np.memmap(target, DTYPES[suffix], "r+", offset=offset, shape=(size,))
    place[: source.frames] = stored.data
    behind, partner = source.offset + source.frames, None
    if source.partner is not None:
        theirs, hashes[str(source.clip.partner)], _ = _mono(source.partner, source, sample_rate, policy)
        partner = encode(theirs, suffix)
        place[source.frames :] = partner.data
    entry = ManifestEntry(
        id=source.clip.id,
        path=source.clip.path,
        split=source.clip.split,
        sample_rate=sample_rate,
        frames=source.frames,
        channels=source.channels,
        source_rate=source.source_rate,
        offset=source.offset,
        peak=stored.peak,
        sha256=hashlib.sha256(stored.data.tobytes()).hexdigest(),
        labels=dict(source.clip.labels),
        partner=behind if partner is not None else None,
        partner_sha256=hashlib.sha256(partner.data.tobytes()).hexdigest() if partner is not None else None,
        shift=stored.shift,
        partner_shift=partner.shift if partner is not None else 0,
    )
    measured = examine_samples(Facts(entry.id), stored.audio[None], sample_rate) if changed else None
    parts = _parts if parts is None else parts
    if not parts or source.clip.split != "train":
        return _Written(entry, hashes, [], measured)
    return _Written(entry, hashes, augmented.variants(parts, entry.id, mono, sample_rate), measured)


def _mono(path: Path, source: ClipSource, sample_rate: int, policy: Data) -> tuple[np.ndarray, str, bool]:
    """(float32 [frames] of a file: mixed down, resampled, and padded with zeros to the length of its clip in the pack;
    SHA-256 of the file; whether it was mixed or resampled)."""
    before = path.stat()
    with AudioReader(path) as reader:
        audio, rate = reader.read(), reader.sample_rate
    digest = sha256(path)
    demand_unchanged(path, before)
    channels, decoded = audio.shape
    if (rate, channels, decoded) != (source.source_rate, source.channels, source.decoded) and path == source.path:
        raise DataError(f"{path}: changed while it was being packed; run the prepare stage again")
    if channels > 1:
        audio = audio.mean(axis=0, keepdims=True) if policy.channels == "mix" else audio[:1]
    mono = files.resample(audio, rate, sample_rate)[0]
    if len(mono) > source.frames or (
        path != source.path and len(mono) < packed_frames(source.decoded, source.source_rate, sample_rate)
    ):
        raise DataError(f"{path}: changed while it was being packed; run the prepare stage again")
    mono = np.pad(mono, (0, source.frames - len(mono))).astype(np.float32, copy=False)
    return mono, digest, channels > 1 or rate != sample_rate
