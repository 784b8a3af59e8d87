"""The measurements that the data doctor takes of one audio file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gansemble.audio.reader import FaultCode
from gansemble.stages import json_files


@dataclass(frozen=True)
class Facts:
    """The measurements of one clip's file, taken in a single pass over it.

    If the file could not be read to its end, ``error`` and ``message`` are set, and of the measurements only those of
    the header (sample rate, length and channels, as far as it could be read).

    Args:
        id: of the clip.
        sample_rate: [Hz].
        frames: decoded length of each channel [samples].
        channels: number of channels.
        peak: largest magnitude, full scale being 1.
        rms: root mean square over all channels, full scale being 1.
        dc: mean of the samples of one channel, the one whose mean has the largest magnitude.
        bandwidth_hz: frequency at which a low-pass filter cut off the spectrum [Hz]; half the sample rate where none
            did.
        clipped: samples that equal both of their neighbours at full scale, as clipping leaves them.
        silent_share: share of windows of 1024 samples that hold nothing but zeros, 0 to 1.
        sha256: of the decoded samples and the number of channels, independent of the file format; empty when the file
            could not be read to its end.
        error: code of the fault that stopped the reading; None when the whole file was read.
        message: the fault in words, with the path.
        subtype: soundfile's name of the sample format, such as ``PCM_16``.
        remark: what is odd about the file and does no harm.
        fine: whether its samples are finer than 16 bits can hold.
    """

    id: str
    sample_rate: int = 0
    frames: int = 0
    channels: int = 0
    peak: float = 0.0
    rms: float = 0.0
    dc: float = 0.0
    bandwidth_hz: float = 0.0
    clipped: int = 0
    silent_share: float = 0.0
    sha256: str = ""
    error: FaultCode | None = None
    message: str = ""
    subtype: str = ""
    remark: str = ""
    fine: bool = False


def read(path: Path, remedy: str) -> list[Facts]:
    """Reads a ``facts.json``, the measurements of the clips of a prepare stage.

    Args:
        path: of the file.
        remedy: what to do about one that is damaged, for the message.

    Raises:
        DataError: if it is missing or damaged.
    """
    return json_files.read(path, list[Facts], remedy)
