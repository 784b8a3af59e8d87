"""Abilities of metrics, such as to score sets of clips or to give confidence intervals. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from gansemble.interfaces import Score


@runtime_checkable
class SetMetric(Protocol):
    """A metric of a whole set of generated clips against a set of real ones, not of pairs of clips.

    Attributes:
        keys: of the scores; the first one ranks checkpoints.
        definition: the exact variant that is computed, in words.
        better: which way is better, ``"higher"`` or ``"lower"``.

    Methods:
        score_set(estimates, references, sample_rate, labels): a score for each of ``keys``, NaN with a reason where it
            cannot be computed. Clips are float arrays [T] at ``sample_rate`` [Hz]; ``labels`` are the class or pitch
            indices that the estimates were generated with, None for those without.
    """

    keys: tuple[str, ...]
    definition: str
    better: Literal["higher", "lower"]

    def score_set(
        self,
        estimates: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        sample_rate: int,
        labels: Sequence[int | None],
    ) -> Mapping[str, Score]: ...


@runtime_checkable
class ClasswiseMetric(Protocol):
    """A metric of sets that scores class by class, and therefore needs the labels of the references as well.

    Attributes:
        wants_reference_labels: whether it needs them.

    Methods:
        score_set(estimates, references, sample_rate, labels, reference_labels): as :class:`SetMetric` has it;
            ``reference_labels`` are the labels of the references, None for those without. Not given at all, it cannot
            score.
    """

    wants_reference_labels: bool

    def score_set(
        self,
        estimates: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        reference_labels: Sequence[int | None] | None = None,
    ) -> Mapping[str, Score]: ...


@runtime_checkable
class DirectedMetric(Protocol):
    """A metric that gives several scores, not all of which are better in the direction of its ``better``.

    Attributes:
        directions: of these others, by key as the metric gives it: ``"higher"``; ``"lower"``; ``"none"`` for what only helps
            to read another score, such as a deviation, or the same measured on real clips; or the value that is best.
    """

    directions: Mapping[str, Literal["higher", "lower", "none"] | float]


@runtime_checkable
class ExplainedMetric(Protocol):
    """A metric that says what its numbers mean to somebody who has not used it before.

    Attributes:
        meaning: in a sentence or two: what is compared, and from which to which value on what scale.
    """

    meaning: str


@runtime_checkable
class DetailedMetric(Protocol):
    """A metric of sets that has more to report than its scores, such as the score of each class.

    Attributes:
        details: of the sets that it scored last, by key: anything that JSON can hold.
    """

    details: Mapping[str, object]


@runtime_checkable
class IntervalMetric(Protocol):
    """A metric of sets that gives confidence intervals: how far scores would move with other clips of the same sources.

    Attributes:
        interval: how the intervals are computed, in words, for the tables of results.

    Methods:
        intervals(estimates, references, sample_rate, labels, confidence): (low, high) by key, for those keys that have
            an interval. Called as ``score_set`` is, and with the probability that an interval shall contain the mean
            score, such as 0.95.
    """

    interval: str

    def intervals(
        self,
        estimates: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        confidence: float,
    ) -> Mapping[str, tuple[float, float]]: ...


@runtime_checkable
class ClasswiseIntervals(Protocol):
    """A metric of sets that scores class by class and gives confidence intervals.

    It has the attributes of :class:`ClasswiseMetric` and :class:`IntervalMetric`, and is given the labels of the
    references for its intervals, too.
    """

    wants_reference_labels: bool
    interval: str

    def intervals(
        self,
        estimates: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        reference_labels: Sequence[int | None] | None = None,
        confidence: float,
    ) -> Mapping[str, tuple[float, float]]: ...


@runtime_checkable
class ReferenceFree(Protocol):
    """A metric of a clip alone. It is called as any other, with ``reference=None`` where there is none.

    Attributes:
        needs_reference: False for a metric that never looks at the reference.
    """

    needs_reference: bool


class LabelledAudio(Protocol):
    """A split of a corpus as a sequence of labelled clips of one length.

    ``clips[index]`` is (audio float32 [T], label or None). Indices count from 0; one past the last raises IndexError,
    so that a ``for`` loop over the clips ends.
    """

    @property
    def length(self) -> int:
        """Length of every clip [samples]."""

    @property
    def sample_rate(self) -> int:
        """Sample rate of every clip [Hz]."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int | None]: ...

    def audio(self, index: int) -> np.ndarray:
        """Samples of a clip, float32 [T]."""

    def label(self, index: int) -> int | None:
        """Index of the clip's class or pitch; None for a clip without one."""

    def name(self, index: int) -> str:
        """Name of the clip, for messages."""


@runtime_checkable
class FittedMetric(Protocol):
    """A metric that learns from the corpus before it scores, such as by training a classifier.

    Methods:
        fit(clips, folder, say): ``clips`` are the splits that there are, by name (``train``, ``validation``, ``test``).
            ``folder`` is shared by all metrics of a corpus: what was learnt is kept there under a name made from all
            that decides it, and loaded the next time. ``say`` takes a line for the user.
    """

    def fit(self, clips: Mapping[str, LabelledAudio], folder: Path, say: Callable[[str], None]) -> None: ...


@runtime_checkable
class FittedEmbedder(Protocol):
    """An embedder that learns from the corpus before it hears anything; called as :class:`FittedMetric` is.

    Its ``sample_rate``, ``window`` and ``dim`` need be known only after that.
    """

    def fit(self, clips: Mapping[str, LabelledAudio], folder: Path, say: Callable[[str], None]) -> None: ...
