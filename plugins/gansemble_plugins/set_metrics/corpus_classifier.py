"""A trained classifier and its answers on sets of clips, shared by all metrics of the same settings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gansemble.data.labels import LabelledClips
from gansemble_plugins.set_metrics.pictures import described
from gansemble_plugins.set_metrics.sets import ClipSet, UnscorableSet, fitted
from gansemble_plugins.set_metrics.settings import ClassifierSettings
from gansemble_plugins.set_metrics.training import Say, Trained, device, trained

#: Clips in one pass, and sets whose answers are remembered: several metrics ask about the same two.
BATCH, REMEMBERED = 16, 4


@dataclass(frozen=True)
class Predictions:
    """A classifier's logits [N, K] and features [N, D] of N clips, float64."""

    logits: np.ndarray
    features: np.ndarray


_answers: OrderedDict[tuple[str, str], Predictions] = OrderedDict()


class CorpusClassifier:
    """The classifier of certain settings, trained on the corpus that it is fitted to.

    Args:
        settings: of the classifier.
    """

    def __init__(self, settings: ClassifierSettings) -> None:
        self.settings = settings
        self.trained: Trained | None = None

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Loads the classifier of these clips and settings, or trains and saves it.

        Args:
            clips: of the corpus, by split.
            folder: where classifiers are kept.
            say: takes lines for the user.
        """
        self.trained = trained(clips, self.settings, folder, say)

    @property
    def identity(self) -> str:
        """The classifier's digest, size and accuracy on held-out clips, in words, for definitions of metrics."""
        if self.trained is None:
            return "a classifier not yet fitted to a corpus"
        facts = self.trained.facts
        split = next(name for name in ("test", "validation", "train") if name in facts["accuracy"])
        return (
            f"classifier {facts['digest']} ({len(facts['classes'])} classes, width {self.settings.width}, "
            f"{self.settings.blocks} blocks{self._sight}, accuracy {facts['accuracy'][split]:.4f} on {facts['n'][split]} {split} "
            "clips)"
        )

    @property
    def _sight(self) -> str:
        shape = self.settings.picture
        return "" if shape is None else f", of pictures {described(shape)}"

    @property
    def classes(self) -> list[int]:
        """The label of each logit, in their order.

        Raises:
            UnscorableSet: if no classifier has been fitted.
        """
        return self.ready.classes

    def predict(self, clips: ClipSet, sample_rate: int) -> Predictions:
        """Logits and features of a set's clips, in the set's order.

        The answers on the last few sets are remembered, as several metrics ask about the same ones.

        Raises:
            UnscorableSet: if no classifier has been fitted, or it was to clips of another rate, or to pictures of
                another size.
        """
        ready = self.ready
        if sample_rate != ready.network.sample_rate:
            raise UnscorableSet(f"its classifier hears clips of {ready.network.sample_rate} Hz, got {sample_rate} Hz")
        shape = self.settings.picture
        if shape is not None and any(len(clip) != ready.network.length for clip in clips.audio):
            odd = next(len(clip) for clip in clips.audio if len(clip) != ready.network.length)
            raise UnscorableSet(f"its classifier looks at pictures of {described(shape)} samples, a clip has {odd}")
        key = (ready.facts["digest"], clips.mark)
        if key not in _answers:
            _answers[key] = _ask(ready, clips.stacked(ready.network.length))
        _answers.move_to_end(key)
        while len(_answers) > REMEMBERED:
            _answers.popitem(last=False)
        return _answers[key]

    def heard(self, audio: np.ndarray) -> Predictions:
        """Logits and features of clips [N, T] of the classifier's rate, cut or padded to its length.

        Raises:
            UnscorableSet: if no classifier has been fitted.
        """
        ready = self.ready
        return _ask(ready, np.stack([fitted(clip, ready.network.length) for clip in audio]))

    def features(self, made: ClipSet, real: ClipSet, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
        """Features of both sets, [N, D] and [M, D]; raises what :meth:`predict` raises."""
        return self.predict(made, sample_rate).features, self.predict(real, sample_rate).features

    @property
    def ready(self) -> Trained:
        """The trained classifier.

        Raises:
            UnscorableSet: if none has been fitted.
        """
        if self.trained is None:
            raise UnscorableSet("its classifier has not been fitted to a corpus; run the statistics stage")
        return self.trained


@torch.no_grad()
def _ask(ready: Trained, audio: np.ndarray) -> Predictions:
    place = device()
    network = ready.network.to(place)
    passes = [network(torch.from_numpy(audio[i : i + BATCH]).to(place)) for i in range(0, len(audio), BATCH)]
    logits, features = (torch.cat(each).double().cpu().numpy() for each in zip(*passes, strict=True))
    return Predictions(logits, features)
