"""A metric: one estimate against its reference."""

from typing import Literal

import numpy as np

from gansemble.interfaces import Score


class AcmeMetric:
    """Absolute difference of the root-mean-square levels [dB].

    Shape:
        - estimate, reference: [T], T samples of one channel
    """

    definition = "absolute difference of RMS levels over the whole clip [dB]"
    better: Literal["higher", "lower"] = "lower"

    def score(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, Score]:
        """The score ``acme``: NaN, with a reason, if a signal is silent, empty or not finite."""
        levels = [_rms(np.asarray(audio, np.float64)) for audio in (estimate, reference)]
        if not all(np.isfinite(levels)) or min(levels) <= 0:
            return {"acme": Score(float("nan"), "silent, empty or not finite")}
        return {"acme": Score(float(abs(20 * np.log10(levels[0] / levels[1]))))}


def _rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(audio**2))) if audio.size else float("nan")
