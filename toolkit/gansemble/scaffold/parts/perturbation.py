"""A perturbation: training crops changed anew in each epoch, before anything is computed of them."""

import math

import numpy as np


class AcmePerturbation:
    """An echo behind each crop: audio(t) + gain * audio(t - delay), the delay drawn for each crop.

    Args:
        delay: shortest and longest [samples].
        gain: amplitude of the echo relative to the crop.

    Shape:
        - input: float32 [margin + N + margin], N samples with what stands around them in the recording
        - output: float32 [N]

    Raises:
        ValueError: if the delays are not above 0, the shorter one first, or the gain is not finite.
    """

    def __init__(self, *, delay: tuple[int, int] = (400, 2000), gain: float = 0.4) -> None:
        if not 0 < delay[0] <= delay[1]:
            raise ValueError(f"delay must be two numbers of samples above 0, the shorter one first, got {delay}")
        if not math.isfinite(gain):
            raise ValueError(f"gain must be a finite number, got {gain}")
        self.delay, self.gain = delay, gain
        self.margin = delay[1]  # an output sample depends on so many samples before it

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The crop with its echo; ``rng`` is of the crop alone, so that a resumed run draws the same."""
        begin, end = self.margin, len(audio) - self.margin
        behind = int(rng.integers(self.delay[0], self.delay[1] + 1))
        return (audio[begin:end] + self.gain * audio[begin - behind : end - behind]).astype(np.float32)
