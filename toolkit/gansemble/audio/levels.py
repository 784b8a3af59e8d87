"""Levels: decibels, peaks, and the conversion to 16-bit samples."""

from __future__ import annotations

import numpy as np


def decibels(ratio: float) -> float:
    """An amplitude ratio in decibels, 20 log10(ratio); -inf for zero."""
    return float(20 * np.log10(ratio)) if ratio > 0 else float("-inf")


def rms(audio: np.ndarray) -> float:
    """The root mean square of audio of any shape, computed in float64; 0 for no samples."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0


def peak(audio: np.ndarray) -> float:
    """The largest absolute sample value; 0 for no samples."""
    return float(np.abs(audio).max()) if audio.size else 0.0


def to_int16(audio: np.ndarray) -> np.ndarray:
    """Converts audio in ±1 to int16 by multiplying with 32768 and rounding; what exceeds the range is clipped.

    Samples that :func:`from_int16` made come back exactly.
    """
    return np.clip(np.rint(audio * 32768.0), -32768, 32767).astype(np.int16)


def from_int16(samples: np.ndarray) -> np.ndarray:
    """Converts int16 samples to float32 in [-1, 1), by dividing by 32768."""
    return samples.astype(np.float32) / 32768.0
