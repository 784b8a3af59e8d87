"""The settings of the classifier that metrics ask."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gansemble.numbers import Channels, Layers, Rate, Seed, Steps
from gansemble_plugins.set_metrics import pictures
from gansemble_plugins.set_metrics.classifier import check_sizes
from gansemble_plugins.set_metrics.mel import MELS


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """Settings of the classifier of the corpus, which metrics with equal settings share and which is trained once.

    It is trained by Adam unless told otherwise: plain SGD with a rate of 1e-4, as published, needs some 100,000 steps.

    Args:
        width: channels of every convolution.
        blocks: of convolution and pooling.
        steps: largest number of training steps, each of a mini-batch of 64 clips.
        optimiser: ``adam`` with betas 0.9 and 0.999, or ``sgd`` without momentum.
        lr: learning rate at the start; it falls linearly to 0 over the steps.
        seed: of the initial weights and the order of clips; independent of ``plan.seed``.
        hears: what the classifier looks at: the ``mel`` spectrogram of a clip, or the ``picture`` that a clip is.
        picture: channels, rows and columns of the picture, in whose order the samples are; null for ``mel``.

    Raises:
        ValueError: if a number is out of range, or ``picture`` is missing for ``hears: picture`` or given for
            ``hears: mel``.
    """

    width: Channels = 128
    blocks: Layers = 4
    steps: Steps = 5000
    optimiser: Literal["adam", "sgd"] = "adam"
    lr: Rate = 1e-3
    seed: Seed = 0
    hears: Literal["mel", "picture"] = "mel"
    picture: tuple[Channels, Channels, Channels] | None = None

    def __post_init__(self) -> None:
        self._check_what_it_hears()
        if self.picture is None:
            check_sizes(self.width, self.blocks)
        else:
            pictures.check_sizes(self.width, self.blocks, self.picture)
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ValueError(f"lr must be above 0, got {self.lr}")

    def _check_what_it_hears(self) -> None:
        if self.hears not in ("mel", "picture"):
            raise ValueError(f"hears must be 'mel' or 'picture', got {self.hears!r}")
        if self.hears == "picture" and self.picture is None:
            raise ValueError(
                "hears: picture needs picture, the channels, rows and columns of a clip, such as [3, 32, 32]"
            )
        if self.hears == "mel" and self.picture is not None:
            raise ValueError(
                f"picture {list(self.picture)} is of no use to hears: mel; write hears: picture, or leave it out"
            )

    @property
    def features(self) -> int:
        """Number of features of a clip: the last block's map, averaged over time, or over a picture's plane."""
        return self.width * (MELS >> self.blocks) if self.picture is None else self.width

    def identity(self) -> dict[str, Any]:
        """The settings that a saved classifier is named after, by name.

        ``hears`` follows from ``picture`` and is left out. Without a picture ``picture`` is left out, too, so that
        classifiers of sounds keep the names that they had before there were pictures.
        """
        values = asdict(self)
        del values["hears"]
        if self.picture is None:
            del values["picture"]
        return values


#: What metrics ask unless they are told otherwise.
CLASSIFIER = ClassifierSettings()
