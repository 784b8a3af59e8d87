"""Audio files of every container as accidents leave them: cut, overwritten, joined, with lengths that were never filled in."""

from __future__ import annotations

import io
import random
import struct
from dataclasses import dataclass

import numpy as np
import soundfile

RATE = 24000
SECONDS = 1.5
#: soundfile's container and sample format of each kind of file, by suffix.
KINDS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAVEX", "FLOAT"),
    "rf64": ("RF64", "PCM_24"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
SIZES = (0, 1, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0x7F000000, 100, 1 << 20)


def sound(seconds: float = SECONDS) -> np.ndarray:
    """A voice-like sound, float32 [T]: partials whose level changes all the time, so that no piece is like another."""
    time = np.arange(int(RATE * seconds)) / RATE
    partials = sum(np.sin(2 * np.pi * 140 * k * time + k) / k for k in range(1, 12))
    return (0.3 * partials * (0.3 + 0.7 * np.abs(np.sin(3 * time)))).astype(np.float32)


def original(kind: str) -> bytes:
    """A whole file of a kind of ``KINDS``."""
    stream = io.BytesIO()
    container, subtype = KINDS[kind]
    soundfile.write(stream, sound(), RATE, format=container, subtype=subtype)
    return stream.getvalue()


@dataclass(frozen=True)
class Mutation:
    """A file that was changed: how, and its content.

    ``loses`` says that audio is missing, or there that the header does not tell of, which a reader must notice; ``added``,
    that it is the latter.
    """

    name: str
    content: bytes
    loses: bool = False
    added: bool = False


def mutate(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    """Changes a file in one of many ways, as the random numbers say."""
    return rng.choice((_cut, _cut_header, _flip, _field, _hole, _remove, _join, _trail))(kind, whole, rng)


def _cut(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    size = rng.choice((len(whole) - 1, rng.randrange(len(whole)), len(whole) // 2, len(whole) - rng.randrange(1, 4000)))
    return Mutation(f"cut to {size} of {len(whole)} bytes", whole[: max(0, size)], len(whole) - size > 2000)


def _cut_header(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    size = rng.randrange(min(4200, len(whole)))
    return Mutation(f"cut to {size} bytes", whole[:size], True)


def _flip(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    data, places = bytearray(whole), []
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(min(len(data), rng.choice((64, 200, len(data)))))
        data[place] ^= 1 << rng.randrange(8)
        places.append(place)
    return Mutation(f"bits flipped in bytes {places}", bytes(data))


def _field(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    place = rng.choice((4, 8, 16, 20, 24, 28, 40, 42, 54, rng.randrange(4, 100)))
    value = rng.choice((*SIZES, rng.randrange(1 << 32)))
    order = rng.choice("<>")
    data = bytearray(whole)
    data[place : place + 4] = struct.pack(f"{order}I", value)
    return Mutation(f"{value:#x} ({order}) written at byte {place}", bytes(data))


def _hole(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    size = rng.randint(1, 5000)
    place = rng.randrange(100, max(101, len(whole) - size))
    fill = bytes(size) if rng.random() < 0.5 else rng.randbytes(size)
    return Mutation(f"{size} bytes overwritten at {place}", whole[:place] + fill + whole[place + size :])


def _remove(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    size = rng.randint(1, max(2, len(whole) // 3))
    place = rng.randrange(100, max(101, len(whole) - size))
    return Mutation(f"{size} bytes removed at {place}", whole[:place] + whole[place + size :], size > 4000)


def _join(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    other = rng.choice(list(KINDS))
    return Mutation(f"{other} behind it", whole + (whole if other == kind else original(other)), True, True)


def _trail(kind: str, whole: bytes, rng: random.Random) -> Mutation:
    size = rng.choice((1, 2, 3, 17, 128, 4096, 20000))
    what = rng.choice(("zeros", "noise", "text"))
    fill = {"zeros": bytes(size), "noise": rng.randbytes(size), "text": b"made by a recorder " * (size // 19 + 1)}[what]
    return Mutation(f"{size} bytes of {what} behind it", whole + fill[:size])
