"""Embedders with one mistake each."""

import numpy as np
import torch


class Sound:
    """Levels of four quarters of the spectrum in windows of 0.1 s [dB]."""

    sample_rate = 16000
    window = 1600
    dim = 4
    key = "quarters"
    definition = "levels of four quarters of the spectrum"

    def embed(self, audio: np.ndarray) -> np.ndarray:
        padded = np.pad(audio, (0, max(0, self.window - len(audio))))
        return self.levels(padded[: len(padded) // self.window * self.window].reshape(-1, self.window))

    def levels(self, windows: np.ndarray) -> np.ndarray:
        """float32 [L, 4] of windows [L, 1600]."""
        power = np.square(np.abs(np.fft.rfft(windows)))[:, :800].reshape(len(windows), 4, 200).sum(axis=2)
        return (10 * np.log10(power + 1e-9)).astype(np.float32)


class GivesOneVector(Sound):
    """The mean over windows."""

    def embed(self, audio: np.ndarray) -> np.ndarray:
        return super().embed(audio).mean(axis=0)


class InDouble(Sound):
    """Stays in double precision."""

    def levels(self, windows: np.ndarray) -> np.ndarray:
        return super().levels(windows).astype(np.float64)


class LeavesOutShortAudio(Sound):
    """Has no window of audio that is shorter than one."""

    def embed(self, audio: np.ndarray) -> np.ndarray:
        return self.levels(audio[: len(audio) // self.window * self.window].reshape(-1, self.window))


class RateInKilohertz(Sound):
    """A rate that is no whole number."""

    sample_rate = 16.0  # type: ignore[assignment]


class DividesByTheLevel(Sound):
    """Gives the same whatever it hears."""

    def levels(self, windows: np.ndarray) -> np.ndarray:
        return np.ones((len(windows), 4), np.float32)


class LogOfNothing(Sound):
    """Logarithms of the difference from itself."""

    def levels(self, windows: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.log(0 * super().levels(windows))


class WithoutAWindow(Sound):
    """Says nothing of its window."""

    @property
    def window(self) -> int:  # type: ignore[override]
        raise AttributeError("window")


class SpacedKey(Sound):
    """A key that is a sentence."""

    key = "Levels of quarters"


class CountsInItsDefinition(Sound):
    """Tells how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    @property
    def definition(self) -> str:  # type: ignore[override]
        return f"levels of quarters, asked {self.asked} times"

    def embed(self, audio: np.ndarray) -> np.ndarray:
        self.asked += 1
        return super().embed(audio)


class AddsDither(Sound):
    """Dithers what it hears."""

    def embed(self, audio: np.ndarray) -> np.ndarray:
        return super().embed(audio + 1e-3 * np.random.standard_normal(len(audio)))


class RunningMean(Sound):
    """Takes off the mean of all that it heard."""

    def __init__(self) -> None:
        self.mean = np.zeros(4, np.float32)

    def levels(self, windows: np.ndarray) -> np.ndarray:
        made = super().levels(windows)
        self.mean = 0.9 * self.mean + 0.1 * made.mean(axis=0)
        return made - self.mean


class CentresInPlace(Sound):
    """Takes the mean off its input."""

    def embed(self, audio: np.ndarray) -> np.ndarray:
        audio -= audio.mean()
        return super().embed(audio)


class SwitchesGradientsOff(Sound):
    """Switches gradients off for good."""

    def embed(self, audio: np.ndarray) -> np.ndarray:
        torch.set_grad_enabled(False)
        return super().embed(audio)


class ByTheRecipe(Sound):
    """Takes the recipe's seed.

    Args:
        seed: of nothing.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
