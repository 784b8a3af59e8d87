"""How well pitch and voicing of the reference are kept: F0 RMSE, F1 of voiced frames, and RMSE of the periodicity."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gansemble.interfaces import Score
from gansemble_plugins.metrics import pitch
from gansemble_plugins.metrics.inputs import UnscorableFile, at_rate, scored
from gansemble_plugins.metrics.pitch import Track, Tracker


def _suffix(tracker: str) -> str:
    """What is added to keys, so that values of different trackers are told apart."""
    return "" if tracker == "yin" else f"_{tracker}"


def _tracks(estimate: np.ndarray, reference: np.ndarray, sample_rate: int, tracker: str) -> tuple[Track, Track]:
    first, second = at_rate(estimate, reference, sample_rate, pitch.RATE)
    return pitch.track(first, tracker), pitch.track(second, tracker)


class F0Rmse:
    """Root mean square difference of fundamental frequencies, over the frames that are voiced in both signals; lower is better.

    In hertz, and in cents, 1200 |log2(f / f')|, as Morrison et al. 2022 (CARGAN) report it. Frames that are voiced in one
    signal only do not count: ``vuv_f1`` counts them. The value is of one clip, where CARGAN pools the frames of all.

    Args:
        tracker: ``yin``, ``pyin`` (librosa), or ``crepe`` with CARGAN's settings.

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if there is no such tracker.
        MissingNeed: if the tracker's package is not installed.
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far the pitch is from the reference's where both are voiced, in hertz and in cents, of which a "
        "semitone has 100: 0 for the same. A single octave error moves it a lot."
    )

    def __init__(self, *, tracker: Tracker = "yin"):
        pitch.demand(tracker)
        self.tracker, self.packages = tracker, pitch.PACKAGES[tracker]
        self.keys = tuple(f"f0_rmse_{unit}{_suffix(tracker)}" for unit in ("hz", "cents"))
        self.definition = (
            f"RMSE of F0 [Hz; cents] over frames voiced in both signals, of one clip; {pitch.WORDS[tracker]}"
        )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``f0_rmse_hz`` and ``f0_rmse_cents``; ``_pyin`` or ``_crepe`` is added for that tracker."""
        return scored(self.keys, self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        first, second = _tracks(estimate, reference, sample_rate, self.tracker)
        both = first.voiced & second.voiced
        if not both.any():
            raise UnscorableFile(
                f"no frame is voiced in both signals ({first.voiced.sum()} in the estimate, {second.voiced.sum()} in the "
                f"reference, of {both.size})"
            )
        hertz = first.f0[both] - second.f0[both]
        cents = 1200 * np.log2(first.f0[both] / second.f0[both])
        values = (float(np.sqrt(np.square(difference).mean())) for difference in (hertz, cents))
        return dict(zip(self.keys, values, strict=True))


class VuvF1:
    """F1 of the frames that the estimate voices, against those that the reference voices: 2 TP / (2 TP + FP + FN), 0 to 1.

    Morrison et al. 2022 (CARGAN). The value is of one clip, where CARGAN pools the frames of all.

    Args:
        tracker: ``yin``, ``pyin`` (librosa), or ``crepe`` with CARGAN's settings.

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if there is no such tracker.
        MissingNeed: if the tracker's package is not installed.
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = (
        "Whether voiced and unvoiced sounds are where they should be: 1 is the same, 0 means that they are nowhere."
    )

    def __init__(self, *, tracker: Tracker = "yin"):
        pitch.demand(tracker)
        self.tracker, self.packages = tracker, pitch.PACKAGES[tracker]
        self.key = f"vuv_f1{_suffix(tracker)}"
        self.definition = f"F1 of voiced frames, 2 TP / (2 TP + FP + FN), of one clip; {pitch.WORDS[tracker]}"

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``vuv_f1``; ``_pyin`` or ``_crepe`` is added for that tracker."""
        return scored((self.key,), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        first, second = _tracks(estimate, reference, sample_rate, self.tracker)
        voiced = int(first.voiced.sum() + second.voiced.sum())
        if not voiced:
            raise UnscorableFile(f"no frame of either signal is voiced, of {first.voiced.size}")
        return {self.key: 2 * int((first.voiced & second.voiced).sum()) / voiced}


class Periodicity:
    """Root mean square difference of the periodicity, from 0 (noise) to 1, over all frames; lower is better.

    Morrison et al. 2022 (CARGAN). The value is of one clip, where CARGAN pools the frames of all.

    Args:
        tracker: ``yin``, whose periodicity is 1 - d'; ``pyin`` (librosa), whose periodicity is its probability of voice; or
            ``crepe`` with CARGAN's settings.

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if there is no such tracker.
        MissingNeed: if the tracker's package is not installed.
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far the steadiness of voiced sounds is from the reference's: 0 for the same, at most 1; a rough "
        "or buzzing voice has more."
    )

    def __init__(self, *, tracker: Tracker = "yin"):
        pitch.demand(tracker)
        self.tracker, self.packages = tracker, pitch.PACKAGES[tracker]
        self.key = f"periodicity{_suffix(tracker)}"
        self.definition = f"RMSE of the periodicity over all frames, of one clip; {pitch.WORDS[tracker]}"

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``periodicity``; ``_pyin`` or ``_crepe`` is added for that tracker."""
        return scored((self.key,), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        first, second = _tracks(estimate, reference, sample_rate, self.tracker)
        return {self.key: float(np.sqrt(np.square(first.periodicity - second.periodicity).mean()))}
