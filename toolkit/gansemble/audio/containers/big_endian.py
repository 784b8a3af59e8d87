"""AIFF and AIFF-C, Apple's CAF, and Sun's AU."""

from __future__ import annotations

import struct
from typing import BinaryIO

from gansemble.audio.containers.layout import Fault, Layout, Patch, behind
from gansemble.audio.containers.riff import Chunk, chunks, last_end, truncated, unknown

#: Bytes of a sample by AU's number of the encoding; others are compressed.
AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
#: Kinds of AIFF-C audio whose samples have as many bytes as the header's bits say.
LINEAR = (b"NONE", b"twos", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32")


def inspect_aiff(stream: BinaryIO, size: int) -> Layout:
    """Compares what the chunks of an AIFF or AIFF-C file state with what is there.

    Args:
        stream: the file.
        size: of the file [bytes].
    """
    stream.seek(8)
    compressed = stream.read(4) == b"AIFC"
    common, sound = None, None
    for chunk in chunks(stream, 12, size, ">"):
        if chunk.name == b"COMM":
            common = chunk
        if chunk.name == b"SSND":
            sound = chunk
            if common is not None:
                break
    if sound is None:
        return Layout(Fault("truncated", "it ends before its audio begins (no SSND chunk)"))
    frames, block, rate = (0, 0, 0.0) if common is None else _common(stream, common, compressed)
    stated, there = sound.size - 8, size - sound.start - 8
    if unknown(sound.size) or (sound.size in (0, 8) and last_end(stream, sound.start + sound.size, size, ">") < size):
        return _aiff_streamed(sound, common, there, block)
    if sound.size and stated > there:
        return Layout(truncated(stated, there, rate * block))
    stream.seek(sound.start)
    room = stated - int.from_bytes(stream.read(4), "big")  # audio may begin later, behind an offset
    if block and frames * block not in (room, room - room % block):
        said = f"COMM counts {frames} samples of each channel, SSND has room for {max(0, room) // block}"
        return Layout(Fault("damaged", f"its header contradicts itself: {said}"))
    end = sound.start + sound.size
    fault, remark = behind(stream, last_end(stream, end + end % 2, size, ">"), size, rate * block)
    return Layout(fault, remark)


def _common(stream: BinaryIO, chunk: Chunk, compressed: bool) -> tuple[int, int, float]:
    """(samples of each channel, bytes of a sample of all channels or 0 where it is compressed, sample rate [Hz])."""
    stream.seek(chunk.start)
    content = stream.read(22)
    if len(content) < 18:
        return 0, 0, 0.0
    channels, frames, bits = struct.unpack(">hIh", content[:8])
    linear = not compressed or content[18:22] in LINEAR
    return frames, channels * (-(-bits // 8)) if linear else 0, _extended(content[8:18])


def _extended(content: bytes) -> float:
    """An 80-bit floating-point number, as AIFF keeps its sample rate."""
    exponent, mantissa = struct.unpack(">HQ", content)
    power = (exponent & 0x7FFF) - 16383 - 63
    return mantissa * 2.0**power if abs(power) < 512 else 0.0


def _aiff_streamed(sound: Chunk, common: Chunk | None, there: int, block: int) -> Layout:
    patches = [Patch(sound.size_at, struct.pack(">I", min(0xFFFFFFFF, there + 8)))]
    if common is not None and block:
        patches.append(Patch(common.start + 2, struct.pack(">I", there // block)))
    return Layout(patches=tuple(patches))


def inspect_caf(stream: BinaryIO, size: int) -> Layout:
    """The same of a CAF file; a size of -1 is the last chunk's, which reaches to the end."""
    start, rate = 8, 0.0
    while start + 12 <= size:
        stream.seek(start)
        name, length = struct.unpack(">4sq", stream.read(12))
        if name == b"desc":
            content = stream.read(32)
            if len(content) < 32:
                break
            hertz, kind, _, packet, per_packet = struct.unpack(">d4sIII", content[:24])
            rate = hertz * packet / per_packet if per_packet and kind == b"lpcm" else 0.0
        if name == b"data":
            return _caf_data(stream, start + 12, length, size, rate)
        if length < 0:
            return Layout(Fault("damaged", f"its header contradicts itself: a chunk of {length} bytes"))
        start += 12 + length
    return Layout(Fault("truncated", "it ends before its audio begins (no data chunk)"))


def _caf_data(stream: BinaryIO, start: int, stated: int, size: int, rate: float) -> Layout:
    there = size - start
    if stated <= 0 or stated >= 1 << 61:
        return Layout(patches=(Patch(start - 8, struct.pack(">q", there)),))
    if stated > there:
        return Layout(truncated(stated - 4, there - 4, rate))
    end = start + stated
    while end + 12 <= size:
        stream.seek(end)
        name, length = struct.unpack(">4sq", stream.read(12))
        if not name.isalnum() or length < 0 or end + 12 + length > size:
            break
        end += 12 + length
    fault, remark = behind(stream, end, size, rate)
    return Layout(fault, remark)


def inspect_au(stream: BinaryIO, size: int) -> Layout:
    """The same of an AU file, which is one header and the audio behind it."""
    stream.seek(0)
    head = stream.read(24)
    order = ">" if head[:4] == b".snd" else "<"
    if len(head) < 24:
        return Layout(Fault("truncated", f"it ends within its header ({size} bytes)"))
    start, stated, encoding, hertz, channels = struct.unpack(f"{order}5I", head[4:24])
    rate = AU_BYTES.get(encoding, 0) * hertz * channels
    there = size - start
    if start < 24 or there < 0:
        return Layout(Fault("damaged", f"its header contradicts itself: audio from byte {start} on, of {size}"))
    if stated == 0 or unknown(stated):
        return Layout(patches=(Patch(8, struct.pack(f"{order}I", min(0xFFFFFFFF, there))),) if there else ())
    if stated > there:
        return Layout(truncated(stated, there, rate))
    sample = AU_BYTES.get(encoding, 0) * channels
    if sample and stated % sample:
        said = f"{stated} bytes of audio are not whole samples of {sample} bytes ({channels} channels)"
        return Layout(Fault("damaged", f"its header contradicts itself: {said}"))
    fault, remark = behind(stream, start + stated, size, rate)
    return Layout(fault, remark)
