"""Reading and writing audio files with soundfile, and resampling through torchaudio."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from gansemble.errors import DataError

SampleFormat = Literal["pcm16", "pcm24", "float"]
SUBTYPES = {"pcm16": "PCM_16", "pcm24": "PCM_24", "float": "FLOAT"}


@dataclass(frozen=True)
class Info:
    """What an audio file's header says.

    Args:
        sample_rate: [Hz].
        frames: length of each channel [samples].
        channels: how many there are.
        subtype: soundfile's name of the sample format, such as ``PCM_16``.
    """

    sample_rate: int
    frames: int
    channels: int
    subtype: str


def info(path: Path) -> Info:
    """Reads the header of an audio file.

    Raises:
        DataError: if the file is missing, is not audio, or is a WAV file with fewer bytes than its header states.
    """
    try:
        header = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        if not path.exists():
            raise DataError(f"{path}: no such file") from error
        raise DataError(f"{path}: not readable as audio ({error}); {path.stat().st_size} bytes") from error
    missing = missing_wav_bytes(path)
    if missing:
        raise DataError(
            f"{path}: truncated: its header promises {missing} bytes more than the file has; "
            "copy or download it again, or drop it with data.broken=drop"
        )
    return Info(header.samplerate, header.frames, header.channels, header.subtype)


def missing_wav_bytes(path: Path) -> int:
    """How many bytes of sample data a WAV file lacks, compared with its header; 0 for any other file.

    libsndfile reads a truncated file without an error.
    """
    with path.open("rb") as stream:
        head = stream.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return 0
        size = os.fstat(stream.fileno()).st_size
        while len(chunk := stream.read(8)) == 8:
            name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
            if name == b"data":
                # 0 and 0xFFFFFFFF are what streaming writers leave behind: no promise at all.
                return max(0, stream.tell() + length - size) if 0 < length < 0xFFFFFFF0 else 0
            stream.seek(length + length % 2, os.SEEK_CUR)  # RIFF pads chunks to an even number of bytes
    return 0


def read(path: Path, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int]:
    """Reads audio as float32.

    Args:
        path: of the file.
        start: first sample to read.
        frames: samples to read of each channel; -1 reads to the end.

    Returns:
        (audio [C, T], C channels of T samples; the sample rate [Hz]).

    Raises:
        DataError: if the file cannot be read, is truncated, empty, or holds NaN or Inf.
    """
    header = info(path)
    try:
        audio, rate = soundfile.read(str(path), frames=frames, start=start, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise DataError(f"{path}: cannot be decoded ({error}); copy or download it again") from error
    if header.frames == 0:
        raise DataError(f"{path}: holds no samples")
    if not np.isfinite(audio).all():
        bad = int((~np.isfinite(audio)).any(axis=1).argmax())
        raise DataError(
            f"{path}: holds NaN or Inf (first at sample {start + bad}); write the file again from its source"
        )
    return np.ascontiguousarray(audio.T), rate


def read_mono(path: Path, sample_rate: int, resample_to_rate: bool = False) -> np.ndarray:
    """Reads a mono file as float32 audio [T].

    Args:
        path: of the file.
        sample_rate: that is wanted [Hz].
        resample_to_rate: convert a file of another rate, instead of refusing it.

    Raises:
        DataError: if the file cannot be read, has several channels, or has another rate and ``resample_to_rate`` is
            off.
    """
    audio, rate = read(path)
    if audio.shape[0] != 1:
        raise DataError(f"{path}: expected mono, got {audio.shape[0]} channels; mix it down first")
    if rate != sample_rate:
        if not resample_to_rate:
            raise DataError(f"{path}: expected {sample_rate} Hz, got {rate} Hz; resample it, or pass --resample")
        audio = resample(audio, rate, sample_rate)
    return audio[0]


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
