"""Perturbations of training crops: level, sign, speed, pitch and added noise. Equalisers are in ``random_filter``."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
import soxr

from gansemble import numbers
from gansemble.audio.levels import rms
from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.numbers import Decibels
from gansemble_plugins.basics.pitch_shift import WINDOW, shifted

Range = tuple[float, float]
#: How much faster a crop may be played, as a factor.
Factor = Annotated[float, numbers.Range(at_least=0.25, at_most=4)]
#: How far a crop may be shifted [semitones].
Semitones = Annotated[float, numbers.Range(at_least=-24, at_most=24)]


def check_range(name: str, limits: Range, least: float = -math.inf, most: float = math.inf, unit: str = "") -> None:
    """Refuses a range whose ends are not in order, or not from ``least`` to ``most``.

    Raises:
        ValueError: with the range.
    """
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high) and least <= low <= high <= most):
        bounds = f" from {least:g} to {most:g}" if math.isfinite(least) else ""
        raise ValueError(
            f"{name} must be a lowest and a highest value{bounds}{f' {unit}' if unit else ''}, got {[low, high]}"
        )


class RandomGain:
    """A level drawn for each crop: audio times 10^(g / 20), with g uniform within ``gain``.

    It comes after ``data.normalise``, which would undo it. What goes beyond full scale is kept, not clipped.

    Args:
        gain: lowest and highest gain [dB].

    Shape: float32 [N] -> float32 [N].

    Raises:
        ValueError: for a range whose ends are not in order, or not within ±120 dB.
    """

    margin = 0
    suits_pairs = True

    def __init__(self, *, gain: tuple[Decibels, Decibels] = (-6.0, 6.0)) -> None:
        check_range("gain", gain, -120, 120, "dB")
        self.gain = gain

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return audio * np.float32(10 ** (rng.uniform(*self.gain) / 20))


class RandomPolarity:
    """The sign of half of the crops turned round: audio times -1 or 1, equally likely.

    Ears do not hear it, and a network that judges waveforms has to learn that it says nothing.

    Shape: float32 [N] -> float32 [N].
    """

    margin = 0
    suits_pairs = True

    def __init__(self) -> None:
        pass

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return audio * np.float32(rng.choice((-1.0, 1.0)))


class Speed:
    """As on a tape that runs faster or slower: f times the speed and every frequency times f, f uniform within ``factors``.

    Speed perturbation of speech (Ko et al. 2015), there with the factors 0.9, 1 and 1.1, by band-limited resampling (soxr,
    HQ). With f below 1 nothing is left between f times half the sample rate and half the sample rate; with f above 1, what
    would lie above half the sample rate is taken away. Labels that are pitches would be wrong, so corpora of notes are refused.

    Args:
        factors: lowest and highest speed; 2 is twice as fast and an octave up.

    Shape: float32 [margin + N + margin] -> float32 [N / f], rounded down.

    Raises:
        ValueError: for a range whose ends are not in order, or not from 0.25 to 4.
    """

    def __init__(self, *, factors: tuple[Factor, Factor] = (0.9, 1.1)) -> None:
        check_range("factors", factors, 0.25, 4)
        self.factors = factors
        # The resampler's filter is longest on tapes that run fast, where its cut-off is lowest. Beyond this reach its taps
        # are 90 dB down and more.
        self.margin = math.ceil(160 * max(1.0, factors[1]))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Notes keep their pitch, which crops at another speed do not."""
        return Contract(clashes=frozenset({"pitch"}))

    def reads(self, length: int, rng: np.random.Generator) -> int:
        """N for ``length`` samples, at the speed that the call with an equal generator draws."""
        return math.ceil(length * rng.uniform(*self.factors))

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        factor = rng.uniform(*self.factors)
        first = math.ceil(self.margin / factor)  # the first sample that lies in the middle
        count = int((len(audio) - 2 * self.margin) / factor + 1e-6)  # of a product and its quotient nothing gets lost
        return soxr.resample(audio, factor, 1.0)[first : first + count]


class Pitch:
    """Every frequency times 2^(s / 12), duration kept, with s uniform within ``semitones``.

    The phase vocoder of the augmentation ``pitch_shift``, whose limits it has: formants move along, and hits and clicks
    are blurred over about 50 ms. Labels that are pitches would be wrong, so corpora of notes are refused.

    Args:
        audio: the audio specification, supplied by the toolkit.
        semitones: lowest and highest shift [semitones]; 12 is an octave up.

    Shape: float32 [margin + N + margin] -> float32 [N].

    Raises:
        ValueError: for a range whose ends are not in order, or not within ±24 semitones.
    """

    def __init__(self, *, audio: AudioSpec, semitones: tuple[Semitones, Semitones] = (-2.0, 2.0)) -> None:
        check_range("semitones", semitones, -24, 24)
        self.rate, self.semitones = audio.sample_rate, semitones
        self.margin = 2 ** round(math.log2(WINDOW * self.rate))  # a window of the vocoder

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Notes keep their pitch, which crops that are shifted do not."""
        return Contract(clashes=frozenset({"pitch"}))

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        made = shifted(audio, self.rate, 2 ** (rng.uniform(*self.semitones) / 12))
        return made[self.margin : len(made) - self.margin]


class AdditiveNoise:
    """Gaussian noise added at a signal-to-noise ratio that is uniform within ``snr``.

    The ratio is that of the crop's root mean square, the zeros behind a short clip included, to the noise's. Silence
    stays silent. ``white`` has equal power at all frequencies, ``pink`` 3 dB less with each octave and none at 0 Hz.

    What is trained sees noisy clips as real ones, so a generator of clips learns to make the noise.

    Args:
        snr: lowest and highest signal-to-noise ratio [dB].
        colours: of the noise, equally likely.

    Shape: float32 [N] -> float32 [N].

    Raises:
        ValueError: for a range whose ends are not in order, or not within ±120 dB, or no colour at all.
    """

    margin = 0

    def __init__(
        self,
        *,
        snr: tuple[Decibels, Decibels] = (10.0, 40.0),
        colours: tuple[Literal["white", "pink"], ...] = ("white",),
    ) -> None:
        check_range("snr", snr, -120, 120, "dB")
        if not colours:
            raise ValueError("colours must name white, pink or both, got none")
        self.snr, self.colours = snr, colours

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        colour = self.colours[int(rng.integers(len(self.colours)))]
        ratio = 10 ** (-rng.uniform(*self.snr) / 20)
        noise = rng.standard_normal(len(audio), np.float32)
        noise = pink(noise) if colour == "pink" else noise
        level = rms(noise)
        return audio if level == 0 else audio + noise * np.float32(ratio * rms(audio) / level)


def pink(white: np.ndarray) -> np.ndarray:
    """White noise [N] with its amplitude divided by the root of the frequency, and nothing at 0 Hz; float32 [N]."""
    spectrum = np.fft.rfft(white)
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return np.fft.irfft(spectrum, len(white)).astype(np.float32)
