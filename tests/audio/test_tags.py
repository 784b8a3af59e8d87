"""Tags that cannot be copied are named, and nothing that a file holds makes that fail."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.audio.tags import left_out

COMMENTS = ["TITLE=Song", "artist=One", "ARTIST=Two", "ALBUMARTIST=All", "REPLAYGAIN_TRACK_GAIN=-6 dB", "encoder=x"]
LEFT = ["another artist", "albumartist", "replaygain_track_gain"]


def comments(texts: list[str]) -> bytes:
    listed = b"".join(struct.pack("<I", len(raw)) + raw for raw in (text.encode() for text in texts))
    return struct.pack("<I", 3) + b"ven" + struct.pack("<I", len(texts)) + listed


def block(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + len(data).to_bytes(3, "big") + data


def flac(path: Path, *blocks: bytes) -> Path:
    """A FLAC file with blocks of metadata before those that it has."""
    soundfile.write(path, np.zeros(2000), 16000, format="FLAC")
    data = path.read_bytes()
    path.write_bytes(data[:4] + data[4:42] + b"".join(blocks) + data[42:])
    return path


def id3(path: Path, version: int, *frames: tuple[bytes, bytes]) -> Path:
    def size(number: int) -> bytes:
        return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))

    body = b"".join(
        name + (size(len(text)) if version == 4 else len(text).to_bytes(4, "big")) + bytes(2) + text
        for name, text in frames
    )
    path.write_bytes(b"ID3" + bytes([version, 0, 0]) + size(len(body) + 10) + body + bytes(10) + b"\xff\xfb\x90\x00")
    return path


def test_the_names_of_vorbis_comments_are_told(tmp_path):
    assert left_out(flac(tmp_path / "a.flac", block(4, comments(COMMENTS)), block(6, b"x"))) == [*LEFT, "picture"]
    (tmp_path / "a.ogg").write_bytes(
        b"OggS" + bytes(24) + b"\x01vorbis" + bytes(30) + b"\x03vorbis" + comments(COMMENTS)
    )
    assert left_out(tmp_path / "a.ogg") == LEFT


@pytest.mark.parametrize("version", [3, 4])
def test_the_names_of_id3_frames_are_told(tmp_path, version):
    frames = [
        (b"TIT2", b"\0Song"),
        (b"TPE2", b"\0All"),
        (b"APIC", bytes(300)),
        (b"TXXX", b"\0REPLAYGAIN_TRACK_GAIN\0-6"),
    ]
    frames += [(b"TXXX", b"\1" + "Mood".encode("utf-16") + bytes(2)), (b"XYZW", b"")]
    found = left_out(id3(tmp_path / "a.mp3", version, *frames))
    assert found == ["album artist", "picture", "replaygain_track_gain", "mood", "XYZW"]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_of_what_libsndfile_writes_nothing_is_left_out(tmp_path, name):
    with soundfile.SoundFile(tmp_path / name, "w", 16000, 1) as out:
        for each in ("title", "artist", "album", "comment", "date", "genre", "tracknumber"):
            setattr(out, each, "1999")
        out.write(np.zeros(16000))
    assert left_out(tmp_path / name) == []


def test_whatever_bytes_there_are_nothing_fails(tmp_path):
    seed = int(os.environ.get("GANSEMBLE_SEED", random.randrange(10**6)))
    print(f"GANSEMBLE_SEED={seed}")
    draw = random.Random(seed)
    whole = [
        flac(tmp_path / "a.flac", block(4, comments(COMMENTS))).read_bytes(),
        id3(tmp_path / "a.mp3", 4, (b"TPE2", b"\0All"), (b"TXXX", b"\1\xff\xfeM\0\0\0")).read_bytes(),
        b"OggS" + bytes(24) + b"\x03vorbis" + comments(COMMENTS),
    ]
    for _ in range(300):
        data = bytearray(draw.choice(whole)[: draw.randrange(1, 400)])
        for _ in range(draw.randrange(4)):
            data[draw.randrange(len(data))] = draw.choice([0, 1, 255, draw.randrange(256)])
        (tmp_path / "b").write_bytes(bytes(data))
        left_out(tmp_path / "b")
    assert left_out(tmp_path / "gone") == [] == left_out(tmp_path)
