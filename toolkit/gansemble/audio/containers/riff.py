"""WAV files: RIFF and RIFX, RF64 and BW64, and Sony's Wave64."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from gansemble.audio.containers.layout import Fault, Layout, Patch, behind, seconds

#: Sizes that programs leave behind which write to a pipe and cannot fill in the real one. 2 GiB and 4 GiB, less up to
#: 64 KiB that some subtract for the header or round down.
UNKNOWN = (range(0x7F000000, 0x7F000100), range(0x7FFF0000, 0x80000100), range(0xFFFF0000, 0x100000000))
LARGEST = 0xFFFFFFFF
#: Ids of Wave64's chunks are GUIDs; these end those of ``data`` and ``fmt``.
W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")


class Chunk(NamedTuple):
    """A piece of a file: its id, where its content begins, its stated size, and where the size stands."""

    name: bytes
    start: int
    size: int
    size_at: int


class Format(NamedTuple):
    """What the ``fmt`` chunk says.

    Args:
        bytes_per_second: 0 where it is not sensible.
        linear: whether samples are uncompressed numbers.
        contradiction: in words; empty where there is none.
    """

    bytes_per_second: int
    linear: bool
    contradiction: str


def unknown(size: int) -> bool:
    """Whether a stated size is one that streaming writers leave behind."""
    return any(size in each for each in UNKNOWN)


def inspect(stream: BinaryIO, size: int) -> Layout:
    """Compares what the chunks of a RIFF, RIFX, RF64 or BW64 file state with what is there.

    Args:
        stream: the file, which is a WAV file by its first twelve bytes.
        size: of the file.
    """
    stream.seek(0)
    magic = stream.read(4)
    order = ">" if magic == b"RIFX" else "<"
    large = _ds64(stream) if magic in (b"RF64", b"BW64") else None
    found, form = None, Format(0, False, "")
    for chunk in chunks(stream, 12, size, order):
        if chunk.name == b"fmt ":
            stream.seek(chunk.start)
            form = read_format(stream.read(min(chunk.size, 40)), order)
        if chunk.name == b"data":
            found = chunk
            break
    if found is None:
        return Layout(Fault("truncated", "it ends before its audio begins (no data chunk)"))
    if form.contradiction:
        return Layout(Fault("damaged", f"its header contradicts itself: {form.contradiction}"))
    stated = large.size if large is not None and found.size == LARGEST else found.size
    there = size - found.start
    if stated == 0 or unknown(stated) or (large is not None and stated >= 1 << 62):
        if stated == 0 and _only_chunks(stream, found.start, size, order):
            return Layout()
        return _streamed(found, large, there, order)
    if stated > there:
        return Layout(truncated(stated, there, form.bytes_per_second))
    end = last_end(stream, found.start + stated + (found.start + stated) % 2, size, order)
    fault, remark = behind(stream, end, size, form.bytes_per_second if form.linear else 0)
    return Layout(fault, remark)


def truncated(stated: int, there: int, rate: float) -> Fault:
    """The fault of a file that holds fewer bytes of audio than its header states."""
    both = f"its header states {seconds(stated, rate)}, it holds {seconds(max(0, there), rate)}"
    return Fault("truncated", f"{both} ({stated - max(0, there)} bytes are missing)")


def _streamed(found: Chunk, large: Chunk | None, there: int, order: str) -> Layout:
    """A file whose writer could not fill in the size: all that is there is audio."""
    if large is not None:
        return Layout(patches=(Patch(large.size_at, struct.pack("<Q", there)),))
    if there > LARGEST:
        return Layout(
            Fault(
                "truncated",
                f"a WAV header can state 4 GiB, and {there} bytes of audio follow; convert it to RF64 or W64",
            )
        )
    # The size of the whole file as well: of a file that states neither, libsndfile reads nothing.
    whole = min(LARGEST, found.start + there - 8)
    return Layout(
        patches=(Patch(4, struct.pack(f"{order}I", whole)), Patch(found.size_at, struct.pack(f"{order}I", there)))
    )


def chunks(stream: BinaryIO, start: int, size: int, order: str) -> Iterator[Chunk]:
    """The chunks of a file, from an offset on, as far as they begin before its end."""
    while start + 8 <= size:
        stream.seek(start)
        name, length = struct.unpack(f"{order}4sI", stream.read(8))
        yield Chunk(name, start + 8, length, start + 4)
        start = _next(stream, start + 8 + length, size)


def _next(stream: BinaryIO, end: int, size: int) -> int:
    """Where the next chunk begins: at an even offset, but some writers forget the byte between."""
    if end % 2 == 0 or end + 4 > size:
        return end + end % 2
    stream.seek(end)
    name = stream.read(5)
    return end if _printable(name[:4]) and not _printable(name[1:]) else end + 1


def _printable(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= each < 127 for each in name)


def _only_chunks(stream: BinaryIO, start: int, size: int, order: str) -> bool:
    """Whether all bytes from an offset on are whole chunks, of which none is left over or cut."""
    return last_end(stream, start, size, order) >= size


def last_end(stream: BinaryIO, start: int, size: int, order: str) -> int:
    """Where the last of the whole chunks ends that follow one another from ``start`` on."""
    end = start
    for chunk in chunks(stream, start, size, order):
        if (
            not _printable(chunk.name)
            or chunk.name in (b"RIFF", b"RIFX", b"RF64", b"FORM")
            or chunk.start + chunk.size > size
        ):
            break
        end = chunk.start + chunk.size
        end += end % 2 if end < size else 0
    return end


def read_format(content: bytes, order: str) -> Format:
    """Reads the content of a ``fmt`` chunk, and holds its numbers against each other."""
    if len(content) < 16:
        return Format(0, False, "its fmt chunk is too short")
    tag, channels, rate, per_second, block, bits = struct.unpack(f"{order}HHIIHH", content[:16])
    if tag == 0xFFFE and len(content) >= 26:
        tag = struct.unpack(f"{order}H", content[24:26])[0]
    linear = tag in (1, 3)
    if not linear or not (channels and rate and block):
        return Format(per_second, False, "")
    if block != channels * (-(-bits // 8)):
        return Format(rate * block, True, f"{block} bytes for {channels} samples of {bits} bits")
    if per_second != rate * block:
        # Some writers leave this at 0, or count bits; a header with one flipped bit looks the same.
        harmless = per_second in (0, rate * block * 8)
        said = "" if harmless else f"{per_second} bytes a second at {rate} Hz and {block} bytes a sample"
        return Format(rate * block, True, said)
    return Format(per_second, True, "")


def _ds64(stream: BinaryIO) -> Chunk | None:
    """The size of the audio in the ``ds64`` chunk of an RF64 file, which stands in for that of the ``data`` chunk."""
    stream.seek(12)
    head = stream.read(24)
    if len(head) < 24 or head[:4] != b"ds64":
        return None
    return Chunk(b"ds64", 20, struct.unpack("<Q", head[16:24])[0], 28)


def inspect_w64(stream: BinaryIO, size: int) -> Layout:
    """The same of a Wave64 file, whose chunks have 128-bit ids and count their own 24 bytes of header."""
    start, rate, linear = 40, 0, False
    while start + 24 <= size:
        stream.seek(start)
        name, length = struct.unpack("<16sQ", stream.read(24))
        if name[:4] == b"fmt ":
            form = read_format(stream.read(min(max(0, length - 24), 40)), "<")
            rate, linear = form.bytes_per_second, form.linear
            if form.contradiction:
                return Layout(Fault("damaged", f"its header contradicts itself: {form.contradiction}"))
        if name[:4] == b"data":
            return _w64_data(stream, start + 24, length - 24, size, rate if linear else 0, rate)
        if length < 24:
            return Layout(Fault("damaged", f"its header contradicts itself: a chunk of {length} bytes"))
        start += length + -length % 8
    return Layout(Fault("truncated", "it ends before its audio begins (no data chunk)"))


def _w64_data(stream: BinaryIO, start: int, stated: int, size: int, linear: int, rate: int) -> Layout:
    there = size - start
    if stated <= 0 or stated >= 1 << 61:
        return Layout()  # a streaming writer's: libsndfile reads to the end of the file
    if stated > there:
        return Layout(truncated(stated, there, rate))
    end = start + stated
    following = end + -end % 8
    while following + 24 <= size:
        stream.seek(following)
        name, length = struct.unpack("<16sQ", stream.read(24))
        if not name.endswith(W64_TAIL) or length < 24 or following + length > size:
            break
        following += length + -length % 8
    fault, remark = behind(stream, following, size, linear)
    # libsndfile takes whatever follows for audio, so it is shown a file that ends there.
    return Layout(fault, remark, end=end if end < size else None)
