"""FLAC: frames with checksums and numbers, of which the header states how many samples they make in all."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from gansemble.audio.containers.layout import BEGINNINGS, Fault, Layout, counted, seconds

#: How a FLAC stream begins: the marker, then the block STREAMINFO of 34 bytes, the last one or not.
MARKS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
BLOCK = 1 << 20
#: The last frame's beginning is looked for in so many bytes; a frame of 8 channels with 65,535 samples would fit.
TAIL = 1 << 21
_SIZES = {
    1: 192,
    **{code: 576 << (code - 2) for code in range(2, 6)},
    **{code: 256 << (code - 8) for code in range(8, 16)},
}


class Info(NamedTuple):
    """What STREAMINFO states: samples of a frame, bytes of the largest one, the sample rate [Hz], and samples in all.

    Each is 0 where it is not known.
    """

    block: int
    largest: int
    rate: int
    total: int


def inspect(stream: BinaryIO, size: int) -> Layout:
    """Compares the stated number of samples with the last frame's, and looks for another recording behind the last one.

    Frames that are missing or altered in the middle are found in decoding, by their checksums.

    Args:
        stream: the file.
        size: of the file [bytes].
    """
    stream.seek(0)
    head = stream.read(BLOCK)
    begin = head.find(b"fLaC")
    if begin < 0 or len(head) < begin + 42:
        return Layout(Fault("truncated", f"it ends within its header ({size} bytes)"))
    following, zeros = _behind(stream, begin + 4)
    if following is not None:
        return Layout(_joined(size - following))
    info = _info(head[begin + 8 : begin + 42])
    there, last = _last_frame(stream, begin + 42, size, info)
    if info.total and there:
        both = f"its header states {seconds(info.total, info.rate)}, it holds {seconds(there, info.rate)}"
        if there > info.total:
            return Layout(Fault("concatenated", f"{both}, the rest of which would be left out"))
        if there < info.total:
            return Layout(Fault("truncated", both))
    joined = _other(last)
    if joined:
        return Layout(_joined(joined))
    # A frame ends in its checksum; 16 zero bytes are not the end of one.
    if zeros >= 16:
        return Layout(remark=f"{counted(zeros)} of zeros follow the end of its audio")
    more = len(last) - info.largest if info.largest else 0
    return Layout(remark=f"{counted(more)} or more that are no audio follow its end" if more > 0 else "")


def _joined(size: int) -> Fault:
    return Fault("concatenated", f"another recording of {size} bytes follows its end, which would be left out")


def _other(last: bytes) -> int:
    """How many bytes of a recording of another kind follow the last frame; 0 where none does."""
    for mark in (*BEGINNINGS, b"ID3"):
        place = last.find(mark, 6)
        # Any four bytes may stand in a frame by chance; at its end, its checksum has come to 0.
        if place >= 0 and _crc16(last[:place]) == 0:
            return len(last) - place
    return 0


def _behind(stream: BinaryIO, offset: int) -> tuple[int | None, int]:
    """(where another stream begins, or None; how many zeros the file ends with)."""
    stream.seek(offset)
    overlap, zeros = b"", 0
    while rest := stream.read(BLOCK):
        text = overlap + rest
        for mark in MARKS:
            found = text.find(mark)
            if found >= 0:
                return offset - len(overlap) + found, 0
        kept = len(rest.rstrip(b"\0"))
        zeros = zeros + len(rest) if kept == 0 else len(rest) - kept
        offset += len(rest)
        overlap = text[-7:]
    return None, zeros


def _info(content: bytes) -> Info:
    numbers = int.from_bytes(content[10:18], "big")
    block, largest = int.from_bytes(content[2:4], "big"), int.from_bytes(content[7:10], "big")
    return Info(block, largest, numbers >> 44, numbers & (1 << 36) - 1)


def _last_frame(stream: BinaryIO, start: int, size: int, info: Info) -> tuple[int, bytes]:
    """(the number of samples up to the end of the last frame, by the number in its header; what the file holds from its
    beginning on); 0 and nothing where no frame is found."""
    begin = max(start, size - TAIL)
    stream.seek(begin)
    tail = stream.read(size - begin)
    place = len(tail)
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        end = _frame_end(tail[place : place + 16], info.block)
        if end:
            return end, tail[place:]
    return 0, b""


def _frame_end(head: bytes, block: int) -> int:
    """The number of the sample behind a frame whose header these bytes may be; 0 where they are none."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1 or not head[2] >> 4:
        return 0
    ones = 8 - (head[4] ^ 0xFF).bit_length()
    if ones == 1 or ones > 7 or len(head) < 5 + max(1, ones):
        return 0
    length = max(1, ones)
    number = head[4] if not ones else head[4] & (1 << (7 - ones)) - 1
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 63
    place, code = 4 + length, head[2] >> 4
    samples = _SIZES.get(code, 0)
    if code in (6, 7):
        samples = int.from_bytes(head[place : place + code - 5], "big") + 1
        place += code - 5
    place += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if place >= len(head) or _crc8(head[:place]) != head[place]:
        return 0
    return number + samples if head[1] & 1 else number * block + samples


def _crc8(data: bytes) -> int:
    """The checksum of a frame's header, by x^8 + x^2 + x + 1."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 7 if value & 0x80 else value << 1) & 0xFF
    return value


def _crc16(data: bytes) -> int:
    """The checksum of a frame, by x^16 + x^15 + x^2 + 1; 0 over a frame with its checksum."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ _TABLE[value >> 8 ^ byte]
    return value


def _entry(byte: int) -> int:
    value = byte << 8
    for _ in range(8):
        value = (value << 1 ^ 0x8005 if value & 0x8000 else value << 1) & 0xFFFF
    return value


_TABLE = tuple(_entry(byte) for byte in range(256))
