"""Levels: decibels, peaks, and the conversion to 16-bit samples."""

from __future__ import annotations

import numpy as np


def decibels(ratio: float) -> float:
    """20 log10 of an amplitude ratio; -inf for zero."""
    return float(20 * np.log10(ratio)) if ratio > 0 else float("-inf")


def rms(audio: np.ndarray) -> float:
    """The root mean square, computed in float64."""
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0


def peak(audio: np.ndarray) -> float:
    """The largest magnitude."""
    return float(np.abs(audio).max()) if audio.size else 0.0


def to_int16(audio: np.ndarray) -> np.ndarray:
    """float ±1 -> int16 by rounding; clipped, never wrapped. int16 read as x / 32768 comes back exactly."""
    return np.clip(np.rint(audio * 32768.0), -32768, 32767).astype(np.int16)


def from_int16(samples: np.ndarray) -> np.ndarray:
    """int16 -> float32 in [-1, 1)."""
    return samples.astype(np.float32) / 32768.0
