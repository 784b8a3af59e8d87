"""What the container of an audio file says of its length, beside what is there; read without a decoder.

Decoders read what they find and say nothing of what is missing, so that a file that was cut, joined or damaged looks
like a shorter recording.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gansemble.audio.containers import big_endian, flac, mpeg, ogg, riff
from gansemble.audio.containers.layout import Fault, FaultCode, Layout, Patch

__all__ = ["Fault", "FaultCode", "Layout", "Patch", "inspect"]


def inspect(path: Path) -> Layout:
    """Compares what a file's container states with what the file holds.

    Knows WAV (RIFF, RIFX, RF64, BW64), W64, AIFF, AIFF-C, CAF, AU, FLAC, Ogg (Vorbis, Opus, FLAC) and MP3, by their
    content; an MP3 whose beginning is damaged by its suffix. Of other files nothing is known, and nothing is said.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        look = _kind(stream.read(64)) or (mpeg.inspect if path.suffix.lower() == ".mp3" else None)
        return look(stream, size) if look is not None else Layout()


def _kind(head: bytes) -> Callable[[BinaryIO, int], Layout] | None:
    """Which module reads a file that begins like this."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return riff.inspect
    if head[:16] == riff.W64_RIFF:
        return riff.inspect_w64
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return big_endian.inspect_aiff
    if head[:4] == b"caff":
        return big_endian.inspect_caf
    if head[:4] in (b".snd", b"dns."):
        return big_endian.inspect_au
    if head[:4] == b"OggS":
        return ogg.inspect
    if head[:4] == b"fLaC":
        return flac.inspect
    if head[:3] == b"ID3":
        return _tagged
    return mpeg.inspect if mpeg.parse(head) is not None else None


def _tagged(stream: BinaryIO, size: int) -> Layout:
    """A file that begins with an ID3 tag, behind which MP3 or FLAC may follow."""
    start = mpeg.behind_tags(stream, 0, size)
    stream.seek(start)
    return flac.inspect(stream, size) if stream.read(4) == b"fLaC" else mpeg.inspect(stream, size)
