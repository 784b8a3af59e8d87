"""A pitch tracker after YIN: the lag at which a signal differs least from itself, followed from frame to frame."""

from __future__ import annotations

import numpy as np

#: Window of the difference function [samples at 16 kHz], 32 ms.
WINDOW = 512
#: Minima of the difference function that are followed in each frame.
CANDIDATES = 6
#: What an octave costs: each one of a lag above the shortest, so that of equal minima the shortest lag is taken, and each one
#: that the pitch jumps from a frame to the next; in units of the normalised difference, which is 0 to about 1.
LAG_COST, JUMP_COST = 0.05, 0.3
#: Mean power of differences below which a frame holds nothing to follow: -120 dB of full scale.
SILENCE = 1e-12
#: Cost of a candidate that there is not.
NONE = 1e3


def track(signal: np.ndarray, sample_rate: int, hop: int, fmin: float, fmax: float) -> tuple[np.ndarray, np.ndarray]:
    """Fundamental frequency and periodicity of frames that are centred on every ``hop``-th sample.

    The cumulative-mean-normalised difference d' of de Cheveigné and Kawahara (YIN, 2002, equation 8), its window centred
    on the pair of samples that it compares, so that a glide is not seen late; the path through its local minima of least
    cost; parabolic interpolation of the lag. Periodicity is 1 - d'.

    Args:
        signal: float64 [T].
        sample_rate: [Hz].
        hop: frame shift [samples].
        fmin, fmax: lowest and highest frequency [Hz].

    Returns:
        (frequencies [F] [Hz], periodicity [F] from 0 to 1), F = T // hop + 1.
    """
    shortest, longest = int(sample_rate / fmax), int(np.ceil(sample_rate / fmin))
    differences = _differences(signal - signal.mean(), hop, longest + 1)
    lags = np.arange(1, longest + 2)
    sums = differences.cumsum(axis=1)
    normalised = np.divide(
        differences * lags, sums, out=np.ones_like(differences), where=sums > lags * WINDOW * SILENCE
    )
    # Column i is lag i + 1; a minimum needs a neighbour on either side.
    inner = normalised[:, shortest - 1 : longest]
    low = (inner <= normalised[:, shortest - 2 : longest - 1]) & (inner < normalised[:, shortest : longest + 1])
    costs = np.where(low, inner + LAG_COST * np.log2(np.arange(shortest, longest + 1) / shortest), NONE)
    chosen = np.argpartition(costs, CANDIDATES, axis=1)[:, :CANDIDATES]
    path = _followed(np.take_along_axis(costs, chosen, axis=1), np.log2(chosen + shortest))
    frames = np.arange(len(chosen))
    index = chosen[frames, path] + shortest - 1
    before, here, after = (normalised[frames, index + step] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend > 1e-12).clip(-0.5, 0.5)
    lowest = here - 0.25 * (before - after) * shift
    return sample_rate / (index + 1 + shift), (1 - lowest).clip(0, 1)


def _differences(signal: np.ndarray, hop: int, longest: int) -> np.ndarray:
    """Energy of the difference of a window to the one a lag later, [F, longest] for the lags 1 to ``longest``."""
    margin = (WINDOW + longest) // 2 + 1
    padded = np.pad(signal, margin)
    centres = np.arange(0, signal.size + 1, hop) + margin
    found = np.empty((len(centres), longest))
    for lag in range(1, longest + 1):
        sums = np.zeros(padded.size - lag + 1)
        np.cumsum(np.square(padded[lag:] - padded[:-lag]), out=sums[1:])
        starts = centres - (WINDOW + lag) // 2
        found[:, lag - 1] = sums[np.minimum(starts + WINDOW, sums.size - 1)] - sums[starts]
    return found.clip(min=0)


def _followed(costs: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """Which candidate of each frame is on the path of least cost [F], by Viterbi's algorithm.

    Args:
        costs: of the candidates [F, K].
        octaves: binary logarithms of their lags [F, K].
    """
    total, backs = costs[0], np.zeros(costs.shape, dtype=np.int64)
    for frame in range(1, len(costs)):
        jumps = total[:, None] + JUMP_COST * np.abs(octaves[frame - 1][:, None] - octaves[frame][None])
        backs[frame] = jumps.argmin(axis=0)
        total = costs[frame] + jumps.min(axis=0)
    path = np.empty(len(costs), dtype=np.int64)
    path[-1] = total.argmin()
    for frame in range(len(costs) - 1, 0, -1):
        path[frame - 1] = backs[frame, path[frame]]
    return path
