"""Precision, recall, density and coverage: whether clips are like real ones, and whether all real ones have some alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gansemble.contract import Contract
from gansemble.data.labels import LabelledClips
from gansemble.interfaces import Score
from gansemble_plugins.set_metrics import jackknife
from gansemble_plugins.set_metrics.corpus_classifier import CorpusClassifier
from gansemble_plugins.set_metrics.manifolds import Overlap
from gansemble_plugins.set_metrics.sets import ClipSet, apart, both, counts, measured, scored
from gansemble_plugins.set_metrics.settings import CLASSIFIER, ClassifierSettings
from gansemble_plugins.set_metrics.training import Say


class PrecisionRecall:
    """How much of two sets lies within reach of the other, by the features of a classifier of the corpus: a clip reaches
    as far as its ``nearest``-th nearest neighbour in its own set.

    Precision is the share of estimates within reach of a reference, recall the share of references within reach of an
    estimate (Kynkäänniemi et al. 2019, with 3 neighbours). Density is the mean number of references that reach an
    estimate, by ``nearest``, which may be above 1, and coverage the share of references that reach an estimate (Naeem et
    al. 2020, with 5 neighbours, which one outlier among the references moves less). Precision and density are of how
    alike clips are, recall and coverage of how varied; coverage falls with both, and so ranks checkpoints.

    A neighbour at the very distance is within reach, so a copy of a reference always is. The authors' code of density
    and coverage leaves it out: there a copy of all references has density 1, here (nearest + 1) / nearest.

    Args:
        nearest: the neighbour that a clip reaches to, for all four: 5 as Naeem et al. take, 3 as Kynkäänniemi et al.
        classifier: settings of the classifier of the corpus that is asked.

    Shape: estimates, references [T] each.

    Raises:
        ValueError: if a number is out of range.
    """

    keys = ("coverage", "precision", "recall", "density")
    better: Literal["higher", "lower"] = "higher"
    interval = jackknife.METHOD + "; shares by Wilson's bounds"

    def __init__(self, *, nearest: int = 5, classifier: ClassifierSettings = CLASSIFIER) -> None:
        if nearest < 1:
            raise ValueError(f"nearest must be at least 1, got {nearest}")
        self.nearest = nearest
        self.classifier = CorpusClassifier(classifier)
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """A corpus with labels."""
        return Contract(needs=frozenset({"labels"}))

    @property
    def definition(self) -> str:
        """The variant, the numbers of clips scored last, and the classifier."""
        return (
            f"of {self.classifier.settings.features} features, balls to the {self.nearest}th nearest neighbour of a clip's "
            "own set, distances in float64, a neighbour on the ball is within: share of references' balls with an estimate "
            "(coverage), of estimates in a reference's ball (precision), of references in an estimate's ball (recall), "
            f"references' balls by estimate / {self.nearest} (density){self.count}; {self.classifier.identity}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads it."""
        self.classifier.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``coverage``, ``precision``, ``recall`` and ``density``; NaN where a set has no ``nearest`` + 1 clips for balls
        of its own."""
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
        """Of each key; none where both sets are the same clips, or one has no ``nearest`` + 2 of them."""
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
