"""Fréchet distance within each class: tells whether a class is varied and realistic, where that of all may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gansemble.contract import Contract
from gansemble.data.labels import LabelledClips
from gansemble.interfaces import Score
from gansemble_plugins.set_metrics import jackknife, scores
from gansemble_plugins.set_metrics.corpus_classifier import CorpusClassifier
from gansemble_plugins.set_metrics.sets import ClipSet, UnscorableSet, apart, clip_set, counts, measured, scored
from gansemble_plugins.set_metrics.settings import CLASSIFIER, ClassifierSettings
from gansemble_plugins.set_metrics.training import Say

Array = np.ndarray
Pairs = dict[int, tuple[Array, Array]]


class IntraFid:
    """Mean over classes of the Fréchet distance within each (Miyato and Koyama 2018, intra FID), and the largest.

    In each class, the estimates that were generated as that class are compared with its references. The features are
    those of ``fid``. The distance is larger for fewer clips, so compare scores of equal numbers of clips only. The
    value of each class is in the results as ``details``.

    Args:
        classifier: settings of the classifier of the corpus, whose features are compared.

    Shape:
        - estimates, references: [T] each, with labels of both
    """

    keys = ("intra_fid", "intra_fid_worst")
    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "The Fréchet distance of each class's clips from the real ones of that class, averaged, and of the "
        "worst class: 0 for the same distribution."
    )
    interval = jackknife.METHOD
    wants_reference_labels = True

    def __init__(self, *, classifier: ClassifierSettings = CLASSIFIER) -> None:
        self.classifier = CorpusClassifier(classifier)
        self.count = ""
        self.details: dict[str, Any] = {}

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs a corpus with labels."""
        return Contract(needs=frozenset({"labels"}))

    @property
    def definition(self) -> str:
        """The exact variant, the numbers of clips of the sets that were scored last, and the classifier."""
        return (
            f"Fréchet distance of means and unbiased covariances of {self.classifier.settings.features} features, float64, "
            f"within each class: mean over classes (intra_fid) and the largest (_worst){self.count}; "
            f"{self.classifier.identity}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads one that was trained before."""
        self.classifier.fit(clips, folder, say)

    def score_set(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        reference_labels: Sequence[int | None] | None = None,
    ) -> dict[str, Score]:
        """``intra_fid``, and ``intra_fid_worst``, the largest of all classes.

        Both are NaN if a clip has no label, or a class has fewer than two clips in either set: if such classes were
        passed over, a generator that leaves out a class would score better for it.
        """
        self.count, self.details = counts(estimates, references), {}
        given = (estimates, references, sample_rate, labels, reference_labels)
        return scored(self.keys, lambda: self._scores(self._by_class(*given)))

    def intervals(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        reference_labels: Sequence[int | None] | None = None,
        *,
        confidence: float,
    ) -> dict[str, jackknife.Bounds]:
        """A confidence interval of ``intra_fid``; none if both sets are the same clips.

        The largest of several distances has no such interval.
        """
        given = (estimates, references, sample_rate, labels, reference_labels)
        return measured(lambda: self._bounds(self._by_class(*given, distinct=True), confidence))

    def _by_class(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        reference_labels: Sequence[int | None] | None,
        distinct: bool = False,
    ) -> Pairs:
        """(features of the estimates [N, D], of the references [M, D]) by class.

        Args:
            estimates, references: [T] each.
            sample_rate: [Hz].
            labels, reference_labels: of both.
            distinct: refuse sets of the same clips.

        Raises:
            UnscorableSet: if labels are missing, or a class has fewer than two clips in a set.
        """
        if reference_labels is None:
            raise UnscorableSet("the references' labels were not given, which a score by class needs")
        made, real = clip_set("estimates", estimates, labels), clip_set("references", references, reference_labels)
        if distinct:
            apart(made, real)
        places = [_places(name, clips) for name, clips in (("estimates", made), ("references", real))]
        for label in sorted(places[0].keys() | places[1].keys()):
            counted = [len(found.get(label, ())) for found in places]
            if min(counted) < 2:
                raise UnscorableSet(
                    f"class {label} has {counted[0]} estimates and {counted[1]} references; each class needs two of "
                    "both or more"
                )
        ours, theirs = self.classifier.features(made, real, sample_rate)
        return {label: (ours[places[0][label]], theirs[places[1][label]]) for label in sorted(places[0])}

    def _scores(self, pairs: Pairs) -> dict[str, Score]:
        found = {label: scores.fid(*pair) for label, pair in pairs.items()}
        worst = max(found, key=lambda label: found[label])
        sizes = {label: (len(ours), len(theirs)) for label, (ours, theirs) in pairs.items()}
        rows = {
            str(label): {"fid": value, "estimates": sizes[label][0], "references": sizes[label][1]}
            for label, value in found.items()
        }
        self.details = {"intra_fid": rows, "intra_fid_worst": {str(worst): rows[str(worst)]}}
        size = self.classifier.settings.features
        few = {label: min(counted) for label, counted in sizes.items() if min(counted) <= size}
        caveat = None
        if few:
            least = min(few, key=lambda label: few[label])
            caveat = (
                f"biased high: in {len(few)} of {len(found)} classes the clips ({few[least]} of class {least} at least) "
                f"cannot span the covariance of {size} features"
            )
        told = f"class {worst}" + (f"; {caveat}" if caveat else "")
        return {
            "intra_fid": Score(float(np.mean(list(found.values()))), caveat),
            "intra_fid_worst": Score(found[worst], told),
        }

    def _bounds(self, pairs: Pairs, confidence: float) -> dict[str, jackknife.Bounds | None]:
        mean = float(np.mean([scores.fid(*pair) for pair in pairs.values()]))
        # Of a mean of independent classes, whose variances and degrees of freedom add up.
        variance = sum(jackknife.fid_variance(*pair) for pair in pairs.values()) / len(pairs) ** 2
        clips = min(sum(len(pair[side]) - 1 for pair in pairs.values()) + 1 for side in (0, 1))
        return {"intra_fid": jackknife.bounds(mean, variance, clips, confidence, 0.0)}


def _places(name: str, clips: ClipSet) -> dict[int, list[int]]:
    """The places in a set of the clips of each class.

    Raises:
        UnscorableSet: if a clip has no label.
    """
    found: dict[int, list[int]] = {}
    for place, label in enumerate(clips.labels):
        if label is None:
            without = sum(each is None for each in clips.labels)
            raise UnscorableSet(f"{without} of {len(clips)} {name} have no label, which a score by class needs")
        found.setdefault(label, []).append(place)
    return found
