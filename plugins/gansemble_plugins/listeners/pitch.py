"""Pitch accuracy and entropy: whether a classifier of the corpus' pitches hears the one that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from gansemble.data.labels import LabelledClips
from gansemble.interfaces import Contract, Score
from gansemble_plugins.listeners import scores
from gansemble_plugins.listeners.listener import Listener
from gansemble_plugins.listeners.sets import ClipSet, Unscorable, clip_set, scored
from gansemble_plugins.listeners.training import Say, Settings

PITCH = frozenset({"pitch"})


class PitchAccuracy:
    """Share of clips that a classifier of the corpus' pitches hears within a semitone of the pitch they were made with
    (Engel et al. 2019), and share it hears exactly right.

    Args:
        width: channels of the classifier's convolutions.
        blocks: of convolution and pooling in it.
        steps: of 64 clips that it is trained for, at most.
        optimiser: that trains it; the published plain SGD with lr 1e-4 needs some 100,000 steps.
        lr: the optimiser's rate at the start; it falls in a line to 0.
        classifier_seed: of its weights and the order of clips; metrics of equal settings share one classifier.

    Shape: estimates [T] each, labels in semitones; references are not looked at.

    Raises:
        ValueError: if a number is out of range.
    """

    keys = ("pitch_accuracy", "pitch_accuracy_exact")
    better: Literal["higher", "lower"] = "higher"

    def __init__(
        self,
        *,
        width: int = 128,
        blocks: int = 4,
        steps: int = 5000,
        optimiser: Literal["adam", "sgd"] = "adam",
        lr: float = 1e-3,
        classifier_seed: int = 0,
    ) -> None:
        self.listener = Listener(Settings(width, blocks, steps, optimiser, lr, classifier_seed))
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """A corpus with pitches."""
        return Contract(needs=PITCH)

    @property
    def definition(self) -> str:
        """The variant, the number of clips scored last, and the classifier."""
        return (
            f"share{self.count} heard within 1 semitone of their label (pitch_accuracy) and exactly there (_exact); "
            f"{self.listener.identity}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads it."""
        self.listener.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``pitch_accuracy`` and ``pitch_accuracy_exact``."""
        self.count = f" of {len(estimates)} clips"
        return scored(self.keys, lambda: self._scores(clip_set("estimates", estimates, labels), sample_rate))

    def _scores(self, clips: ClipSet, sample_rate: int) -> dict[str, Score]:
        classes = self.listener.classes
        wanted = [label for label in clips.labels if label is not None]
        if len(wanted) < len(clips):
            raise Unscorable(f"{len(clips) - len(wanted)} of {len(clips)} estimates were made without a pitch")
        strange = sorted(set(wanted) - set(classes))
        if strange:
            raise Unscorable(f"estimates were made with label {strange[0]}, which the classifier does not know")
        logits = self.listener.hear(clips, sample_rate).logits
        found = [scores.pitch_accuracy(logits, wanted, classes, within) for within in (1, 0)]
        return {key: Score(value) for key, value in zip(self.keys, found, strict=True)}


class PitchEntropy:
    """Mean entropy of a pitch classifier's opinion on each clip [nat] (Engel et al. 2019): 0 where it is sure of every
    one. What sounds like nothing it knows may leave it sure as well, so read it beside the pitch accuracy.

    Args:
        width: channels of the classifier's convolutions.
        blocks: of convolution and pooling in it.
        steps: of 64 clips that it is trained for, at most.
        optimiser: that trains it; the published plain SGD with lr 1e-4 needs some 100,000 steps.
        lr: the optimiser's rate at the start; it falls in a line to 0.
        classifier_seed: of its weights and the order of clips; metrics of equal settings share one classifier.

    Shape: estimates [T] each; references are not looked at.

    Raises:
        ValueError: if a number is out of range.
    """

    keys = ("pitch_entropy",)
    better: Literal["higher", "lower"] = "lower"

    def __init__(
        self,
        *,
        width: int = 128,
        blocks: int = 4,
        steps: int = 5000,
        optimiser: Literal["adam", "sgd"] = "adam",
        lr: float = 1e-3,
        classifier_seed: int = 0,
    ) -> None:
        self.listener = Listener(Settings(width, blocks, steps, optimiser, lr, classifier_seed))
        self.count = ""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """A corpus with pitches."""
        return Contract(needs=PITCH)

    @property
    def definition(self) -> str:
        """The variant, the number of clips scored last, and the classifier."""
        return f"mean entropy of p(y|x) [nat]{self.count}; {self.listener.identity}"

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads it."""
        self.listener.fit(clips, folder, say)

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``pitch_entropy``."""
        self.count = f" of {len(estimates)} clips"
        return scored(self.keys, lambda: self._scores(clip_set("estimates", estimates), sample_rate))

    def _scores(self, clips: ClipSet, sample_rate: int) -> dict[str, Score]:
        return {"pitch_entropy": Score(scores.pitch_entropy(self.listener.hear(clips, sample_rate).logits))}
