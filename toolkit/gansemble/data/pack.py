"""Packing a corpus: clips as one memory-mapped int16 array and a manifest. A crop is then a slice."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from gansemble.audio import files, levels
from gansemble.data.manifest import Clip, Entry
from gansemble.errors import DataError
from gansemble.recipe.sections import Data


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


def pack(
    sources: Sequence[Source], target: Path, sample_rate: int, policy: Data, jobs: int, progress: Any = None
) -> list[Entry]:
    """Writes every clip's samples into ``target`` and returns the manifest entries, in order.

    Raises:
        DataError: if a file cannot be read, or changed between its examination and now.
    """
    total = sum(source.frames * (2 if source.partner else 1) for source in sources)
    _reserve(target, total * 2)
    arguments = [(source, target, sample_rate, policy) for source in sources]
    if jobs <= 1:
        return [_noted(_pack_one(*argument), progress) for argument in arguments]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_pack_one, *argument) for argument in arguments]
        return [_noted(future.result(), progress) for future in futures]


def _noted(entry: Entry, progress: Any) -> Entry:
    if progress is not None:
        progress(1)
    return entry


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


def _pack_one(source: Source, target: Path, sample_rate: int, policy: Data) -> Entry:
    samples = _samples(source.path, source.frames, sample_rate, policy)
    pack_file = np.memmap(target, np.int16, "r+", offset=0)
    pack_file[source.offset : source.offset + source.frames] = samples
    behind = source.offset + source.frames
    if source.partner is not None:
        pack_file[behind : behind + source.frames] = _samples(source.partner, source.frames, sample_rate, policy)
    pack_file.flush()
    return Entry(
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
        pack=target.name,
        partner=behind if source.partner is not None else None,
    )


def _samples(path: Path, frames: int, sample_rate: int, policy: Data) -> np.ndarray:
    """int16 [frames] of a file, mono, resampled, with zeros behind it."""
    audio, rate = files.read(path)
    if audio.shape[0] > 1:
        audio = audio.mean(axis=0, keepdims=True) if policy.channels == "mix" else audio[:1]
    mono = files.resample(audio, rate, sample_rate)[0]
    if len(mono) > frames:
        raise DataError(f"{path}: changed while it was being packed; run the prepare stage again")
    samples = np.zeros(frames, np.int16)
    samples[: len(mono)] = levels.to_int16(mono)
    return samples
