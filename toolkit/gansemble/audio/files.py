"""Reading and writing audio files with soundfile, and resampling through torchaudio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from gansemble.audio.reader import BLOCK, AudioReader
from gansemble.errors import DataError

SampleFormat = Literal["pcm16", "pcm24", "float"]
#: What is done with several channels where one is needed: they are refused, averaged, or the first one is taken.
ChannelPolicy = Literal["error", "mix", "first"]
SUBTYPES = {"pcm16": "PCM_16", "pcm24": "PCM_24", "float": "FLOAT"}

#: Product of two sample rates, without their common factor, beyond which a bank of filters would take too much memory:
#: 44.1 to 22.05 kHz has 2, 44.1 to 48 kHz 23,520, 8,001 to 22,050 Hz 19,602,450.
LARGEST_BANK = 1 << 20


@dataclass(frozen=True)
class Info:
    """What an audio file's header says.

    Args:
        sample_rate: [Hz].
        frames: length of each channel [samples], as the file states it.
        channels: how many there are.
        subtype: soundfile's name of the sample format, such as ``PCM_16``.
    """

    sample_rate: int
    frames: int
    channels: int
    subtype: str


def info(path: Path) -> Info:
    """What the header of an audio file says, after its container was examined; see :class:`AudioReader`.

    Raises:
        DataError: if the file is missing, is not audio, or holds something else than its container states.
    """
    with AudioReader(path) as reader:
        # A streaming writer could not state the length of a compressed file.
        frames = sum(map(len, reader.blocks())) if reader.stated is None else reader.stated
        return Info(reader.sample_rate, frames, reader.channels, reader.subtype)


def read(path: Path, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int]:
    """Reads audio as float32.

    Args:
        path: of the file.
        start: first sample to read.
        frames: samples to read of each channel; -1 reads to the end, and only then is the file's end examined.

    Returns:
        (audio [C, T], C channels of T samples; the sample rate [Hz]).

    Raises:
        DataError: if the file cannot be read, is truncated, damaged or empty, or holds NaN or Inf.
    """
    with AudioReader(path) as reader:
        reader.warn()
        if start == 0 and frames < 0:
            return reader.read(), reader.sample_rate
        kept, last = [], None if frames < 0 else start + frames
        reader.skip(start)
        for block in reader.blocks(BLOCK if frames < 0 else max(1, min(BLOCK, frames))):
            begin = reader.done - len(block)
            kept.append(block[max(0, start - begin) : None if last is None else max(0, last - begin)])
            if last is not None and reader.done >= last:
                break
        whole = np.concatenate(kept) if kept else np.zeros((0, reader.channels), np.float32)
        return np.ascontiguousarray(whole.T), reader.sample_rate


def read_mono(
    path: Path, sample_rate: int, resample_to_rate: bool = False, channels: ChannelPolicy = "error"
) -> np.ndarray:
    """Reads a file as float32 audio [T] of one channel.

    Args:
        path: of the file.
        sample_rate: that is wanted [Hz].
        resample_to_rate: convert a file of another rate, instead of refusing it.
        channels: what is done with several channels.

    Raises:
        DataError: if the file cannot be read, has several channels that are not to be made one, or has another rate and
            ``resample_to_rate`` is off.
    """
    audio, rate = read(path)
    audio = to_mono(path, audio, channels)
    if rate != sample_rate:
        if not resample_to_rate:
            raise DataError(f"{path}: expected {sample_rate} Hz, got {rate} Hz; resample it, or pass --resample")
        audio = resample(audio, rate, sample_rate)
    return audio[0]


def to_mono(path: Path, audio: np.ndarray, channels: ChannelPolicy = "error") -> np.ndarray:
    """Makes one channel [1, T] of audio [C, T], by its mean or by its first channel.

    Raises:
        DataError: naming the file, if there are several and ``channels`` is ``error``.
    """
    if len(audio) > 1 and channels == "error":
        raise DataError(
            f"{path}: expected mono, got {len(audio)} channels; mix it down first, such as with: ffmpeg -i {path.name} -ac 1 "
            f"mono-{path.stem}.wav (a recipe with data.channels: mix is given several channels in use, too)"
        )
    return audio[:1] if channels == "first" else audio.mean(0, keepdims=True) if len(audio) > 1 else audio


def resample(audio: np.ndarray, rate: int, to_rate: int) -> np.ndarray:
    """Converts float32 audio from one sample rate to another, with a Kaiser-windowed sinc of about 90 dB stop band.

    Args:
        audio: the signal.
        rate: its sample rate [Hz].
        to_rate: the wanted sample rate [Hz].

    Shape:
        - input: [C, T], C channels of T samples
        - output: [C, T'] with T' = T * to_rate / rate, rounded up
    """
    if rate == to_rate:
        return audio
    common = math.gcd(rate, to_rate)
    if rate // common * (to_rate // common) > LARGEST_BANK:
        return _resample_any(audio, rate, to_rate)
    import torch

    from gansemble.audio.torchaudio import functional

    out = functional.resample(
        torch.from_numpy(np.ascontiguousarray(audio)),
        rate,
        to_rate,
        lowpass_filter_width=64,  # this, rolloff and beta are those of resampy's "kaiser_best"
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
    )
    return out.numpy()


def _resample_any(audio: np.ndarray, rate: int, to_rate: int) -> np.ndarray:
    """Resamples by libsoxr, which needs no filter for each of the many phases between two odd rates."""
    import soxr

    length = -(-audio.shape[1] * to_rate // rate)
    out = soxr.resample(np.ascontiguousarray(audio.T), rate, to_rate, quality="VHQ")[:length].T
    return np.pad(out, ((0, 0), (0, length - out.shape[1]))).astype(np.float32, copy=False)


def write(path: Path, audio: np.ndarray, sample_rate: int, sample_format: SampleFormat = "pcm16") -> int:
    """Writes a WAV file; samples beyond ±1 are clipped rather than wrapped.

    Args:
        path: of the file.
        audio: [T], or [C, T] for C channels of T samples.
        sample_rate: [Hz].
        sample_format: 16-bit or 24-bit integers, or 32-bit floating point.

    Returns:
        How many samples were clipped.
    """
    frames = np.atleast_2d(audio).T
    clipped = int((np.abs(frames) > 1).sum())
    with soundfile.SoundFile(
        str(path), "w", sample_rate, frames.shape[1], SUBTYPES[sample_format], format="WAV"
    ) as out:
        out.write(np.clip(frames, -1, 1))
    return clipped
