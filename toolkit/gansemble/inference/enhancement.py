"""Restores audio files block by block, in their own format and with the tags that libsndfile knows."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from gansemble.audio import files, tags
from gansemble.audio.reader import ADVICE, AudioReader
from gansemble.data import doctor
from gansemble.data.facts import Facts
from gansemble.errors import DataError
from gansemble.files import staged_file
from gansemble.inference.keep_below import KeepBelow
from gansemble.inference.streaming import ChunkedStream, enhancement_stream
from gansemble.inference.trained import TrainedGenerator
from gansemble.parts.build import Waveform

#: Samples read at a time.
BLOCK = 1 << 16


@dataclass(frozen=True)
class EnhancedFile:
    """What was done to one file.

    Args:
        target: the file written.
        seconds: length of its audio [s].
        took: time it took [s].
        clipped: samples beyond full scale that an integer format cut off.
        bandwidth: where the spectrum of the input, and of the output, ends abruptly [Hz]; half the rate where it does
            not.
        note: what was done besides, such as resampling.
        left_out: names of the recording's tags that the result has not, as far as they are known.
    """

    target: Path
    seconds: float
    took: float
    clipped: int
    bandwidth: tuple[float, float]
    note: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnhanceOptions:
    """How files are restored.

    Args:
        core: samples made at a time.
        resample: convert files of another sample rate to the generator's; otherwise they are refused.
        sample_format: of the output, which is WAV then; None keeps the input's format and sample format.
        keep_below: below this frequency [Hz] the recording stays as it is; None leaves all to the generator.
    """

    core: int
    resample: bool = False
    sample_format: files.SampleFormat | None = None
    keep_below: float | None = None


def target_of(source: Path, output: Path, name: str, sample_format: str | None) -> Path:
    """The path of a file's restored version.

    Args:
        source: the recording.
        output: folder for restored files.
        name: of the restored file, without suffix.
        sample_format: that is wanted, which makes it a WAV file; None keeps the suffix of the recording.
    """
    return output / f"{name}{source.suffix if sample_format is None else '.wav'}"


def enhance(
    loaded: TrainedGenerator,
    source: Path,
    target: Path,
    wanted: EnhanceOptions,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = True,
    complete: Callable[[Path], None] | None = None,
) -> EnhancedFile:
    """Restores one audio file.

    Channels are restored each by itself. The memory needed does not grow with the length of the file, unless the
    generator has no bounded context. The target appears under its name only when it is complete.

    Args:
        loaded: a generator of the enhancement task.
        source: the recording.
        target: the file to write.
        wanted: how it is restored.
        progress: called with (samples made, samples in all).
        overwrite: replace a file that is there.
        complete: called with the temporary file that holds the whole result, before it gets its name.

    Raises:
        DataError: if the file cannot be read, is of another rate and ``resample`` is off, the generator makes NaN or
            Inf of it, or it cannot be written.
        ValueError: if the frequency of ``keep_below`` is not possible at the sample rate.
    """
    if target.is_dir():
        raise DataError(f"{target}: is a folder, and {source} would be written there; take it away")
    rate = loaded.spec.sample_rate
    fact = _examined(source, rate, wanted.resample)
    total = -(-fact.frames * rate // fact.sample_rate)  # rounded up, so that no part of the input is lost
    begun = time.monotonic()
    try:
        with (
            staged_file(target, overwrite, complete) as temporary,
            AudioReader(source) as reader,
            _writer(temporary, reader.sound, rate, wanted) as out,
        ):
            reader.warn()
            lost = _copy_tags(reader.sound, out)
            pieces = _stream(loaded, wanted).pieces(_blocks(reader, rate, total))
            made, clipped = _written(out, pieces, source, total, progress)
    except FileExistsError as error:
        raise DataError(f"{target}: is there by now, made by another; it was left as it is") from error
    except (soundfile.LibsndfileError, OSError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
        raise DataError(f"{target}: cannot be written ({reason}); is the disk full?") from error
    after = doctor.examine_file(target, target.stem)
    note = f"resampled from {fact.sample_rate} Hz" if fact.sample_rate != rate else ""
    return EnhancedFile(
        target,
        made / rate,
        time.monotonic() - begun,
        clipped,
        (fact.bandwidth_hz, after.bandwidth_hz),
        note,
        (*lost, *tags.left_out(source)),
    )


def _examined(source: Path, rate: int, resample: bool) -> Facts:
    """What is known of a recording that can be restored at a sample rate [Hz].

    Raises:
        DataError: if it cannot be read, or is of another rate and must not be resampled.
    """
    fact = doctor.examine_file(source, source.stem)
    if fact.error:
        raise DataError(f"{fact.message}; {ADVICE[fact.error]}")
    if fact.sample_rate != rate and not resample:
        raise DataError(
            f"{source}: is at {fact.sample_rate} Hz, the generator works at {rate} Hz; pass --resample to bring it to "
            f"{rate} Hz" + (f", which leaves out all above {rate // 2} Hz" if fact.sample_rate > rate else "")
        )
    return fact


def _stream(loaded: TrainedGenerator, wanted: EnhanceOptions) -> ChunkedStream:
    """A stream that restores audio in chunks; low frequencies are kept where that is wanted."""
    if wanted.keep_below is None:
        return enhancement_stream(loaded.generator, loaded.representation, wanted.core)
    kept = KeepBelow(loaded.generator, loaded.spec.sample_rate, wanted.keep_below, loaded.representation)
    return enhancement_stream(kept, Waveform(), wanted.core)


def _written(
    out: soundfile.SoundFile,
    pieces: Iterator[Tensor],
    source: Path,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[int, int]:
    """Writes pieces [C, T'] of audio, and returns (samples of each channel, samples that were clipped).

    Raises:
        DataError: naming ``source`` if a piece holds NaN or Inf.
    """
    made, clipped, whole_numbers = 0, 0, out.subtype not in ("FLOAT", "DOUBLE")
    for piece in pieces:
        audio = piece.numpy().T
        if not np.isfinite(audio).all():
            raise DataError(f"{source}: the generator made NaN or Inf of it, near {made / out.samplerate:.1f} s")
        if whole_numbers:
            clipped += int((np.abs(audio) > 1).sum())
            audio = np.clip(audio, -1, 1)
        _write(out, audio)
        made += len(audio)
        if progress is not None:
            progress(made, total)
    return made, clipped


def _write(out: soundfile.SoundFile, audio: np.ndarray) -> None:
    """Writes samples [T, C] in pieces, because libsndfile's Vorbis encoder crashes on a minute at once."""
    for first in range(0, len(audio), BLOCK):
        out.write(audio[first : first + BLOCK])


def _writer(path: Path, sound: soundfile.SoundFile, rate: int, wanted: EnhanceOptions) -> soundfile.SoundFile:
    """Opens the output: in the input's format, or as WAV of the sample format that is wanted.

    Raises:
        DataError: if that format cannot be written at this rate, with this number of channels.
    """
    if wanted.sample_format is not None:
        subtype, container = files.SUBTYPES[wanted.sample_format], "WAV"
    else:
        subtype, container = sound.subtype, sound.format
    try:
        return soundfile.SoundFile(os.fsencode(path), "w", rate, sound.channels, subtype, format=container)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise DataError(
            f"{sound.name}: its format {container} {subtype} cannot be written at {rate} Hz with {sound.channels} "
            f"channels ({error}); choose another with --format"
        ) from error


def _copy_tags(source: soundfile.SoundFile, target: soundfile.SoundFile) -> list[str]:
    """Copies the tags that libsndfile knows, and returns the names of those that the output's format refuses."""
    refused = []
    for name in tags.KNOWN:
        value = getattr(source, name, "")
        if value:
            try:
                setattr(target, name, value)
            except (soundfile.LibsndfileError, RuntimeError, AttributeError, UnicodeError):
                refused.append(name)
    return refused


def _blocks(reader: AudioReader, to_rate: int, total: int) -> Iterator[Tensor]:
    """Yields a file as consecutive blocks [C, T'] at ``to_rate`` [Hz], ``total`` samples in all.

    Raises:
        DataError: if the file can no longer be read.
    """
    channels = reader.channels
    resampler: Any = None
    if reader.sample_rate != to_rate:
        import soxr

        resampler = soxr.ResampleStream(reader.sample_rate, to_rate, channels, dtype="float32", quality="VHQ")
    given = 0
    for block in itertools.chain(reader.blocks(BLOCK), [np.zeros((0, channels), np.float32)]):
        if resampler is not None:
            block = resampler.resample_chunk(block, last=not len(block)).reshape(-1, channels)
        block = block[: total - given]
        given += len(block)
        if len(block):
            yield torch.from_numpy(np.ascontiguousarray(block.T))
    if given < total:  # a resampler may round down
        yield torch.zeros(channels, total - given)
