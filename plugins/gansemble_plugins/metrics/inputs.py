"""What every metric asks of its two signals, and how a missing value is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gansemble.audio import levels
from gansemble.interfaces import Score

#: Lengths that differ by at most this many samples are cut to the shorter: a frame of padding is no fault.
TOLERANCE_SAMPLES = 1024

#: A signal whose RMS about its mean is below this (-120 dB of full scale) holds nothing to score.
SILENCE = 1e-6


class UnscorableFile(Exception):
    """Why a file has no value; becomes the reason of its score."""


def scored(
    keys: Sequence[str],
    compute: Callable[[np.ndarray, np.ndarray, int], Mapping[str, float]],
    estimate: Any,
    reference: Any,
    sample_rate: int,
) -> dict[str, Score]:
    """The values of ``compute`` as scores; bad audio and non-finite values become NaN with a reason."""
    try:
        values = compute(*aligned(estimate, reference), int(sample_rate))
    except UnscorableFile as error:
        return {key: Score(math.nan, str(error)) for key in keys}
    return {key: _score(float(values[key])) for key in keys}


def aligned(
    estimate: Any, reference: Any, tolerance: int = TOLERANCE_SAMPLES, silent_estimate: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Both signals as float64 [T], cut to the shorter if they differ by at most ``tolerance`` samples.

    Raises:
        UnscorableFile: if one is not a finite, audible float array [T], or the lengths differ by more; with
            ``silent_estimate`` the estimate may be inaudible.
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


def silent(signal: np.ndarray) -> bool:
    """Whether nothing but a constant is in it."""
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
