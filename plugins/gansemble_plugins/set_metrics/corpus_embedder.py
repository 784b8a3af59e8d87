"""The classifier of the corpus as an embedder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gansemble.contract import Contract
from gansemble.data.labels import LabelledClips
from gansemble_plugins.set_metrics.corpus_classifier import CorpusClassifier
from gansemble_plugins.set_metrics.settings import CLASSIFIER, ClassifierSettings
from gansemble_plugins.set_metrics.training import Say


class CorpusEmbedder:
    """The features of a classifier that is trained on the corpus: one row for each clip, cut or padded to its length.

    A distance of these features is what the metric ``fid`` computes. Clips are heard at the rate of the corpus.

    Args:
        classifier: settings of the classifier.

    Shape:
        - input: float32 [T]
        - output: float32 [1, D]

    Raises:
        ValueError: if the classifier looks at pictures.
    """

    key = "corpus_classifier"

    def __init__(self, *, classifier: ClassifierSettings = CLASSIFIER) -> None:
        if classifier.picture is not None:
            raise ValueError(
                "classifier must hear mel spectrograms here, got one of pictures; the metric fid takes those"
            )
        self.classifier = CorpusClassifier(classifier)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs a corpus with labels."""
        return Contract(needs=frozenset({"labels"}))

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Trains the classifier, or loads one that was trained before."""
        self.classifier.fit(clips, folder, say)

    @property
    def sample_rate(self) -> int:
        """Of the corpus [Hz].

        Raises:
            UnscorableSet: if no classifier has been fitted.
        """
        return self.classifier.ready.network.sample_rate

    @property
    def window(self) -> int:
        """The length that the classifier was built for [samples]; raises what :attr:`sample_rate` raises."""
        return self.classifier.ready.network.length

    @property
    def dim(self) -> int:
        """Number of features."""
        return self.classifier.settings.features

    @property
    def definition(self) -> str:
        """What exactly is computed, by which classifier."""
        return f"{self.dim} features of a classifier of the corpus for each clip; {self.classifier.identity}"

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """One row; raises UnscorableSet if no classifier has been fitted."""
        return self.classifier.heard(audio[None]).features.astype(np.float32)
