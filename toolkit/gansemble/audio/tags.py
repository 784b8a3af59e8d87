"""The names of the tags of an audio file: those that libsndfile can copy, and all that FLAC, Ogg and MP3 files have."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

#: Tags that libsndfile reads and writes, by the names of :mod:`soundfile`.
KNOWN = ("title", "artist", "album", "comment", "date", "genre", "tracknumber", "copyright", "license", "software")
#: Other names of these: of Vorbis comments, and of ID3 frames.
_SAME = {
    **{"encoder": "software", "TIT2": "title", "TPE1": "artist", "TALB": "album", "COMM": "comment", "TDRC": "date"},
    **{"TYER": "date", "TCON": "genre", "TRCK": "tracknumber", "TCOP": "copyright", "TSSE": "software"},
}
#: Better known names of other ID3 frames.
_CALLED = {"TPE2": "album artist", "APIC": "picture", "TPOS": "disc number", "TCOM": "composer", "USLT": "lyrics"}
#: Bytes at the beginning of a file that are looked at, and largest number of tags.
_LOOKED_AT, _MOST = 1 << 20, 1000


def left_out(path: Path) -> list[str]:
    """The names of a file's tags that libsndfile cannot copy, such as ``albumartist``, in the file's order.

    Those of FLAC and Ogg (Vorbis comments) and of MP3 (ID3v2) are known; of other formats, and of tags that cannot be read,
    none are.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_LOOKED_AT)
        names = list(_names(head))
    except (OSError, struct.error, IndexError):
        return []
    rest, kept = [], set[str]()
    for name in names:
        if name not in KNOWN or name in kept:  # of several of one name libsndfile copies one
            rest.append(f"another {name}" if name in kept else name)
        kept.add(name)
    return list(dict.fromkeys(rest))


def _names(head: bytes) -> Iterator[str]:
    if head[:3] == b"ID3":
        yield from _id3(head)
    elif head[:4] == b"fLaC":
        yield from _flac(head)
    elif head[:4] == b"OggS":
        for mark in (b"\x03vorbis", b"OpusTags"):
            if (place := head.find(mark, 0, 1 << 16)) >= 0:
                yield from _comments(head[place + len(mark) :])


def _flac(head: bytes) -> Iterator[str]:
    """Of the blocks of metadata: their kind, their length, and whether it is the last one."""
    place, last = 4, False
    while not last and place + 4 <= len(head):
        last, kind = bool(head[place] & 0x80), head[place] & 0x7F
        size = int.from_bytes(head[place + 1 : place + 4], "big")
        if kind == 4:
            yield from _comments(head[place + 4 : place + 4 + size])
        elif kind == 6:
            yield "picture"
        place += 4 + size


def _comments(data: bytes) -> Iterator[str]:
    """Of Vorbis comments: the vendor, their number, then each as NAME=value, with its length before it."""
    place = 4 + struct.unpack_from("<I", data)[0]
    (count,) = struct.unpack_from("<I", data, place)
    place += 4
    for _ in range(min(count, _MOST)):
        (size,) = struct.unpack_from("<I", data, place)
        name, equals, _value = data[place + 4 : place + 4 + min(size, 256)].partition(b"=")
        if not equals:
            return  # cut by the header of a page of Ogg
        text = name.decode("ascii", "replace").lower()
        yield "picture" if text == "metadata_block_picture" else _SAME.get(text, text)
        place += 4 + size


def _id3(head: bytes) -> Iterator[str]:
    """Of ID3v2.3 and 2.4: frames of a name of four letters, a size, flags."""
    version, end = head[3], 10 + _seven(head[6:10])
    if version not in (3, 4) or head[5] & 0x40:
        return
    place = 10
    while place + 10 <= min(end, len(head)) and head[place : place + 4].isalnum():
        name = head[place : place + 4].decode("ascii", "replace")
        raw = head[place + 4 : place + 8]
        size = _seven(raw) if version == 4 else int.from_bytes(raw, "big")
        if name == "TXXX":  # its own name stands in it
            text = head[place + 11 : place + 10 + size]
            wide = head[place + 10] in (1, 2)
            name = text.decode("utf-16" if wide else "latin-1", "replace").partition("\0")[0].lower() or name
        yield _SAME.get(name, _CALLED.get(name, name))
        place += 10 + size


def _seven(data: bytes) -> int:
    """A number of four bytes with seven bits each."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(data, (21, 14, 7, 0), strict=False))
