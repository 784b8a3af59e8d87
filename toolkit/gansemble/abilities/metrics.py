"""What metrics can do besides scoring a pair of clips: score sets, learn first, give intervals. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from gansemble.interfaces import Score


@runtime_checkable
class SetMetric(Protocol):
    """Scores a set of clips against another, for generators whose clips imitate none in particular.

    ``estimates`` and ``references`` are float arrays [T] at ``sample_rate`` [Hz]; ``labels`` are those the estimates were
    made with, None where there are none. ``keys`` are those of the scores, the one that ranks checkpoints first.
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
    """A metric of sets that scores class by class: it may say ``wants_reference_labels = True`` and takes
    ``reference_labels``, the labels of the references, as a keyword; None where it is called without."""

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
class DetailedMetric(Protocol):
    """A metric of sets that has more to tell than its keys: ``details``, what JSON can hold, by key, of the sets that it
    scored last."""

    details: Mapping[str, object]


@runtime_checkable
class IntervalMetric(Protocol):
    """A metric of sets that says how far its scores would move with other clips of the same sources.

    ``intervals`` is called like ``score_set``, and with the probability that an interval shall hold its score's mean; it
    gives (low, high) by key, of the keys that have one. ``interval`` says how they are made, for the results. One that
    wants the references' labels is given them here, too.
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
    """The two together: intervals of a metric that scores class by class."""

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


class LabelledAudio(Protocol):
    """A split of a corpus as labelled clips of one length; indices count them from 0, and one past the last raises
    IndexError."""

    @property
    def length(self) -> int:
        """Of every clip [samples]."""

    @property
    def sample_rate(self) -> int:
        """[Hz]."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int | None]: ...

    def audio(self, index: int) -> np.ndarray:
        """float32 [length]."""

    def label(self, index: int) -> int | None:
        """Of a class or pitch; None for a clip without one."""

    def name(self, index: int) -> str:
        """Of the clip, for messages."""


@runtime_checkable
class FittedMetric(Protocol):
    """A metric that learns from the corpus before it scores, such as by a classifier.

    ``fit`` is given the clips by split (``train``, ``validation``, ``test``; those that there are), and a folder shared
    by all metrics of a corpus: it loads what it finds there, named after all that decides it, or learns and writes it.
    """

    def fit(self, clips: Mapping[str, LabelledAudio], folder: Path, say: Callable[[str], None]) -> None: ...
