"""Signal-to-noise ratios as papers on generated magnitude spectrograms report them.

Such a spectrogram is turned into sound with the phase of a recording, and the result is compared with that recording.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np

from gansemble.interfaces import Score
from gansemble_plugins.metrics.inputs import UnscorableFile, aligned, scored
from gansemble_plugins.metrics.waveform import LIMIT_DB

LENDER = "the reference is the clip whose phase was borrowed"


class ResidualSnr:
    """Energy of the reference t over that of its difference to the estimate p [dB]: 10 log10(sum t^2 / sum (t - p)^2).

    This is ``snr`` for a reference that has lent its phase to the estimate. It says how near the borrowed phase and the
    generated magnitudes bring the estimate to the recording, not how good it sounds. An estimate (1 + a) t scores -20
    log10 |a|. Unlike ``snr``, a silent estimate scores 0 dB, as the difference is then the whole reference.

    Values are clamped to ±100 dB, so that an identical estimate scores 100 dB rather than infinity.

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = (
        "How much stronger the recording is than what differs from it, in decibels: 0 means that the "
        "difference is as strong as the recording."
    )
    definition = (
        "residual SNR [dB], 10 log10(sum t^2 / sum (t - p)^2) of reference t and estimate p, clamped to ±100 dB; "
        f"{LENDER}; equal to snr where the estimate is not silent"
    )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``residual_snr``; NaN for a silent reference, 0 dB with a reason for a silent estimate."""
        try:
            signal, target = aligned(estimate, reference, silent_estimate=True)
        except UnscorableFile as error:
            return {"residual_snr": Score(math.nan, str(error))}
        quiet = "estimate is silent" if not signal.any() else None
        return {"residual_snr": Score(_decibels(_energy(target), _energy(target - signal)), quiet)}


class PowerRatioSnr:
    """Mean power of the reference t over that of the estimate p: ``factor`` log10(mean t^2 / mean p^2).

    This is what the DDFN paper calls signal-to-noise ratio, read literally: a comparison of levels alone. 0 means equal
    power, and a quieter estimate scores higher whatever it sounds like, so neither direction is better by itself. The
    paper writes 20 log10 of a ratio of powers, which is twice the decibels; for the ratio that takes the difference see
    ``residual_snr``.

    Values are clamped to ±100.

    Args:
        factor: before the logarithm: 10 gives decibels, 20 is as the paper writes.

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if factor is neither.
    """

    better: Literal["higher", "lower"] = "higher"
    directions: ClassVar[dict[str, Literal["higher", "lower", "none"] | float]] = {"power_ratio_snr": 0.0}
    meaning = (
        "Whether the estimate is as loud as the recording: 0 is equal power, negative is louder, positive is softer."
    )

    def __init__(self, *, factor: Literal[10, 20] = 10) -> None:
        if factor not in (10, 20):
            raise ValueError(f"factor must be 10, which gives decibels, or 20, as the paper writes; got {factor}")
        self.factor = factor
        self.definition = (
            f"ratio of mean powers, {factor} log10(mean t^2 / mean p^2) of reference t and estimate p, clamped to ±100; "
            f"{LENDER}; 0 is equal power, no way is better by itself"
            + ("; the paper's 20 log10 of powers, twice the decibels" if factor == 20 else "")
        )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``power_ratio_snr``."""
        return scored(("power_ratio_snr",), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        return {"power_ratio_snr": _decibels(_energy(reference), _energy(estimate), self.factor)}


def _energy(signal: np.ndarray) -> float:
    return float(np.square(signal).sum())


def _decibels(signal: float, noise: float, factor: int = 10) -> float:
    """factor log10(signal / noise) of two energies, clamped to ±100; noise may be zero."""
    # A difference of logarithms, as the quotient of a large and a tiny energy may overflow.
    ratio = math.inf if noise == 0 else factor * (math.log10(signal) - math.log10(noise))
    return float(np.clip(ratio, -LIMIT_DB, LIMIT_DB))
