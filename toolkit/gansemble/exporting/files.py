"""Makes files with an exported generator: vocoding, restoring and generating. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from gansemble.audio import files
from gansemble.audio.reader import AudioReader
from gansemble.audio.spec import AudioSpec
from gansemble.data import mel_scale, signal_files
from gansemble.errors import DataError, GansembleError, MissingNeed, near
from gansemble.exporting.runner import Arrays, Runner, UnusableFile
from gansemble.files import staged_file

#: Samples of a file that are read at a time.
READ = 1 << 16
#: Frames of a spectrogram that are read at a time, and that its scale is judged by.
FRAMES = 4096


@dataclass(frozen=True)
class Wanted:
    """How files are made.

    Args:
        sample_format: of the WAV files.
        seconds: of audio that is made at a time [s].
        resample: convert files of another sample rate, instead of refusing them.
        label: of all that is made, for a generator that reads one.
        overwrite: replace a file that is there.
    """

    sample_format: files.SampleFormat
    seconds: float
    resample: bool
    label: int | None
    overwrite: bool


@dataclass(frozen=True)
class MadeFile:
    """What was made.

    Args:
        seconds: of audio [s].
        took: time that it took [s].
        clipped: samples beyond ±1, which were clipped.
    """

    seconds: float
    took: float
    clipped: int


def open_runner(path: Path) -> Runner:
    """The generator in an exported file.

    Raises:
        GansembleError: if the file cannot be used, or makes no audio.
    """
    try:
        runner = Runner(path)
    except UnusableFile as error:
        raise GansembleError(str(error)) from error
    if runner.facts["output"]["name"] != "audio":
        domain = runner.facts["output"].get("domain")
        raise GansembleError(f"{path}: makes items of {domain}, no audio; its experiment makes audio of them")
    return runner


def demand_runtime() -> None:
    """Demands ONNX Runtime.

    Raises:
        MissingNeed: if it is not installed, or does not load here.
    """
    try:
        import onnxruntime  # noqa: F401
    except (ImportError, OSError) as error:
        raise MissingNeed(f"--onnx needs the package onnxruntime ({error}); pip install onnxruntime") from error


def label_of(runner: Runner, path: Path, given: str | None) -> int | None:
    """The index of a class by its name, the index itself, or that of a pitch [MIDI number]; None for None.

    Args:
        runner: of the file.
        path: of the file, for messages.
        given: what the user wrote.

    Raises:
        GansembleError: if the generator reads no label and one is given, it reads one and none is, or there is none of that
            name.
    """
    facts = runner.facts
    if facts["labels"] is None:
        if given is not None:
            raise GansembleError(f"{path}: --label {given}: the generator reads no label; leave it out")
        return None
    names, first = facts["classes"], facts["first_pitch"] or 0
    if given is None:
        known = f"one of {', '.join(names)}" if names else f"a number from {first} to {first + facts['labels'] - 1}"
        raise GansembleError(f"{path}: the generator reads a label; give --label, {known}")
    if given in names:
        return names.index(given)
    if not given.isdecimal() or not 0 <= int(given) - first < facts["labels"]:
        known = f"classes: {', '.join(names)}" if names else f"expected {first} to {first + facts['labels'] - 1}"
        raise GansembleError(f"{path}: --label {given}: there is no such class{near(given, names)}; {known}")
    return int(given) - first


def make_file(
    runner: Runner,
    source: Path,
    target: Path,
    wanted: Wanted,
    signals: Mapping[str, Path],
    complete: Callable[[Path], None] | None = None,
) -> MadeFile:
    """Writes what a generator makes of an audio file, or of the ``.npy`` file of what it reads, in bounded memory.

    Args:
        runner: the generator.
        source: the input.
        target: WAV file to write; it appears under its name only when it is complete.
        wanted: how.
        signals: files of what it reads besides, by name.
        complete: called with the temporary file that holds the whole waveform, before it gets its name.

    Raises:
        DataError: if an input is not what the file's metadata describe, or what was made holds NaN or Inf.
    """
    begun = time.monotonic()
    main = runner.facts["main"]
    assert main is not None
    beside = {name: _signal(runner, name, path) for name, path in signals.items()}
    missing = set(runner.facts["inputs"]) - {main, "label"} - beside.keys()
    if missing or beside.keys() - runner.facts["inputs"].keys():
        raise DataError(
            f"{source}: the generator reads {', '.join(runner.facts['inputs'])}, given are {', '.join([main, *beside])}; "
            "give what it reads besides with --signal NAME=FILE"
        )
    with contextlib.closing(_main_blocks(runner, source, wanted.resample)) as blocks:
        pieces = runner.pieces(_beside(blocks, main, beside, runner, source), wanted.seconds, wanted.label)
        length, clipped = _written(runner, target, pieces, wanted, source, complete)
    return MadeFile(length / runner.audio["sample_rate"], time.monotonic() - begun, clipped)


def make_clip(
    runner: Runner, target: Path, wanted: Wanted, seed: int, index: int, complete: Callable[[Path], None]
) -> MadeFile:
    """Writes a clip of a generator that makes its own.

    Args:
        runner: the generator.
        target: WAV file to write.
        wanted: how.
        seed, index: that its latent vector depends on.
        complete: as in :func:`make_file`.

    Raises:
        DataError: if what was made holds NaN or Inf.
    """
    begun = time.monotonic()
    given: dict[str, np.ndarray] = {"latent": runner.latent(seed, index)} if runner.facts["latent"] else {}
    if wanted.label is not None:
        given["label"] = np.array([wanted.label])
    length, clipped = _written(runner, target, iter([runner(given)[0]]), wanted, target, complete)
    return MadeFile(length / runner.audio["sample_rate"], time.monotonic() - begun, clipped)


def _written(
    runner: Runner,
    target: Path,
    pieces: Iterator[np.ndarray],
    wanted: Wanted,
    source: Path,
    complete: Callable[[Path], None] | None,
) -> tuple[int, int]:
    """Writes pieces [C, T'], and returns (samples of each channel, samples that were clipped)."""
    rate, length, clipped = runner.audio["sample_rate"], 0, 0
    try:
        with staged_file(target, wanted.overwrite, complete) as temporary:
            first = next(pieces)
            subtype = files.SUBTYPES[wanted.sample_format]
            with soundfile.SoundFile(os.fsencode(temporary), "w", rate, len(first), subtype, format="WAV") as out:
                piece: np.ndarray | None = first
                while piece is not None:
                    if not np.isfinite(piece).all():
                        raise DataError(f"{source}: the generator made NaN or Inf of it, near {length / rate:.1f} s")
                    clipped += int((np.abs(piece) > 1).sum())
                    length += piece.shape[1]
                    out.write(np.clip(piece.T, -1, 1))
                    piece = next(pieces, None)
    except FileExistsError as error:
        raise DataError(f"{target}: is there by now, made by another; it was left as it is") from error
    except soundfile.LibsndfileError as error:
        raise DataError(f"{target}: cannot be written ({error.error_string or 'the system refused it'})") from error
    except StopIteration:
        raise DataError(f"{source}: holds nothing that anything could be made of") from None
    except ValueError as error:
        raise DataError(f"{source}: {error}") from error
    return length, clipped


def _main_blocks(runner: Runner, source: Path, resample: bool) -> Generator[np.ndarray, None, None]:
    """Yields what the generator reads first, [B, C, L'], of a file."""
    main = runner.facts["main"] or ""
    if source.suffix.lower() == ".npy" and main == "mel":
        yield from _mel_file(runner, source)
    elif source.suffix.lower() == ".npy" and main != "degraded":
        yield signal_files.read(main, source)[None]
    elif main == "mel":
        mono = (files.to_mono(source, block.T)[0] for block in _audio(runner, source, resample))
        for mel in runner.mels(mono):
            yield mel[None]
    elif main == "degraded":
        for block in _audio(runner, source, resample):
            yield block.T[:, None]
    else:
        raise DataError(f"{source}: the generator reads {main}, which is not computed of audio; give a .npy file of it")


def _audio(runner: Runner, source: Path, resample: bool) -> Iterator[np.ndarray]:
    """Yields the samples [T', C] of an audio file at the generator's rate."""
    rate = runner.audio["sample_rate"]
    with AudioReader(source) as reader:
        reader.warn()
        if reader.sample_rate == rate:
            yield from reader.blocks(READ)
            return
        if not resample:
            raise DataError(
                f"{source}: expected {rate} Hz, got {reader.sample_rate} Hz; resample it, or pass --resample"
            )
        import soxr

        stream = soxr.ResampleStream(reader.sample_rate, rate, reader.channels, dtype="float32", quality="VHQ")
        for block in reader.blocks(READ):
            yield stream.resample_chunk(block).reshape(-1, reader.channels)
        yield stream.resample_chunk(np.zeros((0, reader.channels), np.float32), last=True).reshape(-1, reader.channels)


def _mel_file(runner: Runner, path: Path) -> Iterator[np.ndarray]:
    """Yields the log-mel spectrogram of a ``.npy`` file in blocks [1, M, L'], without reading it as a whole."""
    try:
        mel = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not readable as a .npy array ({error})") from error
    if not (isinstance(mel, np.ndarray) and np.issubdtype(mel.dtype, np.floating)):
        raise DataError(f"{path}: expected floating-point numbers, got {getattr(mel, 'dtype', type(mel).__name__)}")
    mels = runner.audio["mels"]
    mel = mel[0] if mel.ndim == 3 and mel.shape[0] == 1 else mel
    if mel.ndim != 2 or mel.shape[0] != mels:
        turned = "; it is transposed" if mel.ndim == 2 and mel.shape[1] == mels else ""
        raise DataError(
            f"{path}: expected a log-mel spectrogram [mels, frames] with {mels} mels, got shape {tuple(mel.shape)}{turned}"
        )
    if not mel.shape[1]:
        raise DataError(f"{path}: holds no frames")
    judged = np.array(mel[:, :FRAMES], dtype=np.float32)
    if not np.isfinite(judged).all():
        raise DataError(f"{path}: holds NaN or Inf")
    fault = mel_scale.foreign(judged, AudioSpec(**runner.audio), runner.facts["mel"])
    if fault is not None:
        raise DataError(f"{path}: {fault}")
    for first in range(0, mel.shape[1], FRAMES):
        yield np.array(mel[None, :, first : first + FRAMES], dtype=np.float32)


def _signal(runner: Runner, name: str, path: Path) -> np.ndarray:
    """A signal [C, L] of a file, or [C, 1] of one that holds for the whole input."""
    return (signal_files.embedding if name in runner.facts["whole"] else signal_files.read)(name, path)


def _beside(
    blocks: Iterator[np.ndarray], main: str, beside: Arrays, runner: Runner, source: Path
) -> Iterator[dict[str, np.ndarray]]:
    """Blocks [B, C, L'] of the main signal with those of files beside them, frame by frame."""
    place, whole = 0, runner.facts["whole"]
    for block in blocks:
        frames = block.shape[2]
        given = {main: block}
        for name, signal in beside.items():
            cut = np.repeat(signal, frames, 1) if name in whole else signal[:, place : place + frames]
            given[name] = np.repeat(cut[None], len(block), 0)
            if cut.shape[1] != frames:
                raise DataError(
                    f"{source}: has {place + frames} frames or more, but the signal {name} {signal.shape[1]}; they must go "
                    "together"
                )
        place += frames
        if frames:
            yield given
    for name, signal in beside.items():
        if name not in whole and signal.shape[1] != place:
            raise DataError(
                f"{source}: has {place} frames, but the signal {name} {signal.shape[1]}; they must go together"
            )
