"""Ten kinds of synthetic environmental sound for mini corpora: noises, tones, clicks and rumbles, by numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

#: Octaves that all frequencies of a kind move, by the tens of its number.
SHIFTS = (0.0, -0.6, 0.6, -1.2, 1.2)
FLOOR = 5e-4  # standard deviation of the noise under each sound: a recording holds no digital silence


def texture(kind: int, samples: int, sample_rate: int, seed: Sequence[int], pace: float = 1.0) -> np.ndarray:
    """A sound of a kind, float32 [samples], peak 0.2 to 0.7; the same for the same arguments.

    Args:
        kind: 0 to 9; from 10 on, the same ten kinds higher or lower, and no two kinds below 50 alike.
        samples: how many.
        sample_rate: [Hz].
        seed: of what is drawn.
        pace: how fast events follow each other, 1 being the kind's own.
    """
    draws = np.random.default_rng(tuple(seed))
    shift = 2.0 ** SHIFTS[kind // len(KINDS) % len(SHIFTS)]
    synthesiser = TextureSynthesiser(samples, sample_rate, draws, pace, shift)
    sound = KINDS[kind % len(KINDS)](synthesiser)
    sound -= sound.mean()
    sound = draws.uniform(0.2, 0.7) * sound / max(np.abs(sound).max(), 1e-9)
    return (sound + FLOOR * draws.standard_normal(samples)).astype(np.float32)


class TextureSynthesiser:
    """What the kinds are made from: times, draws, and a few ways to fill them.

    Args:
        samples: how many.
        rate: [Hz].
        draws: random numbers.
        pace: of events.
        shift: factor of all frequencies.
    """

    def __init__(self, samples: int, rate: int, draws: np.random.Generator, pace: float, shift: float) -> None:
        self.samples, self.rate, self.draws, self.pace, self.shift = samples, rate, draws, pace, shift
        self.time = np.arange(samples) / rate

    def noise(self, centre: float, octaves: float) -> np.ndarray:
        """White noise through a smooth band around ``centre`` [Hz], a Gaussian over ``octaves``."""
        spectrum = np.fft.rfft(self.draws.standard_normal(self.samples))
        frequencies = np.fft.rfftfreq(self.samples, 1 / self.rate)
        distance = np.log2(np.maximum(frequencies, 1.0) / self._reachable(centre * self.shift)) / octaves
        return np.fft.irfft(spectrum * np.exp(-0.5 * distance**2), self.samples)

    def tone(self, frequency: np.ndarray | float, partials: int = 1, fall: float = 1.0) -> np.ndarray:
        """Partials of a frequency [Hz] that may change, from a drawn phase; the highest fade away, as no sound ends
        sharply, and those above the Nyquist frequency are left out."""
        steps = np.broadcast_to(np.asarray(frequency) * self.shift, self.samples)
        turn = np.exp(2j * np.pi * (np.cumsum(steps) / self.rate + self.draws.random()))
        partials = max(1, min(partials, int(0.45 * self.rate / steps.max())))
        # Each partial is the one before, turned once more: a product costs less than a sine.
        sound, wave = np.zeros(self.samples), np.ones(self.samples, complex)
        for number in range(1, partials + 1):
            wave *= turn
            sound += number**-fall * (1 - number / (partials + 1)) ** 3 * wave.imag
        return sound

    def events(self, rate: float, grain: np.ndarray, steady: bool = False, spread: float = 0.0) -> np.ndarray:
        """A grain at ``rate`` events a second, evenly or anywhere, at levels that vary by ``spread``."""
        count = max(1, round(rate * self.pace * self.samples / self.rate))
        gap = self.samples / count
        starts = (
            np.arange(count) * gap + self.draws.uniform(0, gap)
            if steady
            else self.draws.uniform(0, 1, count) * self.samples
        )
        impulses = np.zeros(self.samples)
        levels = self.draws.uniform(1 - spread, 1, count) * (1 if steady else self.draws.choice((-1, 1), count))
        np.add.at(impulses, starts.astype(int) % self.samples, levels)
        size = 1 << (self.samples + len(grain)).bit_length()
        return np.fft.irfft(np.fft.rfft(impulses, size) * np.fft.rfft(grain, size), size)[: self.samples]

    def grain(self, seconds: float, decay: float) -> np.ndarray:
        """Noise that decays, with a time constant [s]."""
        time = np.arange(round(seconds * self.rate)) / self.rate
        return self.draws.standard_normal(len(time)) * np.exp(-time / decay)

    def ping(self, frequency: float, seconds: float, decay: float) -> np.ndarray:
        """A tone [Hz] that decays, with a time constant [s]."""
        time = np.arange(round(seconds * self.rate)) / self.rate
        return np.sin(2 * np.pi * self._reachable(frequency * self.shift) * time) * np.exp(-time / decay)

    def swell(self, rate: float) -> np.ndarray:
        """A level that rises and falls ``rate`` times a second, from 0 to 1."""
        return 0.5 - 0.5 * np.cos(2 * np.pi * (rate * self.pace * self.time + self.draws.random()))

    def _reachable(self, frequency: float) -> float:
        return min(frequency, 0.35 * self.rate)


def _barks(synthesiser: TextureSynthesiser) -> np.ndarray:
    return (
        synthesiser.noise(900, 0.5) * synthesiser.swell(2.5) ** 4
        + 0.4 * synthesiser.tone(350.0, 8) * synthesiser.swell(2.5) ** 4
    )


def _crow(synthesiser: TextureSynthesiser) -> np.ndarray:
    return synthesiser.tone(500 * 2 ** (1.2 * synthesiser.swell(1.5)), 20, 0.8) * (0.3 + 0.7 * synthesiser.swell(1.5))


def _rain(synthesiser: TextureSynthesiser) -> np.ndarray:
    return synthesiser.noise(4000, 1.6) + 0.5 * synthesiser.events(300, synthesiser.grain(0.004, 0.001), spread=0.8)


def _waves(synthesiser: TextureSynthesiser) -> np.ndarray:
    return synthesiser.noise(350, 1.8) * (0.15 + 0.85 * synthesiser.swell(0.9) ** 2)


def _crackle(synthesiser: TextureSynthesiser) -> np.ndarray:
    return synthesiser.events(35, synthesiser.grain(0.01, 0.0015), spread=0.9) + 0.02 * synthesiser.noise(200, 1.5)


def _wail(synthesiser: TextureSynthesiser) -> np.ndarray:
    return synthesiser.tone(450 + 60 * np.sin(2 * np.pi * 6 * synthesiser.time), 24, 0.6) * synthesiser.swell(1.2)


def _burst(synthesiser: TextureSynthesiser) -> np.ndarray:
    blow = np.exp(-np.arange(round(0.5 * synthesiser.rate)) / (0.08 * synthesiser.rate))
    return synthesiser.noise(800, 0.8) * (0.02 + synthesiser.events(1.5, blow, steady=True, spread=0.3))


def _ticks(synthesiser: TextureSynthesiser) -> np.ndarray:
    return synthesiser.events(4, synthesiser.ping(3200, 0.03, 0.004), steady=True) + 0.01 * synthesiser.noise(500, 2.0)


def _rotor(synthesiser: TextureSynthesiser) -> np.ndarray:
    return synthesiser.events(14, synthesiser.grain(0.04, 0.012), steady=True) + synthesiser.events(
        14, synthesiser.ping(70, 0.1, 0.03), steady=True
    )


def _saw(synthesiser: TextureSynthesiser) -> np.ndarray:
    return synthesiser.tone(110 + 8 * synthesiser.swell(3.0), 40, 0.5) + 0.3 * synthesiser.noise(2500, 1.0)


KINDS: tuple[Callable[[TextureSynthesiser], np.ndarray], ...] = (
    _barks,
    _crow,
    _rain,
    _waves,
    _crackle,
    _wail,
    _burst,
    _ticks,
    _rotor,
    _saw,
)
