"""Copy-synthesis: makes waveforms from mel spectrograms, or from those of audio files; long ones in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from gansemble.audio import files
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.errors import DataError
from gansemble.inference.loading import TrainedGenerator
from gansemble.inference.streaming import vocoder_stream


def mel_blocks(path: Path, spec: AudioSpec, block: int, resample: bool = False) -> Iterator[Tensor]:
    """Yields the log-mel spectrogram of a mono audio file in blocks, equal to that of the whole file.

    Args:
        path: of the audio file.
        spec: of the spectrogram.
        block: frames at a time.
        resample: convert a file of another sample rate, instead of refusing it.

    Yields:
        Blocks [M, L'] of M = ``spec.mels`` bands and L' frames, at most ``block``.

    Raises:
        DataError: for another sample rate (unless ``resample``), several channels, or a file too short for one frame.
    """
    header = files.info(path)
    if header.channels != 1:
        raise DataError(f"{path}: expected mono, got {header.channels} channels; mix it down first")
    if header.sample_rate != spec.sample_rate:
        audio = files.read_mono(path, spec.sample_rate, resample)
        read = lambda start, stop: audio[start:stop]  # noqa: E731
        total = len(audio)
    else:
        read = lambda start, stop: files.read(path, start, stop - start)[0][0]  # noqa: E731
        total = header.frames
    margin = (spec.n_fft - spec.hop) // 2
    if total <= max(margin, spec.hop):
        raise DataError(f"{path}: {total} samples are too few; at least {max(margin, spec.hop) + 1} are needed")
    frames = total // spec.hop
    # Blocks are framed with whole hops of real audio around them, so that only the file's own ends are reflected.
    # A window reaches margin = (n_fft - hop) / 2 samples beyond its hop on each side; twice that and a hop is safe.
    extra = -(-2 * margin // spec.hop) + 1
    for first in range(0, frames, block):
        last = min(frames, first + block)
        begin, end = max(0, first - extra), last + extra
        piece = torch.from_numpy(np.ascontiguousarray(read(begin * spec.hop, min(total, end * spec.hop))))
        yield log_mel(piece[None], spec)[0][:, first - begin : last - begin]


def synthesise_file(
    loaded: TrainedGenerator,
    source: Path,
    target: Path,
    sample_format: files.SampleFormat,
    chunk_seconds: float,
    resample: bool = False,
) -> dict[str, float]:
    """Writes the waveform that a vocoder makes from an audio file or a mel spectrogram.

    Args:
        loaded: a trained vocoder.
        source: an audio file, whose mel spectrogram is computed, or a ``.npy`` file with a log-mel spectrogram [M, L].
        target: WAV file to write; it appears under its name only when it is complete.
        sample_format: of the WAV file.
        chunk_seconds: length of audio that is made at a time [s].
        resample: convert an audio file of another sample rate, instead of refusing it.

    Returns:
        By name: the ``seconds`` of audio made, the time it ``took`` [s], and how many samples were ``clipped``.

    Raises:
        DataError: if the input is not what the experiment's audio section describes.
    """
    spec = loaded.spec
    block = max(16, int(chunk_seconds * spec.sample_rate / spec.hop))
    begun, clipped, length = time.monotonic(), 0, 0
    blocks = _npy_blocks(source, spec, block) if source.suffix == ".npy" else mel_blocks(source, spec, block, resample)
    stream = vocoder_stream(loaded.generator, loaded.representation, block)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    try:
        with soundfile.SoundFile(
            str(temporary), "w", spec.sample_rate, 1, files.SUBTYPES[sample_format], format="WAV"
        ) as out:
            for piece in stream.pieces(blocks):
                audio = piece.numpy().T
                clipped += int((np.abs(audio) > 1).sum())
                length += len(audio)
                out.write(np.clip(audio, -1, 1))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return {"seconds": length / spec.sample_rate, "took": time.monotonic() - begun, "clipped": clipped}


def _npy_blocks(path: Path, spec: AudioSpec, block: int) -> Iterator[Tensor]:
    try:
        mel = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as a .npy array ({error})") from error
    if not (isinstance(mel, np.ndarray) and np.issubdtype(mel.dtype, np.floating)):
        raise DataError(f"{path}: expected floating-point numbers, got {getattr(mel, 'dtype', type(mel).__name__)}")
    if mel.ndim == 3 and mel.shape[0] == 1:
        mel = mel[0]
    if mel.ndim != 2 or mel.shape[0] != spec.mels:
        raise DataError(
            f"{path}: expected a log-mel spectrogram [mels, frames] with {spec.mels} mels, got shape {tuple(mel.shape)}"
        )
    if not mel.shape[1]:
        raise DataError(f"{path}: holds no frames")
    if not np.isfinite(mel).all():
        raise DataError(f"{path}: holds NaN or Inf")
    # Bounds for natural-log magnitudes of audio in ±1; decibels or normalised features mostly lie outside.
    floor = float(np.log(spec.log_floor))
    if mel.min() < floor - 1 or mel.max() > 10:
        raise DataError(
            f"{path}: values from {mel.min():.1f} to {mel.max():.1f} are not natural-log magnitudes, whose floor here is {floor:.3f}; "
            "check the log base and normalisation of what made it"
        )
    for first in range(0, mel.shape[1], block):
        yield torch.from_numpy(np.array(mel[:, first : first + block], dtype=np.float32))
