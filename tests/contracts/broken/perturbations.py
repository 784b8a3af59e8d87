"""Perturbations with one mistake each."""

import numpy as np

_SHARED = np.random.default_rng(0)


class Sound:
    """A moving average of a few samples, as many as are drawn."""

    margin = 200

    def width(self, rng: np.random.Generator) -> int:
        return int(rng.integers(2, 40))

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        width = self.width(rng)
        made = np.convolve(audio, np.full(width, 1 / width), "same")
        return made[self.margin : len(made) - self.margin].astype(np.float32)


class SoundStretch:
    """Every sample at another speed, taken from the nearest place; linear."""

    margin = 3
    suits_pairs = True

    def factor(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(0.5, 2))

    def reads(self, length: int, rng: np.random.Generator) -> int:
        return int(np.ceil(length * self.factor(rng)))

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        factor = self.factor(rng)
        count = int((len(audio) - 2 * self.margin) / factor + 1e-6)
        return audio[self.margin + (np.arange(count) * factor).astype(int)]


class SoundFixed(Sound):
    """The same for every crop, and says so."""

    draws = False

    def width(self, rng: np.random.Generator) -> int:
        return 9


class HalfOfIt(SoundStretch):
    """Returns half as many samples as it said it would."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        made = super().__call__(audio, rng)
        return made[: len(made) // 2]


class OtherDraw(SoundStretch):
    """Draws something before the factor in the call, so that it reads for another factor."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        rng.random()
        return super().__call__(audio, rng)


class ReadsHalves(SoundStretch):
    """Says that it reads a fraction of a sample."""

    def reads(self, length: int, rng: np.random.Generator) -> int:
        return length * self.factor(rng)  # type: ignore[return-value]


class InDouble(Sound):
    """Forgets that the mean is in double precision."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super().__call__(audio, rng).astype(np.float64)


class InSeconds(Sound):
    """Gives the margin in seconds."""

    margin = 0.1  # type: ignore[assignment]


class WithItsMargins(Sound):
    """Returns the margins, too."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.convolve(audio, np.full(5, 0.2) * rng.random(), "same").astype(np.float32)


class DoesNothing(Sound):
    """Gives back what it got."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return audio[self.margin : len(audio) - self.margin].copy()


class SecretlyFixed(Sound):
    """The same for every crop, without saying so."""

    def width(self, rng: np.random.Generator) -> int:
        return 9


class SecretlyDraws(Sound):
    """Says that it draws nothing."""

    draws = False


class DrawsInNumpy(Sound):
    """Draws from numpy's global generator."""

    def width(self, rng: np.random.Generator) -> int:
        return int(np.random.randint(2, 40))


class DrawsByItself(Sound):
    """Draws from a generator of its own."""

    def width(self, rng: np.random.Generator) -> int:
        return int(_SHARED.integers(2, 40))


class Remembers(Sound):
    """Remembers the width of the crop before."""

    def __init__(self) -> None:
        self.last = 20

    def width(self, rng: np.random.Generator) -> int:
        self.last = (self.last + int(rng.integers(2, 200))) // 2 + 1
        return self.last


class InPlace(Sound):
    """Takes the mean off its input."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        audio -= audio.mean()
        return super().__call__(audio, rng)


class Normalises(Sound):
    """Scales to a peak: silence divides by nothing."""

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        made = super().__call__(audio, rng)
        return made / np.abs(made).max()


class ClipsPairs(Sound):
    """Says that it suits pairs, and clips."""

    suits_pairs = True

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return super().__call__(np.clip(audio, -0.05, 0.05), rng)


class HoldsAFunction(Sound):
    """Keeps a local function, which no other process can have."""

    def __init__(self) -> None:
        self.shape = lambda x: x
