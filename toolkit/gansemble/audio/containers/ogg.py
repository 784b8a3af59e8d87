"""Ogg: Vorbis, Opus, FLAC and Speex in pages that are numbered and have checksums."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gansemble.audio.containers.layout import Fault, Layout, behind

#: How the first page of a stream with audio begins.
AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ", b"fLaC")
BEGIN, END = 2, 4
#: Each byte with its bits in reverse, as Ogg's checksum shifts the other way round than that of zlib.
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
OPUS_RATE = 48000


@dataclass(frozen=True)
class Page:
    """A page: where it begins, its size [bytes], its flags, position [samples], stream and number, and whether it is whole and unaltered.

    ``content`` is the beginning of what it holds.
    """

    offset: int
    size: int
    flags: int
    position: int
    serial: int
    number: int
    whole: bool
    sound: bool
    content: bytes


def inspect(stream: BinaryIO, size: int) -> Layout:
    """Follows the pages of an Ogg file, and looks for missing, altered and additional ones.

    Ogg states no length, but its last page is marked as such.
    """
    chosen: Page | None = None
    last: Page | None = None
    rate, gap = 0, None
    expected = 0
    for page in pages(stream, size):
        if isinstance(page, int):
            if last is not None and last.flags & END:
                return Layout(*behind(stream, last.offset + last.size, size, 0))
            gap = gap or Fault(
                "damaged", f"{page} bytes{_at(last, rate)} are no Ogg page: a piece is missing or altered"
            )
            continue
        if page.flags & BEGIN and page.content.startswith(AUDIO):
            if last is not None and (last.flags & END or page.serial != last.serial):
                again = (
                    f"another recording of {size - page.offset} bytes follows{_at(last, rate)}, which would be left out"
                )
                return Layout(gap or Fault("concatenated", again))
            chosen, rate, expected = page, _rate(page.content), page.number
        if chosen is None or page.serial != chosen.serial:
            continue
        if gap is None and not page.whole:
            gap = Fault("truncated", f"its last page is cut{_at(last, rate)}")
        if gap is None and not page.sound:
            gap = Fault("damaged", f"a page{_at(last, rate)} does not have its checksum: it was altered")
        if gap is None and page.number != expected:
            gap = Fault("damaged", f"{abs(page.number - expected)} pages are missing{_at(last, rate)}")
        last, expected = page, page.number + 1
    if chosen is None or last is None:
        return Layout(Fault("truncated", "it holds no audio that its header announces"))
    if gap is None and not last.flags & END:
        gap = Fault("truncated", f"it ends{_at(last, rate)}, and that page is not marked as the last")
    return Layout(gap)


def _at(page: Page | None, rate: int) -> str:
    return (
        f" after {page.position / rate:.3f} s"
        if page is not None and rate and page.position > 0
        else " before any audio"
    )


def _rate(content: bytes) -> int:
    if content.startswith(b"\x01vorbis") and len(content) >= 16:
        return int(struct.unpack("<I", content[12:16])[0])
    return OPUS_RATE if content.startswith(b"OpusHead") else 0


def pages(stream: BinaryIO, size: int) -> Iterator[Page | int]:
    """The pages of a file one after the other, and numbers of bytes between them that are none."""
    offset = 0
    while offset < size:
        stream.seek(offset)
        head = stream.read(27)
        if len(head) < 27 or head[:4] != b"OggS" or head[4]:
            following = _search(stream, offset + 1, size)
            yield following - offset
            offset = following
            continue
        flags, position, serial, number, checksum, segments = struct.unpack("<BqIIIB", head[5:])
        table = stream.read(segments)
        length = sum(table)
        content = stream.read(length)
        whole = len(table) == segments and len(content) == length
        data = head[:22] + bytes(4) + head[26:] + table + content
        sound = whole and _checksum(data) == checksum
        if not sound and whole:
            # The lengths may be what was altered: the next page is searched for.
            following = _search(stream, offset + 4, size)
            yield Page(offset, len(data), flags, position, serial, number, True, False, content[:64])
            offset = min(following, offset + len(data)) if following < size else following
            continue
        yield Page(offset, len(data), flags, position, serial, number, whole, sound, content[:64])
        offset += len(data)


def _search(stream: BinaryIO, start: int, size: int) -> int:
    """Where the next page begins, or the end of the file."""
    overlap, begin = b"", start
    stream.seek(start)
    while block := stream.read(1 << 16):
        found = (overlap + block).find(b"OggS")
        if found >= 0:
            return begin - len(overlap) + found
        begin += len(block)
        overlap = (overlap + block)[-3:]
    return size


def _checksum(data: bytes) -> int:
    """Ogg's CRC-32, which begins at 0 and shifts the highest bit first, by zlib's, which does neither."""
    mirrored = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
