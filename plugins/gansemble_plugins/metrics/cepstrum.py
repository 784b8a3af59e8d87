"""Mel-cepstra: cepstra of a frequency axis that is warped by an all-pass, of every frame of a signal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.signal import get_window

#: Power below this, relative to the clip's mean power of a bin, is raised to it: -100 dB.
FLOOR = 1e-10


@dataclass(frozen=True)
class Analysis:
    """How a signal becomes mel-cepstra.

    Args:
        window: scipy's name of the window, periodic.
        length: of the window [samples].
        n_fft: FFT length [samples].
        hop: frame shift [samples].
        order: highest coefficient D; there are D + 1 with the 0th.
        alpha: of the all-pass that warps the frequency axis, below 1; 0 warps nothing.
    """

    window: str
    length: int
    n_fft: int
    hop: int
    order: int
    alpha: float


def mel_cepstra(signal: np.ndarray, how: Analysis) -> np.ndarray:
    """Mel-cepstra [F, D + 1] of a signal's frames: log |H(w)| = c_0 + sum over m of c_m cos(m w'), w' the warped frequency.

    The log magnitude's cepstrum is warped as a whole by SPTK's recursion (freqt; Oppenheim, Johnson 1972) and cut to the
    order. SPTK's mcep goes on from there, to the spectrum of that order that has the least bias; that is left out, so that
    cepstra are a linear function of the log magnitude: a gain g changes c_0 by ln g, and nothing else.

    Args:
        signal: float64 [T], at least as long as the window.
        how: the analysis. Frames lie wholly within the signal.
    """
    frames = np.lib.stride_tricks.sliding_window_view(signal, how.length)[:: how.hop]
    found = []
    shape = get_window(how.window, how.length)
    powers = [
        np.square(np.abs(np.fft.rfft(frames[start : start + 1024] * shape, how.n_fft)))
        for start in range(0, len(frames), 1024)
    ]
    mean = sum(power.sum() for power in powers) / (len(frames) * (how.n_fft // 2 + 1))
    for power in powers:
        cepstrum = np.fft.irfft(0.5 * np.log(np.maximum(power, FLOOR * mean)))[:, : how.n_fft // 2 + 1]
        cepstrum[:, 1:-1] *= 2  # one-sided; the first and last are their own mirror images
        found.append(cepstrum @ warping(how.n_fft // 2, how.order, how.alpha))
    return np.concatenate(found)


@lru_cache(maxsize=16)
def warping(order_in: int, order: int, alpha: float) -> np.ndarray:
    """The matrix [order_in + 1, order + 1] that turns a one-sided cepstrum into the one on the warped frequency axis.

    Column 0 follows d_0 = c_i + alpha d_0', column 1 (1 - alpha^2) d_0' + alpha d_1', and column m
    d_(m-1)' + alpha (d_m' - d_(m-1)), from the last coefficient i to the first, ' being the values before.

    Args:
        order_in: highest coefficient that is read.
        order: highest one that is made.
        alpha: of the all-pass.
    """
    made = np.zeros((order + 1, order_in + 1))
    for index in range(order_in, -1, -1):
        before = made.copy()
        made[0] = alpha * before[0]
        made[0, index] += 1
        if order:
            made[1] = (1 - alpha**2) * before[0] + alpha * before[1]
        for row in range(2, order + 1):
            made[row] = before[row - 1] + alpha * (before[row] - made[row - 1])
    made.setflags(write=False)
    return np.ascontiguousarray(made.T)
