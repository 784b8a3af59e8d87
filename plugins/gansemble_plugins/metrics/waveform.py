"""Ratios of the energies of waveforms in decibels. They take a shift in phase or time for an error."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gansemble.interfaces import Score
from gansemble_plugins.metrics.inputs import scored

#: Values are clamped here on both sides [dB], so that identical signals do not make a mean infinite.
LIMIT_DB = 100.0


class SiSdr:
    """Scale-invariant signal-to-distortion ratio [dB] (Le Roux et al. 2019).

    For the estimate p and the reference t, both without their means, it is 10 log10(|a t|^2 / |p - a t|^2) with a = <p,
    t> / <t, t>, clamped to ±100 dB.

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = (
        "How much stronger the reference is than what differs from it, whatever the level, in decibels: 0 "
        "where both are equally strong. It asks for the same phases, which a vocoder has no reason to make: "
        "below 0 says nothing of its sound."
    )
    by_default = True
    definition = "SI-SDR [dB], both signals made zero-mean, clamped to ±100 dB"

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``si_sdr``."""
        return scored(("si_sdr",), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        signal, target = estimate - estimate.mean(), reference - reference.mean()
        scaled = signal.dot(target) / target.dot(target) * target
        return {"si_sdr": _decibels(np.linalg.norm(scaled), np.linalg.norm(signal - scaled))}


class Snr:
    """Signal-to-noise ratio [dB] of an estimate p and a reference t.

    It is 20 log10(|t| / max(|p - t|, 1e-8)), clamped to ±100 dB.

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = (
        "How much stronger the reference is than what differs from it, in decibels. It asks for the same "
        "level and phases, which a vocoder has no reason to make."
    )
    definition = "SNR [dB], 20 log10(|t| / max(|p - t|, 1e-8)), clamped to ±100 dB"

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``snr``."""
        return scored(("snr",), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        error = np.linalg.norm(estimate - reference)
        return {"snr": _decibels(np.linalg.norm(reference), np.maximum(error, 1e-8))}


def _decibels(signal: Any, noise: Any) -> float:
    """20 log10(signal / noise) of two norms, clamped to ±100 dB; one of them may be zero."""
    with np.errstate(divide="ignore"):
        ratio = 20 * (np.log10(signal) - np.log10(noise))
    return float(np.clip(ratio, -LIMIT_DB, LIMIT_DB))
