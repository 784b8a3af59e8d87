"""What decides the classifier that metrics ask, besides the clips it is trained on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from gansemble_plugins.set_metrics import pictures
from gansemble_plugins.set_metrics.classifier import check_sizes
from gansemble_plugins.set_metrics.mel import MELS


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """The classifier of the corpus that a metric asks. Metrics of equal settings share one, which is trained once.

    Adam, because the published plain SGD with a rate of 1e-4 needs some 100,000 steps; that remains to be had.

    Args:
        width: channels of every convolution.
        blocks: of convolution and pooling.
        steps: of 64 clips that it is trained for, at most.
        optimiser: that trains it: ``adam`` with betas 0.9 and 0.999, or ``sgd`` without momentum.
        lr: the optimiser's rate at the start; it falls in a line to 0 over the steps.
        seed: of initial weights and the order of clips; ``plan.seed`` does not touch it.
        hears: what the classifier is given of a clip: its ``mel`` spectrogram, or the ``picture`` that it is.
        picture: channels, rows and columns of such a picture, in whose order the samples are; else null.

    Raises:
        ValueError: if a number is out of range, or ``picture`` is not there just where it is needed.
    """

    width: int = 128
    blocks: int = 4
    steps: int = 5000
    optimiser: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-3
    seed: int = 0
    hears: Literal["mel", "picture"] = "mel"
    picture: tuple[int, int, int] | None = None

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
        """How many numbers stand for a clip before the dense layer, where time, or a picture's plane, is averaged over."""
        return self.width * (MELS >> self.blocks) if self.picture is None else self.width

    def identity(self) -> dict[str, Any]:
        """What a kept classifier is named after. ``hears`` follows from ``picture``; that is left out of classifiers of
        sounds, whose names are older than pictures."""
        values = asdict(self)
        del values["hears"]
        if self.picture is None:
            del values["picture"]
        return values


#: What metrics ask unless they are told otherwise.
CLASSIFIER = ClassifierSettings()
