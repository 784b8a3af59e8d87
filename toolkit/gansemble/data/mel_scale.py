"""Whether mel spectrograms of another program are in our scale: natural logarithms of magnitudes, of our bands."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from gansemble.audio.spec import AudioSpec

#: Slopes of other scales against natural logarithms of magnitudes, and what they are called.
SLOPES = (
    (1 / math.log(10), "base-10 logarithms: multiply them by 2.302585"),
    (2 / math.log(10), "base-10 logarithms of power: multiply them by 1.151293"),
    (2.0, "natural logarithms of power instead of magnitude: halve them"),
    (20 / math.log(10), "decibels: multiply them by 0.115129"),
)
#: A slope this near to one of them, as a ratio, counts as that scale.
NEAR = 1.2
#: Estimated spectrograms are smoother than real ones, so that their slope is below 1.
LEAST_SLOPE, MOST_SLOPE = 0.6, 1.35
#: Levels may differ by so much on average, in natural logarithms: 1.5 is 13 dB.
MOST_OFFSET = 1.5
LEAST_CORRELATION = 0.5


@dataclass(frozen=True)
class Fit:
    """The straight line that leads from our spectrograms to those of another program.

    Args:
        slope: of the line.
        offset: mean of theirs minus mean of ours.
        correlation: of all values, between -1 and 1.
        deviation: standard deviation of theirs.
        mean: of theirs.
        lowest: least value of theirs.
    """

    slope: float
    offset: float
    correlation: float
    deviation: float
    mean: float
    lowest: float

    @classmethod
    def of(cls, theirs: np.ndarray, ours: np.ndarray) -> Fit:
        """The line of two spectrograms [M, L] of the same clips."""
        a, b = ours.astype(np.float64).ravel(), theirs.astype(np.float64).ravel()
        covariance = float(((a - a.mean()) * (b - b.mean())).mean())
        spread = float(a.std()), float(b.std())
        correlation = covariance / (spread[0] * spread[1]) if min(spread) > 0 else 0.0
        # The reduced major axis, which takes neither of the two for the exact one.
        slope = math.copysign(spread[1] / spread[0], covariance) if spread[0] > 0 else 0.0
        return cls(slope, float(b.mean() - a.mean()), correlation, spread[1], float(b.mean()), float(b.min()))


def fault(theirs: np.ndarray, ours: np.ndarray) -> str | None:
    """What is wrong with the scale of mel spectrograms; None where nothing is.

    Args:
        theirs: of another program [M, L], of one or more clips one after the other.
        ours: of the same audio, natural logarithms of magnitudes [M, L].
    """
    found = Fit.of(theirs, ours)
    if found.lowest >= 0 and Fit.of(np.log(theirs + 1e-5), ours).correlation > max(
        found.correlation, LEAST_CORRELATION
    ):
        return "they are magnitudes or powers without a logarithm: take natural logarithms of magnitudes"
    if found.correlation < LEAST_CORRELATION:
        flipped = Fit.of(theirs[::-1], ours).correlation
        if flipped > LEAST_CORRELATION:
            return "their bands are in the order from high to low: turn it round"
        return (
            f"they do not go with the clips' audio (correlation {found.correlation:.2f}): are they of other clips, of another "
            "order of bands, or of another mel scale?"
        )
    # Reducing the slope to 1 makes normalised values and other scales alike, so those of zero mean come first.
    if abs(found.mean) < 0.5 and 0.5 < found.deviation < 1.6 and abs(found.offset) > MOST_OFFSET:
        return f"they are normalised (mean {found.mean:.2f}, standard deviation {found.deviation:.2f}): undo it"
    for slope, said in SLOPES:
        level = found.mean - slope * (found.mean - found.offset)  # 0 for our means in that scale
        near = slope / NEAR < found.slope < slope * NEAR and abs(level) < slope * MOST_OFFSET
        if near and not LEAST_SLOPE < found.slope < MOST_SLOPE:
            return f"they are {said}"
    if not LEAST_SLOPE < found.slope < MOST_SLOPE or abs(found.offset) > MOST_OFFSET:
        return (
            f"they are of another scale: {found.slope:.2f} times ours and {found.offset:+.1f} on average; ours are natural "
            "logarithms of magnitudes (gansemble mels writes them)"
        )
    return None


class MelStatistics(TypedDict):
    """What the values of the mel spectrograms were that a generator learnt from.

    Attributes:
        mean: of all values.
        deviation: their standard deviation.
    """

    mean: float
    deviation: float


def statistics(mels: Iterable[np.ndarray]) -> MelStatistics:
    """The statistics of spectrograms [M, L]; at least one."""
    values = np.concatenate([mel.astype(np.float64).ravel() for mel in mels])
    return {"mean": float(values.mean()), "deviation": float(values.std())}


def foreign(mel: np.ndarray, spec: AudioSpec, learnt: MelStatistics | None = None) -> str | None:
    """What the values of a spectrogram alone say of its scale, where there is no audio to compare with.

    Args:
        mel: [M, L].
        spec: says what silence is.
        learnt: statistics of what the generator learnt from; None where they are not known.

    Returns:
        What is wrong; None where it may be natural logarithms of magnitudes of audio within ±1.
    """
    floor = math.log(spec.log_floor)
    low, high, mean, deviation = (float(x) for x in (mel.min(), mel.max(), mel.mean(), mel.std()))
    shown = f"values from {low:.1f} to {high:.1f} are not natural-log magnitudes, whose floor here is {floor:.3f}"
    if low < floor - 1 or high > 10:
        guess = "decibels" if low < -30 or high > 30 else "another base of the logarithm, power, or a normalised scale"
        return f"{shown}; they look like {guess}: check the log base and normalisation of what made it"
    if low >= 0 and deviation > 0 and mel.shape[1] > 4:
        return f"{shown}; they look like magnitudes without a logarithm, or scaled to [0, 1]"
    if abs(mean) < 0.5 and 0.5 < deviation < 1.6 and mel.shape[1] > 16:
        return f"{shown}; a mean of {mean:.2f} and a standard deviation of {deviation:.2f} look normalised: undo that"
    if learnt is not None and learnt["deviation"] > 0 and abs(learnt["mean"]) > 1 and mel.shape[1] > 16:
        ratios = mean / learnt["mean"], deviation / learnt["deviation"]
        for slope, said in SLOPES:
            if all(slope / NEAR < ratio < slope * NEAR for ratio in ratios) and not LEAST_SLOPE < slope < MOST_SLOPE:
                return (
                    f"{shown}; their mean {mean:.2f} and standard deviation {deviation:.2f} are {slope:.3g} times those that the "
                    f"generator learnt from ({learnt['mean']:.2f}, {learnt['deviation']:.2f}), so they look like {said}"
                )
    return None
