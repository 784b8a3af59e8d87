"""Precision, recall, density and coverage: whether generated clips are like real ones, and as varied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from gansemble.contract import Contract
from gansemble.data.labels import LabelledClips
from gansemble.interfaces import Score
from gansemble.numbers import Count
from gansemble_plugins.set_metrics import jackknife
from gansemble_plugins.set_metrics.corpus_classifier import CorpusClassifier
from gansemble_plugins.set_metrics.manifolds import Overlap
from gansemble_plugins.set_metrics.sets import ClipSet, apart, both, counts, measured, scored
from gansemble_plugins.set_metrics.settings import CLASSIFIER, ClassifierSettings
from gansemble_plugins.set_metrics.training import Say


class PrecisionRecall:
    """How much two sets of clips overlap, by the features of a classifier of the corpus.

    A clip reaches as far as its ``nearest``-th nearest neighbour in its own set. Precision is the share of estimates
    within reach of a reference, recall the share of references within reach of an estimate (Kynkäänniemi et al. 2019,
    with 3 neighbours). Density is the mean number of references that reach an estimate, divided by ``nearest``, so it
    may exceed 1; coverage is the share of references that reach an estimate (Naeem et al. 2020, with 5 neighbours; a
    single outlier among the references changes these less). Precision and density tell how realistic the estimates are,
    recall and coverage how varied. Coverage falls with either, and so it ranks checkpoints.

    A point at exactly the distance of the neighbour is within reach, so a copy of a reference always is. The authors'
    code of density and coverage leaves it out: by it a copy of all references has density 1, here (nearest + 1) /
    nearest.

    Args:
        nearest: which neighbour a clip reaches to, for all four: 5 as Naeem et al. take, or 3 as Kynkäänniemi et al.
            do.
        classifier: settings of the classifier of the corpus, whose features are compared.

    Shape:
        - estimates, references: [T] each

    Raises:
        ValueError: if ``nearest`` is below 1.
    """

    keys = ("coverage", "precision", "recall", "density")
    better: Literal["higher", "lower"] = "higher"
    directions: ClassVar[dict[str, Literal["higher", "lower", "none"] | float]] = {"density": 1.0}
    meaning = (
        "Shares from 0 to 1: of generated clips that are near real ones (precision), of real clips that "
        "generated ones come near (recall, coverage). Density has 1 where both sets are alike. Low recall and "
        "coverage are a sign of missing variety."
    )
    interval = jackknife.METHOD + "; shares by Wilson's bounds"

    def __init__(self, *, nearest: Count = 5, classifier: ClassifierSettings = CLASSIFIER) -> None:
        if nearest < 1:
            raise ValueError(f"nearest must be at least 1, got {nearest}")
        self.nearest = nearest
        self.classifier = CorpusClassifier(classifier)
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs a corpus with labels."""
        return Contract(needs=frozenset({"labels"}))

    @property
    def definition(self) -> str:
        """The exact variant, the numbers of clips of the sets that were scored last, and the classifier."""
        return (
            f"of {self.classifier.settings.features} features, balls to the {self.nearest}th nearest neighbour of a clip's "
            "own set, distances in float64, a neighbour on the ball is within: share of references' balls with an estimate "
            "(coverage), of estimates in a reference's ball (precision), of references in an estimate's ball (recall), "
            f"references' balls by estimate / {self.nearest} (density){self.count}; {self.classifier.identity}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads one that was trained before."""
        self.classifier.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``coverage``, ``precision``, ``recall`` and ``density``.

        They are NaN if the set that they take neighbours in has fewer than ``nearest`` + 1 clips: the estimates for
        recall, the references for the others.
        """
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
        """Confidence intervals of all four scores.

        There are none if both sets are the same clips, nor for scores whose neighbours are in a set of fewer than
        ``nearest`` + 2 clips.
        """
        return measured(lambda: self._bounds(*both(estimates, references), sample_rate, confidence))

    def _overlap(self, made: ClipSet, real: ClipSet, sample_rate: int) -> Overlap:
        ours, theirs = self.classifier.features(made, real, sample_rate)
        return Overlap.of(theirs, ours, self.nearest)

    def _scores(self, made: ClipSet, real: ClipSet, sample_rate: int) -> dict[str, Score]:
        found = self._overlap(made, real, sample_rate).values()
        few = {
            key: Score(
                math.nan, f"needs {self.nearest + 1} {name} or more, got {len(clips)}; lower nearest, or take more"
            )
            for key, name, clips in (
                ("coverage", "references", real),
                ("precision", "references", real),
                ("recall", "estimates", made),
                ("density", "references", real),
            )
            if key not in found
        }
        return {key: few[key] if key in few else Score(found[key]) for key in self.keys}

    def _bounds(
        self, made: ClipSet, real: ClipSet, sample_rate: int, confidence: float
    ) -> dict[str, jackknife.Bounds | None]:
        apart(made, real)
        overlap, clips = self._overlap(made, real, sample_rate), min(len(made), len(real))
        values, found = overlap.values(), dict[str, jackknife.Bounds | None]()
        judged = {"coverage": len(real), "precision": len(made), "recall": len(real)}
        for key, variance in overlap.variances().items():
            if key == "density":
                found[key] = jackknife.bounds(values[key], variance, clips, confidence, 0.0)
            else:
                found[key] = jackknife.share_bounds(values[key], variance, judged[key], clips, confidence)
        return found
