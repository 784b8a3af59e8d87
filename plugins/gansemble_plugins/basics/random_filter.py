"""A perturbation of training crops: an equaliser whose shape, frequency and gain are drawn."""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

import numpy as np
from scipy import signal

from gansemble import numbers
from gansemble.audio.spec import AudioSpec
from gansemble.numbers import Hertz
from gansemble_plugins.basics.perturbations import check_range

Shape = Literal["low_shelf", "high_shelf", "peak", "band_pass"]
#: What is left of a filter's ringing at the margin, as a share: -60 dB.
LEFT = 1e-3
#: Of shelves and peaks [dB].
Gain = Annotated[float, numbers.Range(at_least=-60, at_most=60)]


class RandomFilter:
    """One second-order filter of an equaliser for each crop (Bristow-Johnson's formulae), in its usual, causal form.

        low_shelf     ``gain`` below the frequency, half of it (in dB) there, nothing above; slope 1
        high_shelf    the same with above and below changed round
        peak          ``gain`` at the frequency, of quality ``q``
        band_pass     0 dB at the frequency, of quality ``q``, falling by 6 dB an octave on both sides; no gain

    The shape is drawn with equal chances, the frequency uniformly by octaves, the gain uniformly in dB. Its margin is how
    long the slowest of the filters rings until 60 dB down, so that a crop comes out as it would of the whole recording.

    Args:
        audio: the audio specification, supplied by the toolkit.
        shapes: those to choose from.
        frequency: lowest and highest [Hz].
        gain: lowest and highest gain of shelves and peaks [dB].
        q: quality of peaks and band-passes; 0.7 is a bandwidth of two octaves, 1.4 of one.

    Shape: float32 [margin + N + margin] -> float32 [N].

    Raises:
        ValueError: for no shape, a range whose ends are not in order, a frequency at or above half the sample rate, a
            gain that is not within ±60 dB, or a ``q`` that is not from 0.1 to 30.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        shapes: tuple[Shape, ...] = ("low_shelf", "high_shelf"),
        frequency: tuple[Hertz, Hertz] = (100.0, 3000.0),
        gain: tuple[Gain, Gain] = (-6.0, 6.0),
        q: Annotated[float, numbers.Range(at_least=0.1, at_most=30)] = 0.7,
    ) -> None:
        if not shapes:
            raise ValueError(f"shapes must name some of {', '.join(get_args(Shape))}, got none")
        check_range("frequency", frequency)
        check_range("gain", gain, -60, 60, "dB")
        if not 0 < frequency[0] <= frequency[1] < audio.sample_rate / 2:
            limit = f"half the sample rate ({audio.sample_rate / 2:g} Hz)"
            raise ValueError(f"frequency must be above 0 and below {limit}, got {list(frequency)} Hz")
        if not 0.1 <= q <= 30:
            raise ValueError(f"q must be from 0.1 to 30, got {q:g}")
        self.rate, self.shapes, self.frequency, self.gain, self.q = audio.sample_rate, shapes, frequency, gain, q
        self.margin = max(
            rings(biquad(shape, f, g, q, self.rate)) for shape in shapes for f in frequency for g in (*gain, 0.0)
        )

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        shape = self.shapes[int(rng.integers(len(self.shapes)))]
        low, high = self.frequency
        frequency, gain = low * (high / low) ** rng.random(), rng.uniform(*self.gain)
        made = signal.sosfilt(biquad(shape, frequency, gain, self.q, self.rate), audio.astype(np.float64))
        return made[self.margin : len(made) - self.margin].astype(np.float32)


def biquad(shape: Shape, frequency: float, gain: float, q: float, sample_rate: int) -> np.ndarray:
    """The filter as one second-order section [1, 6].

    Args:
        shape: of its response.
        frequency: where it acts [Hz].
        gain: of shelves and peaks [dB].
        q: quality of peaks and band-passes.
        sample_rate: [Hz].
    """
    a, omega = 10 ** (gain / 40), 2 * math.pi * frequency / sample_rate
    cosine, alpha = math.cos(omega), math.sin(omega) / (2 * q)
    if shape == "band_pass":
        return np.array([[alpha, 0, -alpha, 1 + alpha, -2 * cosine, 1 - alpha]]) / (1 + alpha)
    if shape == "peak":
        up, down = alpha * a, alpha / a
        return np.array([[1 + up, -2 * cosine, 1 - up, 1 + down, -2 * cosine, 1 - down]]) / (1 + down)
    sign = 1 if shape == "low_shelf" else -1  # the two are each other's mirror image about a quarter of the sample rate
    plus, minus, width = a + 1, sign * (a - 1) * cosine, math.sqrt(2 * a) * math.sin(omega)
    numerator = [
        a * (plus - minus + width),
        sign * 2 * a * (a - 1 - sign * (a + 1) * cosine),
        a * (plus - minus - width),
    ]
    denominator = [plus + minus + width, -sign * 2 * (a - 1 + sign * (a + 1) * cosine), plus + minus - width]
    return np.array([numerator + denominator]) / denominator[0]


def rings(section: np.ndarray) -> int:
    """How many samples a filter takes until its ringing has fallen to :data:`LEFT` of its beginning."""
    radius = float(np.abs(np.roots(section[0, 3:])).max())
    return max(1, math.ceil(math.log(LEFT) / math.log(radius))) if 0 < radius < 1 else 1
