"""A degradation: what a recording may have gone through, for generators that restore it."""

from typing import Any

import numpy as np
from scipy.signal import butter, sosfiltfilt

from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract


class AcmeDegradation:
    """A zero-phase Butterworth low-pass with a cut-off frequency drawn for each clip.

    Args:
        audio: the audio specification, supplied by the toolkit.
        cutoff: lowest and highest cut-off frequency, as shares of half the sample rate.
        order: of the filter, which is run forwards and backwards.

    Shape:
        - input: float32 [T], T samples of one channel
        - output: float32 [T]

    Raises:
        ValueError: if the cut-offs are not between 0 and 1, the lower one first.
    """

    def __init__(self, *, audio: AudioSpec, cutoff: tuple[float, float] = (0.2, 0.5), order: int = 6) -> None:
        if not 0 < cutoff[0] <= cutoff[1] < 1:
            raise ValueError(f"cutoff must be two shares within 0 and 1, the lower one first, got {cutoff}")
        self.cutoff, self.order = cutoff, order
        # How far a sample still changes the output [samples]: a period at the lowest cut-off has 2 / cutoff[0] samples,
        # and after 10 periods for each order nothing is left of the response.
        self.margin = int(20 * order / cutoff[0])

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Gives degraded clips."""
        return Contract(gives=frozenset({"degraded"}))

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The clip without what lies above the cut-off frequency, which ``rng`` draws uniformly."""
        sections = butter(self.order, rng.uniform(*self.cutoff), output="sos")
        return sosfiltfilt(sections, audio, padtype="constant", padlen=min(len(audio) - 1, 1000)).astype(np.float32)
