"""Augmentations with one mistake each."""

from collections.abc import Iterator

import numpy as np

Made = Iterator[tuple[str, np.ndarray]]


class Sound:
    """The clip backwards, and quieter."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "reversed", audio[::-1].copy()
        yield "quiet", 0.5 * audio


class SpacesInNames(Sound):
    """Names variants as one would say them."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "6 dB less", 0.5 * audio


class PathsInNames(Sound):
    """Names a variant as if it were a file."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "../quiet", 0.5 * audio


class OneName(Sound):
    """Gives two variants one name."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "quiet", 0.5 * audio
        yield "quiet", 0.25 * audio


class Faster(Sound):
    """Plays at twice the speed."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "faster", audio[::2].copy()


class InDouble(Sound):
    """Forgets that its gain is in double precision."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "quiet", np.float64(0.5) * audio.astype(np.float64)


class Integers(Sound):
    """Gives 16-bit samples."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "reversed", (audio[::-1] * 32767).astype(np.int16)


class DividesByItsLevel(Sound):
    """Gives NaN of silence."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "levelled", (0.1 * audio / np.sqrt(np.mean(audio**2))).astype(np.float32)


class Same(Sound):
    """Gives the clip itself."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "same", audio.copy()


class NextToNothing(Sound):
    """Takes the sound away."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "far", 0.001 * audio


class ForShortClips(Sound):
    """Leaves all but the shortest clips as they are, without an example that does otherwise."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        if len(audio) < 100:
            yield "quiet", 0.5 * audio


class Draws(Sound):
    """Draws its gain from numpy's generator."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "quiet", (audio * np.random.uniform(0.3, 0.6)).astype(np.float32)


class Remembers(Sound):
    """Mixes the clip before into this one."""

    def __init__(self) -> None:
        self.before = np.zeros(1, np.float32)

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        mixed = 0.5 * audio
        length = min(len(mixed), len(self.before))
        mixed[:length] += 0.5 * self.before[:length]
        self.before = audio.copy()
        yield "mixed", mixed


class InPlace(Sound):
    """Scales what it was given."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        audio *= 0.5
        yield "quiet", audio.copy()


class OneBuffer(Sound):
    """Makes all variants in one array."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        made = audio.copy()
        for gain in ("0.5", "0.25"):
            made *= 0.5
            yield f"gain_{gain}", made


class AddsHiss(Sound):
    """Adds what a quiet tape would."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        hiss = 0.001 * np.random.default_rng(0).standard_normal(len(audio))
        yield "tape", (audio + hiss).astype(np.float32)


class BySeed(Sound):
    """Takes a gain by the plan's seed.

    Args:
        seed: of the gain.
    """

    def __init__(self, *, seed: int) -> None:
        self.gain = 0.3 + 0.3 * (seed % 7) / 7

    def variants(self, audio: np.ndarray, sample_rate: int) -> Made:
        yield "quiet", (self.gain * audio).astype(np.float32)
