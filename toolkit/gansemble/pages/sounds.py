"""The sounds of a page: kept as FLAC while it is made, and as Opus where they would else make it too large."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soundfile

from gansemble.audio import files
from gansemble.recipe.sections import PageSound

#: Megabyte, as browsers and file managers count it [bytes].
MEGABYTE = 1_000_000
#: Growth of base64.
TEXT = 4 / 3
#: Sample rates that Opus has [Hz].
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
#: Bit rates of one channel of Opus between which a page chooses [kbit/s]. Below the lower one, voices sound coded.
LOWEST_RATE, HIGHEST_RATE = 48.0, 128.0
#: Bit rates at compression levels 1 and 0 of libsndfile's Opus encoder [kbit/s].
_SMALLEST, _LARGEST = 6.0, 256.0
_TYPES = {"flac": "audio/flac", "opus": "audio/ogg; codecs=opus", "wav": "audio/wav"}


@dataclass(frozen=True)
class Embedded:
    """A sound as a page holds it.

    Args:
        name: of the element that holds it.
        type: media type.
        text: the file, base64.
    """

    name: str
    type: str
    text: str

    def element(self) -> str:
        """The element of HTML: a block of data, which no browser runs."""
        return f'<script type="text/plain" id="{self.name}" data-type="{self.type}">{self.text}</script>'


class Sounds:
    """Collects the sounds of a page, which are encoded for good when all of them are known.

    Args:
        sound: how they are embedded; ``auto`` takes FLAC, and Opus where the page would else be larger than allowed.
        megabytes: largest size of the page.
    """

    def __init__(self, sound: PageSound = "auto", megabytes: float = 25.0) -> None:
        self.sound, self.megabytes = sound, megabytes
        self.seconds = 0.0
        self._flac: list[bytes] = []

    def add(self, audio: np.ndarray, rate: int) -> str:
        """Adds a sound and returns the name of its element.

        Args:
            audio: samples [T], or [C, T] of C channels; those beyond full scale are clipped, NaN and Inf are silence.
            rate: of them [Hz].
        """
        whole = np.clip(np.nan_to_num(audio.T, nan=0.0, posinf=0.0, neginf=0.0), -1, 1).astype(np.float32)
        # A file of no samples would have no header either, and could not be read.
        self._flac.append(
            _encode(whole if len(whole) else np.zeros((1, *whole.shape[1:]), np.float32), rate, "FLAC", "PCM_16")
        )
        self.seconds += len(whole) / rate
        return f"sound-{len(self._flac)}"

    def embedded(self, rest: int, say: Callable[[str], None]) -> list[Embedded]:
        """All sounds, encoded so that the page keeps to its size, which is said.

        Args:
            rest: size of everything else on the page [bytes].
            say: called with a line about the page's size, and what was done for it.
        """
        if not self._flac:
            return []
        kind, coded = self._coded(rest)
        size = (rest + sum(len(each) for each in coded) * TEXT) / MEGABYTE
        lossless = (rest + sum(map(len, self._flac)) * TEXT) / MEGABYTE
        text = f"{len(coded)} sounds of {self.seconds:.0f} s in all, as {kind.partition(' ')[0].upper()}{kind[4:]}; {size:.1f} MB"
        if self.sound == "auto" and not kind.startswith("flac"):
            text += f" (as FLAC {lossless:.1f}; evaluation.page_megabytes is {self.megabytes:g})"
        say(text)
        if size > self.megabytes:
            say(
                f"warning: the page is larger than evaluation.page_megabytes, {self.megabytes:g}: lower evaluation.shown or "
                "evaluation.seconds"
            )
        type_ = _TYPES[kind.partition(" ")[0]]
        return [
            Embedded(f"sound-{place + 1}", type_, base64.b64encode(each).decode("ascii"))
            for place, each in enumerate(coded)
        ]

    def _coded(self, rest: int) -> tuple[str, list[bytes]]:
        """(name of the encoding, the encoded sounds)."""
        left = self.megabytes * MEGABYTE - rest
        if self.sound == "wav":
            return "wav", [_encode(*_decode(each), "WAV", "PCM_16") for each in self._flac]
        if self.sound == "flac" or (self.sound == "auto" and sum(map(len, self._flac)) * TEXT <= left):
            return "flac", list(self._flac)
        # An Ogg file has a few kilobytes of its own.
        room = (left / TEXT - 3000 * len(self._flac)) * 8 / 1000 / max(self.seconds, 1e-3)
        wanted = HIGHEST_RATE if self.sound == "opus" else min(HIGHEST_RATE, 0.95 * room)
        bits = max(LOWEST_RATE, wanted)
        return f"opus of {bits:.0f} kbit/s", [_opus(*_decode(each), bits) for each in self._flac]


def _encode(audio: np.ndarray, rate: int, container: str, subtype: str, level: float | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, audio, rate, format=container, subtype=subtype, compression_level=level)
    return stream.getvalue()


def _decode(flac: bytes) -> tuple[np.ndarray, int]:
    audio, rate = soundfile.read(io.BytesIO(flac), dtype="float32")
    return audio, rate


def _opus(audio: np.ndarray, rate: int, kilobits: float) -> bytes:
    at = next((each for each in OPUS_RATES if each >= rate), OPUS_RATES[-1])
    level = 1 - (kilobits - _SMALLEST) / (_LARGEST - _SMALLEST)
    return _encode(files.resample(np.atleast_2d(audio.T), rate, at).T, at, "OGG", "OPUS", level)


def mono(audio: np.ndarray) -> np.ndarray:
    """The mean [T] of the channels of samples [T] or [C, T], for pictures."""
    return audio if audio.ndim == 1 else audio.mean(0)


def gains(versions: list[np.ndarray]) -> tuple[list[float], float]:
    """Factors that give all versions of a clip the level of the first one, its reference.

    Args:
        versions: audio [T], or [C, T], each.

    Returns:
        (a factor for each version, so that all have the root mean square of the first and none exceeds full scale; the factor
        of all of them where levels are left as they are). A silent version, and one that is more than 20 dB louder or softer
        than the first, keeps its own level.
    """
    levels = [float(np.sqrt(np.mean(np.square(each, dtype=np.float64)))) if each.size else 0.0 for each in versions]
    own = [levels[0] / level if level > 0 and levels[0] > 0 else 1.0 for level in levels]
    own = [factor if abs(20 * math.log10(factor)) <= 20 else 1.0 for factor in own]
    loudest = max(
        (f * float(np.abs(each).max()) for f, each in zip(own, versions, strict=True) if each.size), default=0.0
    )
    down = 1 / loudest if loudest > 1 else 1.0
    return [factor * down for factor in own], 1.0
