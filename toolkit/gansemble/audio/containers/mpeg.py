"""MP3 and its older layers: frames one after the other, of which a first one may state how many there are."""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from gansemble.audio.containers.layout import Fault, Layout, behind, seconds

#: kbit/s by (MPEG 1 or not, layer); index 0 is a free format, whose frames cannot be followed, and 15 is none.
_RATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = (44100, 48000, 32000)
#: Frames that a stated number may be wrong by: some writers count their own header.
SLACK = 1


class Frame(NamedTuple):
    """A frame: its length [bytes], how many samples it makes, their rate [Hz], and where a header in it would stand."""

    length: int
    samples: int
    rate: int
    inside: int


def inspect(stream: BinaryIO, size: int) -> Layout:
    """Counts the frames of an MPEG audio file and compares them with what its first one states.

    Args:
        stream: the file.
        size: of the file [bytes].
    """
    tagged = behind_tags(stream, 0, size)
    offset = _first_frame(stream, tagged, size)
    stream.seek(offset)
    head = stream.read(256)
    first = parse(head)
    if first is None:
        return Layout()  # no frame at all: the decoder says what it is
    stated = _stated(head, first)
    count, lost, again, end, cut = _count(stream, offset, size)
    count -= stated is not None
    long = seconds(count * first.samples, first.rate)
    if stated is not None and again:
        says = seconds(stated * first.samples, first.rate)
        return Layout(
            Fault(
                "concatenated",
                f"its header states {says}, and it holds {long}: another recording follows, which would be left out",
            )
        )
    if lost:
        return Layout(
            Fault("damaged", f"{lost} bytes between its frames are none, in {long}: a piece is missing or altered")
        )
    fault, remark = behind(stream, end, size, 0)
    if offset > tagged:  # as where a stream was joined in its middle
        remark = f"{offset - tagged} bytes that are no audio precede it"
    if stated is None or fault is not None:
        return Layout(fault, remark, samples=count * first.samples)
    says = seconds(stated * first.samples, first.rate)
    if count < stated - (0 if cut else SLACK):
        return Layout(Fault("truncated", f"its header states {says}, it holds {long}"))
    if count > stated + SLACK:
        return Layout(
            Fault("concatenated", f"its header states {says}, and it holds {long}, the rest of which would be left out")
        )
    return Layout(remark=remark, samples=count * first.samples)


def _first_frame(stream: BinaryIO, offset: int, size: int) -> int:
    """Where the first frame begins that another one follows; the offset itself where there is none in the next 64 KiB."""
    stream.seek(offset)
    window = stream.read(1 << 16)
    place = -1
    while (place := window.find(b"\xff", place + 1)) >= 0:
        frame = parse(window[place : place + 4])
        if frame is not None and _confirmed(stream, offset + place + frame.length, size):
            return offset + place
    return offset


def parse(head: bytes) -> Frame | None:
    """What the four bytes at the beginning of a frame say; None if they are none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, hertz, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or index in (0, 15) or hertz == 3:
        return None
    new = version == 3
    rate = _HERTZ[hertz] >> {3: 0, 2: 1, 0: 2}[version]
    bits = 1000 * _RATES[new, layer][index]
    samples = 384 if layer == 1 else 576 if layer == 3 and not new else 1152
    length = (12 * bits // rate + padding) * 4 if layer == 1 else samples // 8 * bits // rate + padding
    mono = head[3] >> 6 == 3
    inside = 4 + ((17 if mono else 32) if new else (9 if mono else 17))
    return Frame(length, samples, rate, inside)


def _stated(head: bytes, frame: Frame) -> int | None:
    """How many frames the header in a first frame states; None where there is no such header."""
    for place in (frame.inside, frame.inside + 2):  # with a checksum of two bytes before it
        if head[place : place + 4] in (b"Xing", b"Info") and len(head) >= place + 12:
            flags, count = struct.unpack(">II", head[place + 4 : place + 12])
            return count if flags & 1 else None
    if head[36:40] == b"VBRI" and len(head) >= 54:
        return int(struct.unpack(">I", head[50:54])[0])
    return None


def _count(stream: BinaryIO, offset: int, size: int) -> tuple[int, int, bool, int, bool]:
    """(whole frames from an offset on, bytes between them that are none, whether a header comes again, where the last one
    ends, whether that is cut off).
    """
    count, lost, pending, again = 0, 0, 0, False
    window, base = b"", offset
    while offset + 4 <= size:
        if offset + 64 > base + len(window):
            stream.seek(offset)
            window, base = stream.read(1 << 18), offset
        place = offset - base
        frame = parse(window[place : place + 4])
        if frame is None:
            following = behind_tags(stream, offset, size)
            if following == offset:
                following, pending = offset + 1, pending + 1
            offset = following
            continue
        if offset + frame.length > size:
            return count, lost, again, size, True
        # What looks like a frame among other bytes is one only if another follows.
        if pending and not _confirmed(stream, offset + frame.length, size):
            offset, pending = offset + 1, pending + 1
            continue
        lost, pending = lost + (pending if count else 0), 0
        inside = window[place + frame.inside : place + frame.inside + 4]
        again = again or (count > 0 and inside in (b"Xing", b"Info"))
        count += 1
        offset += frame.length
    return count, lost, again, offset - pending, False


def _confirmed(stream: BinaryIO, offset: int, size: int) -> bool:
    stream.seek(offset)
    return offset >= size or parse(stream.read(4)) is not None


def behind_tags(stream: BinaryIO, offset: int, size: int) -> int:
    """Where what follows a tag begins; the offset itself where none stands there."""
    while offset < size:
        stream.seek(offset)
        head = stream.read(32)
        if head[:3] == b"ID3" and len(head) >= 10 and not any(byte & 0x80 for byte in head[6:10]):
            length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            offset += 10 + length + (10 if head[5] & 0x10 else 0)
        elif head[:3] == b"TAG" and size - offset == 128:
            return size
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            length, _, flags = struct.unpack("<III", head[12:24])
            # A header stands before what it counts, a footer behind it.
            offset += 32 + (length if flags & 0x20000000 else 0)
        else:
            return offset
    return size
