"""Lossy codecs as they really are: MP3, Ogg Vorbis and Opus, encoded and decoded by libsndfile."""

from __future__ import annotations

import io
from typing import Annotated, Any, Literal

import numpy as np
import soundfile

from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.errors import PluginError
from gansemble.numbers import Several, Share
from gansemble_plugins.degradations import filters

Name = Literal["mp3", "vorbis", "opus"]
#: soundfile's container and format of each codec.
FORMATS = {"mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
#: Sample rates [Hz] that each encoder takes; other audio is resampled to the next higher one, and back.
RATES = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "vorbis": tuple(range(8000, 192001)),
    "opus": (8000, 12000, 16000, 24000, 48000),
}
#: Compression levels beyond which libsndfile refuses to encode.
HIGHEST_LEVEL = {"mp3": 0.99, "vorbis": 1.0, "opus": 1.0}
#: Delay of an MP3 encoder and decoder [samples]: 576 and 529. A decoder takes it away itself where the file states it, which
#: at the lowest bit rates it has no room for.
MP3_DELAY = 576 + 529
#: How far a sample's value reaches through overlapping blocks, prediction and the bit reservoir of a codec [s].
REACH_SECONDS = 0.15


class Codec:
    """Encodes a recording with a drawn codec at a drawn strength, and decodes it again.

    libsndfile's compression level decides the bit rate, from 0, the highest that an encoder has, to 1, the lowest: constant for
    MP3 (at 44.1 kHz 320 to 32 kbit/s, below 32 kHz 160 to 8; its encoder, LAME, makes all but the highest rates 0.45 dB softer),
    variable quality for Vorbis, 256 to 6 kbit/s for Opus. Nothing is shifted in time, and the length stays. Silence stays silence.

    A codec decides from what it has heard before, so that a crop is not exactly what it is in the whole recording; ``margin``
    is what it hears before the crop.

    Args:
        audio: the audio specification, supplied by the toolkit.
        codecs: equally likely.
        strength: compression levels that are drawn from, uniformly.

    Shape: [T] -> [T], float32.

    Raises:
        ValueError: for no codec, or a strength outside 0 to 1.
        PluginError: if this system's libsndfile lacks a codec.
    """

    #: What a codec does to a block depends on the blocks before.
    exact_crops = False

    def __init__(
        self,
        *,
        audio: AudioSpec,
        codecs: Annotated[tuple[Name, ...], Several] = ("mp3", "vorbis", "opus"),
        strength: tuple[Share, Share] = (0.3, 0.95),
    ) -> None:
        _check(codecs, strength)
        for name in codecs:
            container, subtype = FORMATS[name]
            if container not in soundfile.available_formats() or subtype not in soundfile.available_subtypes(container):
                raise PluginError(
                    f"codec {name}: libsndfile {soundfile.__libsndfile_version__} of this system cannot write it; it is part of "
                    "soundfile's wheels from 0.12 on"
                )
        self.rate, self.codecs, self.strength = audio.sample_rate, codecs, strength
        self.margin = round(REACH_SECONDS * audio.sample_rate)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Gives the degraded recording, of any length."""
        _check(parameters["codecs"], parameters["strength"])
        return Contract(gives=frozenset({"degraded"}))

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        samples = filters.checked(audio)
        name = filters.one_of(rng, self.codecs)
        level = filters.between(rng, self.strength)
        if not samples.any():
            return np.zeros(len(samples), np.float32)
        return coded(samples.astype(np.float32), self.rate, name, level)


def coded(samples: np.ndarray, rate: int, name: Name, level: float) -> np.ndarray:
    """What a codec makes of a signal, in its place in time and of its length.

    Args:
        samples: float32 [T].
        rate: of them [Hz].
        name: of the codec.
        level: libsndfile's compression level, from 0 to 1.
    """
    at = next((other for other in RATES[name] if other >= rate), RATES[name][-1])
    given = files.resample(samples[None], rate, at)[0]
    stream = io.BytesIO()
    container, subtype = FORMATS[name]
    settings: dict[str, Any] = {"bitrate_mode": "CONSTANT"} if name == "mp3" else {}
    level = min(level, HIGHEST_LEVEL[name])
    soundfile.write(stream, given, at, format=container, subtype=subtype, compression_level=level, **settings)
    stream.seek(0)
    made, _ = soundfile.read(stream, dtype="float32")
    if len(made) > len(given):  # an MP3 file that does not state its delay
        made = made[MP3_DELAY:]
    made = np.pad(made[: len(given)], (0, max(0, len(given) - len(made))))
    return files.resample(made[None], at, rate)[0][: len(samples)]


def _check(codecs: tuple[str, ...], strength: tuple[float, float]) -> None:
    unknown = [name for name in codecs if name not in FORMATS]
    if not codecs or unknown:
        raise ValueError(f"codecs must be some of {', '.join(FORMATS)}, got {list(codecs)}")
    filters.check_range("strength", strength)
    if not 0 <= strength[0] <= strength[1] <= 1:
        raise ValueError(f"strength must be from 0 to 1, got {strength}")
