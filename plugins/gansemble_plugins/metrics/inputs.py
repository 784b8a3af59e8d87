"""Checks of the two signals that every metric makes, and how a missing value is reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gansemble.audio import files, levels
from gansemble.interfaces import Score

#: Lengths that differ by at most this many samples are cut to the shorter: a frame of padding is no fault.
TOLERANCE_SAMPLES = 1024

#: A signal whose RMS about its mean is below this (-120 dB of full scale) holds nothing to score.
SILENCE = 1e-6


class UnscorableFile(Exception):
    """Raised where a file cannot be scored; the message becomes the reason of its NaN score."""


def scored(
    keys: Sequence[str],
    compute: Callable[[np.ndarray, np.ndarray, int], Mapping[str, float]],
    estimate: Any,
    reference: Any,
    sample_rate: int,
    any_lengths: bool = False,
) -> dict[str, Score]:
    """The scores of ``compute``; bad signals, and values that are not finite, become NaN with a reason.

    Args:
        keys: of the scores.
        compute: called with estimate and reference, float64 [T] of equal length (see ``any_lengths``), and the sample rate [Hz]; gives the
            values by key.
        estimate, reference: the signals, of whatever type.
        sample_rate: [Hz].
        any_lengths: hand both over as long as they are, for a metric that aligns them itself.
    """
    try:
        pair = sounding(estimate, reference) if any_lengths else aligned(estimate, reference)
        values = compute(*pair, int(sample_rate))
    except UnscorableFile as error:
        return {key: Score(math.nan, str(error)) for key in keys}
    return {key: _score(float(values[key])) for key in keys}


def aligned(
    estimate: Any, reference: Any, tolerance: int = TOLERANCE_SAMPLES, silent_estimate: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Both signals as float64 [T], cut to the length of the shorter one.

    Args:
        estimate, reference: the signals, of whatever type.
        tolerance: largest difference of their lengths [samples].
        silent_estimate: whether the estimate may be silent.

    Raises:
        UnscorableFile: if a signal is not a finite, audible float array [T], or the lengths differ by more.
    """
    arrays = [_checked(name, array) for name, array in (("estimate", estimate), ("reference", reference))]
    sizes = [array.size for array in arrays]
    if max(sizes) - min(sizes) > tolerance:
        raise UnscorableFile(
            f"estimate has {sizes[0]} samples, reference {sizes[1]} samples: more than {tolerance} apart"
        )
    first, second = (array[: min(sizes)] for array in arrays)
    for name, array in (("estimate", first), ("reference", second)):
        if silent(array) and not (silent_estimate and name == "estimate"):
            raise UnscorableFile(f"{name} is silent")
    return first, second


def at_rate(
    estimate: np.ndarray, reference: np.ndarray, sample_rate: int, to_rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both signals at another sample rate, float64 [T'].

    Args:
        estimate, reference: [T].
        sample_rate: theirs [Hz].
        to_rate: the wanted one [Hz].
    """
    if sample_rate == to_rate:
        return estimate, reference
    pair = files.resample(np.stack([estimate, reference]).astype(np.float32), sample_rate, to_rate)
    return pair[0].astype(np.float64), pair[1].astype(np.float64)


def sounding(estimate: Any, reference: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both signals as float64 [T], each of its own length.

    Raises:
        UnscorableFile: if one is not a finite, audible float array [T].
    """
    first, second = (_checked(name, array) for name, array in (("estimate", estimate), ("reference", reference)))
    for name, array in (("estimate", first), ("reference", second)):
        if silent(array):
            raise UnscorableFile(f"{name} is silent")
    return first, second


def silent(signal: np.ndarray) -> bool:
    """Whether a signal holds nothing but a constant: its RMS about its mean is below -120 dB of full scale."""
    return levels.rms(signal - signal.mean()) < SILENCE


def _checked(name: str, signal: Any) -> np.ndarray:
    array = np.asarray(signal)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating):
        raise UnscorableFile(f"{name} must be float samples [T], got {array.dtype} {list(array.shape)}")
    if array.size == 0:
        raise UnscorableFile(f"{name} is empty")
    finite = np.isfinite(array)
    if not finite.all():
        raise UnscorableFile(f"{name} holds NaN or Inf (first at sample {int(finite.argmin())})")
    return array.astype(np.float64)


def _score(value: float) -> Score:
    return Score(value) if math.isfinite(value) else Score(math.nan, f"the value is not finite ({value})")
