"""Checks of sets of clips that every metric of sets makes, and how a missing value is reported."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gansemble.audio import levels
from gansemble.interfaces import Score

#: A clip whose RMS about its mean is below this (-120 dB of full scale) is silent.
SILENCE = 1e-6


class UnscorableSet(Exception):
    """Raised where a set cannot be scored; the message becomes the reason of its NaN scores."""


@dataclass(frozen=True)
class ClipSet:
    """Checked clips, sorted by their content, so that no score depends on the order in which they came.

    Args:
        audio: finite float32 [T] each, of any lengths.
        labels: of the clips; None for those without.
        mark: a hash of all clips.
    """

    audio: tuple[np.ndarray, ...]
    labels: tuple[int | None, ...]
    mark: str

    def __len__(self) -> int:
        return len(self.audio)

    @cached_property
    def sounding(self) -> tuple[np.ndarray, ...]:
        """The clips that are not silent."""
        return tuple(clip for clip in self.audio if not silent(clip))

    def stacked(self, length: int) -> np.ndarray:
        """The clips as one array [N, length], cut or padded with zeros at the end."""
        return np.stack([fitted(clip, length) for clip in self.audio])


def fitted(clip: np.ndarray, length: int) -> np.ndarray:
    """A clip cut, or padded with zeros at the end, to ``length`` samples."""
    return np.pad(clip[:length], (0, max(0, length - len(clip))))


def clip_set(name: str, clips: Sequence[Any], labels: Sequence[int | None] | None = None, least: int = 2) -> ClipSet:
    """Checks clips and sorts them.

    Args:
        name: of the set, for messages.
        clips: float [T] each.
        labels: of the clips; None if no labels are needed.
        least: smallest number of clips.

    Raises:
        UnscorableSet: if there are fewer clips, a clip is not a finite float array [T] of at least one sample, the
            number of labels differs, or all clips are silent.
    """
    if len(clips) < least:
        raise UnscorableSet(f"needs {least} {name} or more, got {len(clips)}")
    audio = [checked(f"{name}[{index}]", clip) for index, clip in enumerate(clips)]
    told = [None] * len(audio) if labels is None else list(labels)
    if len(told) != len(audio):
        raise UnscorableSet(f"{len(audio)} {name} have {len(told)} labels")
    if all(silent(clip) for clip in audio):
        raise UnscorableSet(f"all {len(audio)} {name} are silent")
    marks = [hashlib.sha256(clip.tobytes()).hexdigest() for clip in audio]
    order = sorted(range(len(audio)), key=lambda i: (marks[i], -1 if told[i] is None else told[i]))
    mark = hashlib.sha256("".join(marks[i] for i in order).encode()).hexdigest()
    return ClipSet(tuple(audio[i] for i in order), tuple(told[i] for i in order), mark)


def silent(clip: np.ndarray) -> bool:
    """Whether a clip holds nothing but a constant: its RMS about its mean is below -120 dB of full scale."""
    return levels.rms(clip - clip.mean(dtype=np.float64)) < SILENCE


def checked(name: str, clip: Any) -> np.ndarray:
    """A clip as finite float32 [T].

    Raises:
        UnscorableSet: if it is anything else, or empty.
    """
    array = np.asarray(clip)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating):
        raise UnscorableSet(f"{name} must be float samples [T], got {array.dtype} {list(array.shape)}")
    if array.size == 0:
        raise UnscorableSet(f"{name} is empty")
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(array, np.float32)
    finite = np.isfinite(single)
    if not finite.all():
        raise UnscorableSet(f"{name} holds NaN or Inf (first at sample {int(finite.argmin())})")
    return single


def scored(keys: Sequence[str], compute: Callable[[], Mapping[str, Score]]) -> dict[str, Score]:
    """The scores that ``compute`` gives; NaN with a reason where a set cannot be scored, or a value is not finite.

    Args:
        keys: of the scores.
        compute: gives the scores by key, or raises UnscorableSet.
    """
    try:
        found = compute()
    except UnscorableSet as error:
        return {key: Score(math.nan, str(error)) for key in keys}
    return {key: _finite(found[key]) for key in keys}


def _finite(score: Score) -> Score:
    if math.isfinite(score.value) or score.reason:
        return score
    return Score(math.nan, f"the value is not finite ({score.value})")


def measured(compute: Callable[[], Mapping[str, tuple[float, float] | None]]) -> dict[str, tuple[float, float]]:
    """The confidence intervals that ``compute`` gives, without those that are None; empty if a set cannot be scored."""
    try:
        found = compute()
    except UnscorableSet:
        return {}
    return {key: bounds for key, bounds in found.items() if bounds is not None}


def apart(made: ClipSet, real: ClipSet) -> None:
    """Checks that two sets are not the same clips, as confidence intervals assume that they were drawn independently.

    Raises:
        UnscorableSet: if they are.
    """
    if made.mark == real.mark:
        raise UnscorableSet("estimates and references are the same clips")


def both(estimates: Sequence[Any], references: Sequence[Any]) -> tuple[ClipSet, ClipSet]:
    """Estimates and references as checked sets.

    Raises:
        UnscorableSet: if one cannot be scored.
    """
    return clip_set("estimates", estimates), clip_set("references", references)


def counts(estimates: Sequence[Any], references: Sequence[Any]) -> str:
    """The numbers of clips in words, for the definition of a metric."""
    return f", {len(estimates)} estimates against {len(references)} references"
