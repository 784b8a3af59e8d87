"""Degradations with one mistake each."""

from typing import Any

import numpy as np
from scipy.signal import butter, sosfilt, sosfiltfilt

from gansemble.contract import Contract

_SHARED = np.random.default_rng(0)


class Sound:
    """A zero-phase low-pass whose cut-off is drawn for each clip."""

    margin = 400

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Gives degraded clips."""
        return Contract(gives=frozenset({"degraded"}))

    def cutoff(self, rng: np.random.Generator) -> float:
        """As a share of half the sample rate."""
        return rng.uniform(0.3, 0.6)

    def sections(self, rng: np.random.Generator) -> np.ndarray:
        return butter(4, self.cutoff(rng), output="sos")

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return sosfiltfilt(self.sections(rng), audio, padlen=min(len(audio) - 1, 100)).astype(np.float32)


class Causal(Sound):
    """Filters in one direction, which delays."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return sosfilt(butter(8, 0.05, output="sos"), audio).astype(np.float32)


class Decimates(Sound):
    """Gives every other sample."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super().__call__(audio, rng)[::2]


class InDouble(Sound):
    """Forgets that the filter computes in double precision."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super().__call__(audio, rng).astype(np.float64)


class NeedsLength(Sound):
    """Fails on clips that are shorter than the filter's padding."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return sosfiltfilt(self.sections(rng), audio, padlen=100).astype(np.float32)


class Normalises(Sound):
    """Scales to a peak: silence divides by nothing."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        made = super().__call__(audio, rng)
        with np.errstate(all="ignore"):
            return (made / np.abs(made).max()).astype(np.float32) * np.abs(audio).max()


class AddsHiss(Sound):
    """Adds noise where there was silence."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super().__call__(audio, rng) + rng.standard_normal(len(audio)).astype(np.float32) * 1e-3


class DoesNothing(Sound):
    """Gives back what it got."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return audio.copy()


class Amplifies(Sound):
    """Three times as loud."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return 3 * super().__call__(audio, rng)


class DrawsByItself(Sound):
    """Draws from a generator of its own."""

    def cutoff(self, rng: np.random.Generator) -> float:
        return _SHARED.uniform(0.3, 0.6)


class DrawsInNumpy(Sound):
    """Draws from numpy's global generator."""

    def cutoff(self, rng: np.random.Generator) -> float:
        return float(np.random.uniform(0.3, 0.6))


class Remembers(Sound):
    """Keeps the cut-off of the clip before."""

    def __init__(self) -> None:
        self.last = 0.45

    def cutoff(self, rng: np.random.Generator) -> float:
        self.last = (self.last + super().cutoff(rng)) / 2
        return self.last


class InPlace(Sound):
    """Takes the mean off its input."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        audio -= audio.mean()
        return super().__call__(audio, rng)


class ShortMargin(Sound):
    """Asks for fewer samples than its filter reaches."""

    margin = 4


class DrawsByPlace(Sound):
    """Draws a number for each sample: a crop draws others than the whole."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super().__call__(audio * rng.uniform(0.5, 1, len(audio)), rng)


class NoMargin(Sound):
    """Gives the margin in seconds."""

    margin = 0.1  # type: ignore[assignment]


class SaysNothing(Sound):
    """Its contract does not say what it gives."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        return Contract()


class HoldsAFunction(Sound):
    """Keeps a local function, which no other process can have."""

    def __init__(self) -> None:
        self.shape = lambda x: x
