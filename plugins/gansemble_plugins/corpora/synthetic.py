"""Melodies and beats for mini corpora whose highs follow from their lows, as restoring needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def melody(notes: Sequence[np.ndarray], steps: int, seed: Sequence[int]) -> np.ndarray:
    """``steps`` of the notes one after the other, drawn with ``seed``: float32 [T]."""
    drawn = np.random.default_rng(tuple(seed)).integers(len(notes), size=steps)
    return np.concatenate([notes[each] for each in drawn])


def beat(samples: int, sample_rate: int, steps: int, seed: Sequence[int]) -> np.ndarray:
    """A burst of white noise at each of ``steps``, over a thump of 60 Hz at every other: float32 [samples], peak 0.5."""
    draws = np.random.default_rng(tuple(seed))
    out = 5e-4 * draws.standard_normal(samples)
    time = np.arange(samples // steps) / sample_rate
    for step in range(steps):
        hit = 0.3 * np.exp(-time / 0.02) * draws.standard_normal(len(time))
        if step % 2 == 0:
            hit += np.exp(-time / 0.06) * np.sin(2 * np.pi * 60 * time)
        out[step * len(time) : (step + 1) * len(time)] += draws.uniform(0.6, 1.0) * hit
    return (0.5 * out / np.abs(out).max()).astype(np.float32)
