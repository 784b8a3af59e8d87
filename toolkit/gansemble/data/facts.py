"""What one pass over an audio file found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """What one pass over a clip's file found.

    Args:
        id: the clip's.
        sample_rate: [Hz].
        frames: decoded length [samples].
        channels: of the file.
        peak: largest magnitude, full scale 1.
        rms: root mean square over all channels.
        dc: mean of the channel with the largest one.
        bandwidth_hz: where a filter cut the spectrum off [Hz]; half the sample rate when none did.
        clipped: samples that are flat at full scale.
        silent_share: share of 1024-sample windows that hold nothing but zeros.
        sha256: of the decoded samples, whatever the container; empty when they could not all be read.
        error: code of the fault that stopped the reading, None when the whole file was read.
        message: the fault in words.
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
    error: str | None = None
    message: str = ""
