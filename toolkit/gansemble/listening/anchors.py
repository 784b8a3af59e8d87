"""The anchors of a MUSHRA test: the reference, low-passed at 3.5 and at 7 kHz, as ITU-R BS.1534-3 asks."""

from __future__ import annotations

import numpy as np
from scipy import signal

#: Name of each anchor in results, with its cut-off frequency [Hz].
ANCHORS = {"anchor 3.5 kHz": 3500.0, "anchor 7 kHz": 7000.0}
#: The stop band begins at this multiple of the cut-off: 4 kHz for 3.5 kHz, as the recommendation's mask has it.
STOP = 8 / 7
#: Attenuation of the stop band, and by it the ripple of the pass band [dB]; the mask asks for 25, then 50, and 0.1 of ripple.
ATTENUATION = 60.0


def possible(rate: int) -> dict[str, float]:
    """The anchors that differ from the reference at a sample rate [Hz], with their cut-offs [Hz]."""
    return {name: cutoff for name, cutoff in ANCHORS.items() if 2 * cutoff < rate}


def low_pass(audio: np.ndarray, rate: int, cutoff: float) -> np.ndarray:
    """Audio without what lies above a frequency, by a linear-phase filter whose delay is taken back.

    Its pass band reaches to the cut-off; its stop band of 60 dB begins at 8/7 of it, or half the sample rate where that is
    less.

    Args:
        audio: [C, T], C channels of T samples.
        rate: its sample rate [Hz].
        cutoff: end of the pass band [Hz].

    Raises:
        ValueError: if nothing lies above the cut-off at this rate.
    """
    if 2 * cutoff >= rate:
        raise ValueError(f"cutoff must be below half the sample rate, {rate / 2:g} Hz, got {cutoff:g}")
    stop = min(STOP * cutoff, rate / 2)
    taps, beta = signal.kaiserord(ATTENUATION, (stop - cutoff) / (rate / 2))
    kernel = signal.firwin(taps | 1, (cutoff + stop) / 2, window=("kaiser", beta), fs=rate)
    return signal.fftconvolve(audio, kernel[None], mode="full", axes=1)[
        :, len(kernel) // 2 : len(kernel) // 2 + audio.shape[1]
    ].astype(np.float32)
