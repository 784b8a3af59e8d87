"""Packing a corpus: clips as one memory-mapped int16 array and a manifest. A crop is then a slice.

A pack is written under a name of its writer's own, and gets its final name, which is a hash of what is in it, when it is
whole. The manifest comes last, in one step; so nobody ever reads a manifest and a pack that do not go together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from gansemble.audio import files, levels
from gansemble.data.manifest import SAMPLES, Clip, Entry
from gansemble.data.workers import end_with_parent
from gansemble.errors import DataError
from gansemble.files import sha256, sync
from gansemble.recipe.sections import Data
from gansemble.stages.corpus_files import demand_unchanged


@dataclasses.dataclass(frozen=True)
class Source:
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
class Packed:
    """A pack that was written: its entries, in order, and the hash of every source file that was read, by its path."""

    entries: list[Entry]
    hashes: dict[str, str]


def packed_frames(frames: int, rate: int, to_rate: int) -> int:
    """How long a file is after resampling [samples]; torchaudio rounds up."""
    return -(-frames * to_rate // rate)


def plan(clips: Sequence[Clip], facts: dict[str, Any], folder: Path, sample_rate: int, shortest: int) -> list[Source]:
    """Where each clip goes. Clips shorter than ``shortest`` [samples] are zero-padded to it."""
    sources, offset = [], 0
    for clip in clips:
        fact = facts[clip.id]
        frames = max(shortest, packed_frames(fact.frames, fact.sample_rate, sample_rate))
        partner = folder / clip.partner if clip.partner else None
        sources.append(Source(clip, folder / clip.path, fact.sample_rate, fact.channels, frames, offset, partner))
        offset += frames * (2 if partner else 1)
    return sources


def pack(sources: Sequence[Source], folder: Path, sample_rate: int, policy: Data, jobs: int) -> Packed:
    """Writes every clip's samples into a pack in ``folder``, and returns its entries.

    Raises:
        DataError: if a file cannot be read, or changed between its examination and now.
    """
    part = folder / f".audio.{socket.gethostname()}.{os.getpid()}.part"
    total = sum(source.frames * (2 if source.partner else 1) for source in sources)
    _reserve(part, total * 2)
    try:
        arguments = [(source, part, sample_rate, policy) for source in sources]
        if jobs <= 1:
            made = [_pack_one(*argument) for argument in arguments]
        else:
            with ProcessPoolExecutor(
                jobs, mp_context=get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
            ) as pool:
                chunk = max(1, min(64, len(arguments) // (8 * jobs)))
                made = list(pool.map(_pack_one, *zip(*arguments, strict=True), chunksize=chunk))
        sync(part)
        name = _name([entry for entry, _ in made])
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
    hashes = {path: digest for _, found in made for path, digest in found.items()}
    return Packed([dataclasses.replace(entry, pack=name) for entry, _ in made], hashes)


def _name(entries: Sequence[Entry]) -> str:
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


def _pack_one(source: Source, target: Path, sample_rate: int, policy: Data) -> tuple[Entry, dict[str, str]]:
    """Writes one clip; returns its entry and the hashes of its source files."""
    samples, digest = _samples(source.path, source.frames, sample_rate, policy)
    hashes = {source.clip.path: digest}
    pack_file = np.memmap(target, SAMPLES, "r+", offset=0)
    pack_file[source.offset : source.offset + source.frames] = samples
    behind, partner_sha256 = source.offset + source.frames, None
    if source.partner is not None:
        partner, hashes[str(source.clip.partner)] = _samples(source.partner, source.frames, sample_rate, policy)
        pack_file[behind : behind + source.frames] = partner
        partner_sha256 = hashlib.sha256(partner.tobytes()).hexdigest()
    entry = Entry(
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
    return entry, hashes


def _samples(path: Path, frames: int, sample_rate: int, policy: Data) -> tuple[np.ndarray, str]:
    """(little-endian int16 [frames] of a file, mono, resampled, with zeros behind it; the file's hash)."""
    before = path.stat()
    audio, rate = files.read(path)
    digest = sha256(path)
    demand_unchanged(path, before)
    if audio.shape[0] > 1:
        audio = audio.mean(axis=0, keepdims=True) if policy.channels == "mix" else audio[:1]
    mono = files.resample(audio, rate, sample_rate)[0]
    if len(mono) > frames:
        raise DataError(f"{path}: changed while it was being packed; run the prepare stage again")
    samples = np.zeros(frames, SAMPLES)
    samples[: len(mono)] = levels.to_int16(mono)
    return samples, digest
