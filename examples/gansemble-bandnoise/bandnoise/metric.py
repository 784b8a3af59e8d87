"""A metric of the energy within a band."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from bandnoise import band
from gansemble.interfaces import Score

#: A difference is at most this [dB], so that a clip without any energy in the band does not make a mean infinite.
LIMIT_DB = 100.0
#: Mean power [full scale squared] below which a reference has nothing in the band: -120 dB.
FLOOR = 1e-12


class BandEnergy:
    """Absolute difference of the mean power within a band [dB]. Ours; no paper's.

    |10 log10(P(p) / P(t))| of an estimate p and a reference t, at most 100 dB, where P is the mean power of the bins
    with low_hz <= f < high_hz of the whole clip's spectrum (Parseval), so clips of unequal length compare.

    Args:
        low_hz: lower edge [Hz].
        high_hz: upper edge [Hz], at most half the sample rate.

    Shape: estimate, reference [T].

    Raises:
        ValueError: if the band cannot be at any rate.
    """

    better: Literal["higher", "lower"] = "lower"

    def __init__(self, *, low_hz: float = band.DEFAULTS["low_hz"], high_hz: float = band.DEFAULTS["high_hz"]) -> None:
        band.demand(low_hz, high_hz, round(2 * high_hz) + 2)  # the rate is the clip's
        self.low_hz, self.high_hz = low_hz, high_hz
        self.definition = f"|difference of the mean power from {low_hz:g} to {high_hz:g} Hz| [dB], at most 100 dB"

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``band_energy``, or NaN with a reason where either has no power to speak of."""
        powers = []
        for name, signal in (("estimate", estimate), ("reference", reference)):
            audio = np.asarray(signal, np.float64)
            if self.high_hz > sample_rate / 2:
                return _none(f"the band ends at {self.high_hz:g} Hz, half the sample rate is {sample_rate / 2:g} Hz")
            if not np.isfinite(audio).all():
                return _none(f"{name} is not finite")
            within = band.bins(self.low_hz, self.high_hz, sample_rate, audio.size)
            if within.start >= within.stop:
                return _none(
                    f"{name} is too short for a band of {self.high_hz - self.low_hz:g} Hz: {audio.size} samples"
                )
            powers.append(_power(audio, within))
        if powers[1] < FLOOR:
            return _none("reference has nothing in the band")
        difference = 10 * math.log10(max(powers[0], FLOOR * 1e-12) / powers[1])
        return {"band_energy": Score(min(abs(difference), LIMIT_DB))}


def _none(reason: str) -> dict[str, Score]:
    return {"band_energy": Score(math.nan, reason)}


def _power(audio: np.ndarray, within: slice) -> float:
    """Mean power [full scale squared] of the bins ``within``; a bin and its mirror image both count."""
    spectrum = np.abs(np.fft.rfft(audio)) ** 2
    spectrum[1 : (audio.size + 1) // 2] *= 2
    return float(spectrum[within].sum() / audio.size**2)
