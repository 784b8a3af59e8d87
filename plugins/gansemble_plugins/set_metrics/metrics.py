"""Inception score, FID and KID, computed from a set's logits and features by a classifier of the corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from gansemble.contract import Contract
from gansemble.data.labels import LabelledClips
from gansemble.interfaces import Score
from gansemble.numbers import Count, Range
from gansemble_plugins.set_metrics import jackknife, scores
from gansemble_plugins.set_metrics.corpus_classifier import CorpusClassifier
from gansemble_plugins.set_metrics.sets import ClipSet, apart, both, clip_set, counts, measured, scored
from gansemble_plugins.set_metrics.settings import CLASSIFIER, ClassifierSettings
from gansemble_plugins.set_metrics.training import Say

LABELS = frozenset({"labels"})


class InceptionScore:
    """exp(mean KL(p(y|x) || p(y))) of a classifier's probabilities for each clip (Salimans et al. 2016).

    It says how sure the classifier is of each clip, and how evenly the classes come. It lies between 1 and the number
    of classes.

    Args:
        splits: number of groups of clips, dealt by the clips' hashes; the score is the mean over groups, as published
            with 10.
        classifier: settings of the classifier of the corpus that is asked.

    Shape:
        - estimates: [T] each; references are not looked at

    Raises:
        ValueError: if ``splits`` is below 1.
    """

    keys = ("inception_score", "inception_score_deviation", "inception_score_whole")
    better: Literal["higher", "lower"] = "higher"
    directions: ClassVar[dict[str, Literal["higher", "lower", "none"] | float]] = {"inception_score_deviation": "none"}
    meaning = (
        "Whether a classifier is sure of each clip and hears all classes: from 1, to the number of classes. "
        "Real clips beside it are the scale. Clips that all repeat one another within a class go unnoticed."
    )
    interval = jackknife.METHOD

    def __init__(self, *, splits: Count = 10, classifier: ClassifierSettings = CLASSIFIER) -> None:
        if splits < 1:
            raise ValueError(f"splits must be at least 1, got {splits}")
        self.splits = splits
        self.classifier = CorpusClassifier(classifier)
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs a corpus with labels."""
        return Contract(needs=LABELS)

    @property
    def definition(self) -> str:
        """The exact variant, the number of clips that were scored last, and the classifier."""
        return (
            f"inception score exp(mean KL(p(y|x) || p(y))){self.count}: mean over {self.splits} groups dealt by hash "
            "(inception_score), population deviation over them (_deviation), all clips as one group (_whole); "
            f"{self.classifier.identity}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads one that was trained before."""
        self.classifier.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``inception_score`` and ``inception_score_deviation`` over groups, and ``inception_score_whole``."""
        self.count = f" of {len(estimates)} clips"
        return scored(self.keys, lambda: self._scores(clip_set("estimates", estimates), sample_rate))

    def intervals(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        confidence: float,
    ) -> dict[str, jackknife.Bounds]:
        """Confidence intervals of ``inception_score`` and ``inception_score_whole``."""
        return measured(lambda: self._bounds(clip_set("estimates", estimates), sample_rate, confidence))

    def _bounds(self, clips: ClipSet, sample_rate: int, confidence: float) -> dict[str, jackknife.Bounds | None]:
        logits = self.classifier.predict(clips, sample_rate).logits
        found: dict[str, jackknife.Bounds | None] = {}
        for key, splits in ((self.keys[0], self.splits), (self.keys[2], 1)):
            if splits <= len(clips):
                value, variance = (
                    scores.inception_score(logits, splits)[0],
                    jackknife.inception_variance(logits, splits),
                )
                found[key] = jackknife.bounds(value, variance, len(clips), confidence, 1.0, float(logits.shape[1]))
        return found

    def _scores(self, clips: ClipSet, sample_rate: int) -> dict[str, Score]:
        logits = self.classifier.predict(clips, sample_rate).logits
        whole = Score(scores.inception_score(logits, 1)[0], _few(len(clips), logits.shape[1]))
        if len(clips) < self.splits:
            none = Score(math.nan, f"{len(clips)} clips make no {self.splits} groups; lower splits, or make more clips")
            return dict(zip(self.keys, (none, none, whole), strict=True))
        mean, deviation = scores.inception_score(logits, self.splits)
        caveat = _few(len(clips) // self.splits, logits.shape[1])
        return dict(zip(self.keys, (Score(mean, caveat), Score(deviation, caveat), whole), strict=True))


def _few(clips: int, classes: int) -> str | None:
    """A caveat for groups of fewer than ten clips for each class; None for larger ones."""
    return f"biased low: {clips} clips in a group, for {classes} classes" if clips < 10 * classes else None


class Fid:
    """The Fréchet distance between the features of the estimates and of the references (Heusel et al. 2017).

    The features are those of a classifier of the corpus: its last convolution block's map, averaged over time, width x
    128 / 2^blocks numbers. The distance is larger for fewer clips, so compare scores of equal numbers of clips only.
    With fewer clips than features take KID.

    Args:
        classifier: settings of the classifier of the corpus, whose features are compared.

    Shape:
        - estimates, references: [T] each
    """

    keys = ("fid",)
    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far what was generated is, as a set, from the held-out clips, by a classifier of this corpus: 0 "
        "for the same distribution; the value of real clips beside it is the scale. Fewer clips have higher "
        "values."
    )
    interval = jackknife.METHOD

    def __init__(self, *, classifier: ClassifierSettings = CLASSIFIER) -> None:
        self.classifier = CorpusClassifier(classifier)
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs a corpus with labels."""
        return Contract(needs=LABELS)

    @property
    def definition(self) -> str:
        """The exact variant, the numbers of clips of the sets that were scored last, and the classifier."""
        return (
            f"Fréchet distance of means and unbiased covariances of {self.classifier.settings.features} features, float64"
            f"{self.count}; {self.classifier.identity}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads one that was trained before."""
        self.classifier.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``fid``."""
        self.count = counts(estimates, references)
        return scored(self.keys, lambda: self._scores(*both(estimates, references), sample_rate))

    def intervals(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        confidence: float,
    ) -> dict[str, jackknife.Bounds]:
        """A confidence interval of ``fid``; none if both sets are the same clips."""
        return measured(lambda: self._bounds(*both(estimates, references), sample_rate, confidence))

    def _bounds(
        self, made: ClipSet, real: ClipSet, sample_rate: int, confidence: float
    ) -> dict[str, jackknife.Bounds | None]:
        apart(made, real)
        ours, theirs = self.classifier.features(made, real, sample_rate)
        value, variance = scores.fid(ours, theirs), jackknife.fid_variance(ours, theirs)
        return {"fid": jackknife.bounds(value, variance, min(len(made), len(real)), confidence, 0.0)}

    def _scores(self, made: ClipSet, real: ClipSet, sample_rate: int) -> dict[str, Score]:
        ours, theirs = self.classifier.features(made, real, sample_rate)
        size, fewest = ours.shape[1], min(len(made), len(real))
        few = f"biased high: {fewest} clips cannot span the covariance of {size} features"
        return {"fid": Score(scores.fid(ours, theirs), few if fewest <= size else None)}


class Kid:
    """Squared maximum mean discrepancy between features of estimates and references (Bińkowski et al. 2018).

    The kernel is (x.y / D + 1)^3, the D features are those of a classifier of the corpus. Unlike FID, its expectation
    does not depend on the number of clips, so it suits few clips. It may be negative.

    Args:
        subsets: number of random subsets of clips, over which the score is averaged.
        size: clips of each set in a subset, at most as many as the smaller set has; one subset is taken where it is all
            of both.
        classifier: settings of the classifier of the corpus, whose features are compared.

    Shape:
        - estimates, references: [T] each

    Raises:
        ValueError: if ``subsets`` is below 1 or ``size`` below 2.
    """

    keys = ("kid", "kid_deviation")
    better: Literal["higher", "lower"] = "lower"
    directions: ClassVar[dict[str, Literal["higher", "lower", "none"] | float]] = {"kid_deviation": "none"}
    meaning = (
        "How far what was generated is, as a set, from the held-out clips, by a classifier of this corpus: "
        "about 0 for the same distribution, also of few clips."
    )
    interval = jackknife.METHOD

    def __init__(
        self,
        *,
        subsets: Count = 100,
        size: Annotated[int, Range(at_least=2, at_most=1_000_000)] = 1000,
        classifier: ClassifierSettings = CLASSIFIER,
    ) -> None:
        if subsets < 1 or size < 2:
            raise ValueError(f"subsets must be at least 1 and size at least 2, got {subsets} and {size}")
        self.subsets, self.size = subsets, size
        self.classifier = CorpusClassifier(classifier)
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs a corpus with labels."""
        return Contract(needs=LABELS)

    @property
    def definition(self) -> str:
        """The exact variant, the numbers of clips of the sets that were scored last, and the classifier."""
        return (
            f"unbiased squared MMD of {self.classifier.settings.features} features, kernel (x.y / D + 1)^3, mean over "
            f"{self.subsets} subsets of {self.size} or all clips (kid), population deviation over them (_deviation)"
            f"{self.count}; {self.classifier.identity}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads one that was trained before."""
        self.classifier.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``kid``, and ``kid_deviation``, the standard deviation over subsets."""
        self.count = counts(estimates, references)
        return scored(self.keys, lambda: self._scores(*both(estimates, references), sample_rate))

    def intervals(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        confidence: float,
    ) -> dict[str, jackknife.Bounds]:
        """A confidence interval of ``kid``; none if both sets are the same clips."""
        return measured(lambda: self._bounds(*both(estimates, references), sample_rate, confidence))

    def _bounds(
        self, made: ClipSet, real: ClipSet, sample_rate: int, confidence: float
    ) -> dict[str, jackknife.Bounds | None]:
        apart(made, real)
        ours, theirs = self.classifier.features(made, real, sample_rate)
        value, deviation = scores.kid(ours, theirs, self.subsets, self.size)
        # Given the clips, subsets are drawn independently: their mean varies by its own error as well.
        variance = jackknife.kid_variance(ours, theirs) + deviation**2 / self.subsets
        return {"kid": jackknife.bounds(value, variance, min(len(made), len(real)), confidence)}

    def _scores(self, made: ClipSet, real: ClipSet, sample_rate: int) -> dict[str, Score]:
        ours, theirs = self.classifier.features(made, real, sample_rate)
        mean, deviation = scores.kid(ours, theirs, self.subsets, self.size)
        return {"kid": Score(mean), "kid_deviation": Score(deviation)}
