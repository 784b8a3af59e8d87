"""A classifier of pictures, for corpora whose clips are pictures, with one sample for each channel, row and column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.data.labels import LabelledClips
from gansemble.errors import DataError

Shape = tuple[int, int, int]


class PictureClassifier(nn.Module):
    """A convolutional classifier of pictures.

    Batch norm over channels is followed by blocks of two 3 x 3 convolutions, each with batch norm and ReLU, and 2 x 2
    max-pooling; then by the mean over rows and columns, and a dense layer.

    Args:
        classes: how many are told apart.
        sample_rate: of the clips [Hz].
        shape: of the pictures: channels, rows, columns.
        width: channels of every convolution.
        blocks: of convolutions and pooling.

    Shape:
        - input: [B, channels x rows x columns], B clips
        - output: (logits [B, classes], features [B, width]); features are the last block's map, averaged over rows and
          columns

    Raises:
        ValueError: if ``blocks`` would pool the picture away, or a number is below 1.
    """

    def __init__(self, *, classes: int, sample_rate: int, shape: Shape, width: int = 128, blocks: int = 4) -> None:
        super().__init__()
        check_sizes(width, blocks, shape)
        self.sample_rate, self.shape, self.length = sample_rate, shape, math.prod(shape)
        self.input = nn.BatchNorm2d(shape[0], eps=1e-3)
        sizes = [shape[0], *[width] * (2 * blocks)]
        # Batch norm has a shift of its own.
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1, bias=False) for before, after in pairwise(sizes)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, eps=1e-3) for _ in self.convolutions)
        self.dense = nn.Linear(width, classes)
        for layer in self.convolutions:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
        nn.init.zeros_(self.dense.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, features) of a batch of clips."""
        x = self.input(audio.reshape(len(audio), *self.shape))
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = F.relu(norm(convolution(x)))
            x = F.max_pool2d(x, 2) if index % 2 else x
        features = x.mean((2, 3))
        return self.dense(features), features


def check_sizes(width: int, blocks: int, shape: Shape) -> None:
    """Checks the size of a classifier of pictures.

    Raises:
        ValueError: if a number is below 1, ``shape`` is not of three, or ``blocks`` would pool the picture away.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"picture must be channels, rows and columns of 1 or more, got {list(shape)}")
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    most = min(shape[1:]).bit_length() - 1
    if not 1 <= blocks <= most:
        raise ValueError(f"blocks must be within 1 and {most}, as each halves {shape[1]} x {shape[2]}; got {blocks}")


def demand_fit(shape: Shape | None, clips: Mapping[str, LabelledClips]) -> None:
    """Checks that clips are as long as pictures of this shape have numbers; None allows any length.

    Raises:
        DataError: if they are not.
    """
    for split, found in clips.items():
        if shape is not None and found.length != math.prod(shape):
            raise DataError(
                f"{split} clips have {found.length} samples, but pictures of {described(shape)} have "
                f"{math.prod(shape)}; set plan.segment to that, or the metric's picture to what the clips are"
            )


def described(shape: Shape) -> str:
    """The shape of a picture in words, such as ``3 x 32 x 32``."""
    return " x ".join(map(str, shape))
