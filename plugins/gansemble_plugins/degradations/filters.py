"""Filters without phase, applied to a recording that is silent before its beginning and after its end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy import signal

Recursive = Literal["cheby1", "butter", "bessel", "ellip"]

#: What lies this far down [dB] is taken for nothing: where a filter's ringing is cut, and how deep a stop-band is.
SMALL_DB = 100.0

#: Above this, elliptic filters pass their ripple and their poles cannot be told from the unit circle in float64.
HIGHEST_ORDER = 16


def checked(audio: np.ndarray) -> np.ndarray:
    """The recording as float64 [T], a copy.

    Raises:
        ValueError: if it is not [T] with at least one sample.
    """
    if audio.ndim != 1 or audio.size == 0:
        raise ValueError(f"audio must be [T] with at least one sample, got {list(audio.shape)}")
    return audio.astype(np.float64)


def check_frequencies(name: str, frequencies: tuple[float, ...], sample_rate: int) -> None:
    """Refuses frequencies [Hz] that a recording at ``sample_rate`` cannot hold.

    Raises:
        ValueError: naming the first one and half the sample rate.
    """
    if not frequencies:
        raise ValueError(f"{name} must name at least one frequency [Hz], got none")
    for frequency in frequencies:
        if not 0 < frequency < sample_rate / 2:
            limit = f"half the sample rate ({sample_rate / 2:g} Hz)"
            raise ValueError(f"{name} must be above 0 and below {limit}, got {frequency:g} Hz")


def check_range(name: str, limits: tuple[float, float]) -> None:
    """Refuses a range whose ends are not in order.

    Raises:
        ValueError: naming both ends.
    """
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{name} must be a lowest and a highest value, got {low:g} and {high:g}")


def between(rng: np.random.Generator, limits: tuple[float, float], log: bool = False) -> float:
    """A number drawn from a range, uniformly or with its logarithm uniform; a range of one value gives that value."""
    low, high = limits
    share = rng.random()
    return float(low * (high / low) ** share if log else low + (high - low) * share)


def one_of(rng: np.random.Generator, choices: tuple[Any, ...]) -> Any:
    """One of ``choices``, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


@lru_cache(maxsize=1024)
def _prototype(family: Recursive, order: int, ripple: float, attenuation: float) -> tuple[Any, Any, float]:
    """Zeros, poles and gain of the analogue low-pass at 1 rad/s."""
    if family == "cheby1":
        return signal.cheb1ap(order, ripple)
    if family == "butter":
        return signal.buttap(order)
    if family == "bessel":
        return signal.besselap(order, norm="mag")
    return signal.ellipap(order, ripple, attenuation)


@dataclass(frozen=True)
class Design:
    """A recursive low-pass, of one pass; :func:`zero_phase` makes two.

    Args:
        family: Bessel filters are 3 dB down at the cut-off, as Butterworth filters are; the others have fallen by
            ``ripple`` there.
        order: number of poles.
        cutoff: [Hz].
        sample_rate: [Hz].
        ripple: of the pass-band of ``cheby1`` and ``ellip`` [dB].
        attenuation: of the stop-band of ``ellip`` [dB].
    """

    family: Recursive
    order: int
    cutoff: float
    sample_rate: int
    ripple: float = 0.05
    attenuation: float = 20.0

    def zpk(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Zeros, poles and gain."""
        analogue = _prototype(self.family, self.order, self.ripple, self.attenuation)
        warped = 4 * math.tan(math.pi * self.cutoff / self.sample_rate)  # for the bilinear transform at a rate of 2
        return signal.bilinear_zpk(*signal.lp2lp_zpk(*analogue, warped), fs=2.0)

    def sections(self) -> np.ndarray:
        """Second-order sections [N, 6], which no order makes inexact."""
        return signal.zpk2sos(*self.zpk())

    def ring(self) -> int:
        """How long it rings [samples], see :func:`ringing`."""
        return ringing(*self.zpk())


def ringing(zeros: np.ndarray, poles: np.ndarray, gain: float) -> int:
    """After how many samples a filter that runs forward and backward has rung out.

    Its response is c[n] = sum of A_i p_i^|n| over the poles, with A_i = (residue of H at p_i) H(1 / p_i) / p_i; so what
    pole i adds beyond n samples is at most |A_i| r_i^n / (1 - r_i), r_i its radius. The answer is the smallest n beyond
    which no pole adds more than its part of 1e-5, -100 dB of the recording's peak.

    Raises:
        ValueError: if a pole does not lie inside the unit circle.
    """
    radii = np.abs(poles)
    if radii.max(initial=0.0) >= 1:
        raise ValueError(f"a filter's poles must lie inside the unit circle, got one at radius {radii.max():.17g}")
    longest = 1
    for place, (pole, radius) in enumerate(zip(poles, radii, strict=True)):
        if radius < 1e-3:
            continue  # gone after two samples, and 1 / p is no number to reckon with
        others = np.delete(poles, place)
        residue = gain * np.prod(pole - zeros) / np.prod(pole - others)
        mirrored = gain * np.prod(1 / pole - zeros) / np.prod(1 / pole - poles)
        share = len(poles) * abs(residue * mirrored / pole) / (1 - radius)
        longest = max(longest, math.ceil(math.log(max(1.0, share * 10 ** (SMALL_DB / 20))) / -math.log(radius)))
    return longest


def zero_phase(sections: np.ndarray, audio: np.ndarray, ring: int) -> np.ndarray:
    """Forward and backward through second-order sections: |H|^2 and no phase; [T] -> [T].

    scipy's ``sosfiltfilt``, but with silence around the recording instead of its mirror image: then a filter that
    amplifies nothing adds no energy at the ends either, and any length will do. The forward pass rings on for
    ``ring`` samples after the end, so that the backward pass finds all of it.
    """
    forward = signal.sosfilt(sections, np.concatenate([audio, np.zeros(ring)]))
    return signal.sosfilt(sections, forward[::-1])[::-1][: len(audio)]


def sinc(cutoff: float, sample_rate: int, crossings: int, window: str | tuple[str, float] = "hann") -> np.ndarray:
    """A windowed sinc [2 N + 1] with ``crossings`` zero crossings on each side, -6 dB at ``cutoff`` [Hz], 0 dB at 0 Hz."""
    half = sinc_reach(cutoff, sample_rate, crossings)
    return signal.firwin(2 * half + 1, cutoff, window=window, fs=sample_rate)


def sinc_reach(cutoff: float, sample_rate: int, crossings: int) -> int:
    """The samples on each side of a windowed sinc's middle."""
    return max(1, int(crossings * sample_rate / (2 * cutoff)))


def convolve(taps: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """A filter [2 N + 1] centred on each sample of [T], silence around the recording; [T] -> [T]."""
    half = len(taps) // 2
    return signal.oaconvolve(audio, taps)[half : half + len(audio)]
