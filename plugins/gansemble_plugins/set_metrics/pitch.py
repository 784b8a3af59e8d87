"""Pitch accuracy and pitch entropy, by a classifier of the corpus' pitches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gansemble.contract import Contract
from gansemble.data.labels import LabelledClips
from gansemble.interfaces import Score
from gansemble_plugins.set_metrics import scores
from gansemble_plugins.set_metrics.corpus_classifier import CorpusClassifier
from gansemble_plugins.set_metrics.sets import ClipSet, UnscorableSet, clip_set, scored
from gansemble_plugins.set_metrics.settings import CLASSIFIER, ClassifierSettings
from gansemble_plugins.set_metrics.training import Say

PITCH = frozenset({"pitch"})


class PitchAccuracy:
    """Share of clips that a classifier hears within a semitone of the pitch asked for (Engel et al. 2019).

    The share that it hears at exactly that pitch is given as well.

    Args:
        classifier: settings of the classifier of the corpus that is asked.

    Shape:
        - estimates: [T] each, with labels in semitones; references are not looked at

    Raises:
        ValueError: if the classifier is one of pictures.
    """

    keys = ("pitch_accuracy", "pitch_accuracy_exact")
    better: Literal["higher", "lower"] = "higher"
    meaning = (
        "Share of clips, from 0 to 1, at the pitch that was asked for, as a classifier hears it; real clips "
        "beside it are the scale."
    )

    def __init__(self, *, classifier: ClassifierSettings = CLASSIFIER) -> None:
        self.classifier = CorpusClassifier(_of_sounds(classifier))
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs a corpus with pitches, and a classifier of sounds."""
        _of_sounds(parameters.get("classifier", CLASSIFIER))
        return Contract(needs=PITCH)

    @property
    def definition(self) -> str:
        """The exact variant, the number of clips that were scored last, and the classifier."""
        return (
            f"share{self.count} heard within 1 semitone of their label (pitch_accuracy) and exactly there (_exact); "
            f"{self.classifier.identity}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads one that was trained before."""
        self.classifier.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``pitch_accuracy`` and ``pitch_accuracy_exact``."""
        self.count = f" of {len(estimates)} clips"
        return scored(self.keys, lambda: self._scores(clip_set("estimates", estimates, labels), sample_rate))

    def _scores(self, clips: ClipSet, sample_rate: int) -> dict[str, Score]:
        classes = self.classifier.classes
        wanted = [label for label in clips.labels if label is not None]
        if len(wanted) < len(clips):
            raise UnscorableSet(f"{len(clips) - len(wanted)} of {len(clips)} estimates were made without a pitch")
        strange = sorted(set(wanted) - set(classes))
        if strange:
            raise UnscorableSet(f"estimates were made with label {strange[0]}, which the classifier does not know")
        logits = self.classifier.predict(clips, sample_rate).logits
        found = [scores.pitch_accuracy(logits, wanted, classes, within) for within in (1, 0)]
        return {key: Score(value) for key, value in zip(self.keys, found, strict=True)}


class PitchEntropy:
    """Mean entropy of a classifier's pitch probabilities for each clip [nat] (Engel et al. 2019).

    It is 0 if the classifier is sure of every clip. It may be sure of a clip that is like nothing it knows, too, so
    read it beside the pitch accuracy.

    Args:
        classifier: settings of the classifier of the corpus that is asked.

    Shape:
        - estimates: [T] each; references are not looked at

    Raises:
        ValueError: if the classifier is one of pictures.
    """

    keys = ("pitch_entropy",)
    better: Literal["higher", "lower"] = "lower"
    meaning = "How unsure a classifier is of the pitch of a clip: 0 for a clear one. A clear wrong pitch has 0, too."

    def __init__(self, *, classifier: ClassifierSettings = CLASSIFIER) -> None:
        self.classifier = CorpusClassifier(_of_sounds(classifier))
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs a corpus with pitches, and a classifier of sounds."""
        _of_sounds(parameters.get("classifier", CLASSIFIER))
        return Contract(needs=PITCH)

    @property
    def definition(self) -> str:
        """The exact variant, the number of clips that were scored last, and the classifier."""
        return f"mean entropy of p(y|x) [nat]{self.count}; {self.classifier.identity}"

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads one that was trained before."""
        self.classifier.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``pitch_entropy``."""
        self.count = f" of {len(estimates)} clips"
        return scored(self.keys, lambda: self._scores(clip_set("estimates", estimates), sample_rate))

    def _scores(self, clips: ClipSet, sample_rate: int) -> dict[str, Score]:
        return {"pitch_entropy": Score(scores.pitch_entropy(self.classifier.predict(clips, sample_rate).logits))}


def _of_sounds(settings: ClassifierSettings) -> ClassifierSettings:
    """The settings, unchanged.

    Raises:
        ValueError: if they are of a classifier of pictures.
    """
    if settings.picture is not None:
        raise ValueError(f"classifier: pitches are heard, so hears must be mel, got {settings.hears}")
    return settings
