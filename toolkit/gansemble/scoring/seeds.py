"""Means over several seeds and the same files of each, with intervals for both kinds of chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from gansemble.scoring.statistics import Difference, Summary, common, paired

#: Value of each file, by seed.
Scores = Mapping[str, Mapping[str, float]]


def crossed(table: Sequence[Sequence[float]], confidence: float = 0.95) -> Summary:
    """The mean of a score over seeds and files, with an interval for other seeds and other files.

    Each value is taken as mean + seed + file + rest, all but the mean being chance (the two-way model with random effects,
    Searle, Casella and McCulloch 1992, chapter 4). With the mean squares MS of S seeds, F files and the rest E,

        variance of the mean = (MS_S + MS_F - MS_E) / (S F),

    at least max(MS_S, MS_F) / (S F), and the interval is Student's with Satterthwaite's degrees of freedom (1946). A
    bootstrap of three seeds would give an interval too narrow by a third or more.

    Args:
        table: value of each file [F], for each seed [S]; NaN nowhere.
        confidence: probability of the interval.

    Raises:
        ValueError: if there are no values, or seeds have different numbers of files.
    """
    values = np.array(table, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"expected values of the same files for every seed, got an array of shape {values.shape}")
    seeds, files = values.shape
    mean, nan = float(values.mean()), math.nan
    if seeds < 2 or files < 2 or not math.isfinite(mean):
        return Summary(mean, nan, nan, int(np.isfinite(values).all(0).sum()), files)
    by_seed, by_file = values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    freedom = np.array([seeds - 1, files - 1, (seeds - 1) * (files - 1)])
    squares = np.array(
        [
            files * ((by_seed - mean) ** 2).sum(),
            seeds * ((by_file - mean) ** 2).sum(),
            ((values - by_seed - by_file + mean) ** 2).sum(),
        ]
    )
    ms_seed, ms_file, ms_rest = squares / freedom
    between = ms_seed + ms_file - ms_rest
    total = max(between, ms_seed, ms_file)
    if total <= 0:
        return Summary(mean, mean, mean, files, files)
    # Satterthwaite's formula is for the sum; where it was raised to the larger of its terms, that term's own count.
    if total == between:
        degrees = total**2 / ((np.array([ms_seed, ms_file, ms_rest]) ** 2 / freedom).sum())
    else:
        degrees = freedom[0] if ms_seed >= ms_file else freedom[1]
    from scipy.stats import t as student

    half = float(student.ppf((1 + confidence) / 2, max(degrees, 1.0))) * math.sqrt(total / (seeds * files))
    return Summary(mean, mean - half, mean + half, files, files)


def summary_over(scores: Scores, files: Sequence[str], confidence: float = 0.95) -> Summary | None:
    """:func:`crossed` of one system's seeds over some files; None for a single seed, or if a value is missing."""
    table = [[values.get(name, math.nan) for name in files] for values in scores.values()]
    if len(table) < 2 or not files or any(math.isnan(value) for row in table for value in row):
        return None
    return crossed(table, confidence)


def difference(first: Scores, second: Scores, confidence: float = 0.95) -> Difference:
    """How much a second system's mean differs from a first one's.

    Where both have two seeds or more in common, and the same files, differences are taken seed by seed and file by file,
    and the interval is for both (:func:`crossed`). Else each system is averaged over its seeds, and the interval is for
    files alone (:func:`gansemble.scoring.statistics.paired`).

    Args:
        first, second: value of each file, by seed; NaN or absent where there is none.
        confidence: probability of the interval.
    """
    seeds = [seed for seed in first if seed in second]
    of_each = {f"{which} {seed}": side[seed] for which, side in enumerate((first, second)) for seed in seeds}
    files = common(of_each)
    if len(seeds) > 1 and len(files) > 1:
        table = [[second[seed][name] - first[seed][name] for name in files] for seed in seeds]
        found = crossed(table, confidence)
        return Difference(found.mean, found.low, found.high, len(files))
    return paired(_averaged(first), _averaged(second), confidence=confidence)


def _averaged(scores: Scores) -> dict[str, float]:
    """Mean over seeds of each file that all of them have."""
    return {name: float(np.mean([values[name] for values in scores.values()])) for name in common(scores)}
