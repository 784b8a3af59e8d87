"""Residual blocks that double a picture's resolution in the generator, or halve it in the discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from gansemble_plugins.biggan.layers import Style

#: How a discriminator's block halves the resolution: average pooling, or its second convolution's stride.
Down = Literal["pool", "stride"]


class UpBlock(nn.Module):
    """norm, ReLU, up, conv, norm, ReLU, conv; beside it a 1x1 convolution. Up is by nearest neighbours.

    Args:
        inputs, outputs: channels.
        norm: makes the batch norm of so many channels.
        style: of the convolutions.

    Shape: x [B, inputs, H, W] and what the norms are told -> [B, outputs, 2H, 2W].
    """

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], style: Style) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(inputs), norm(outputs)
        self.conv1, self.conv2 = style.conv(inputs, outputs), style.conv(outputs, outputs)
        self.shortcut = style.conv(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        h = self.conv1(_up(F.relu(self.norm1(x, condition))))
        h = self.conv2(F.relu(self.norm2(h, condition)))
        return h + _up(self.shortcut(x))  # the same numbers as the convolution of all four copies of a pixel


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class DownBlock(nn.Module):
    """ReLU, conv, ReLU, conv, down; beside it down and a 1x1 convolution.

    Args:
        inputs, outputs: channels; the convolutions between are as wide as the outputs.
        style: of the convolutions.
        first: the block reads the picture itself, so that there is no ReLU before the first convolution.
        down: how it halves the resolution, beside which the shortcut is always pooled; None does not.

    Shape: [B, inputs, H, W] -> [B, outputs, H/2, W/2], or [B, outputs, H, W].
    """

    def __init__(self, inputs: int, outputs: int, style: Style, *, first: bool, down: Down | None) -> None:
        super().__init__()
        self.first, self.down = first, down
        self.conv1 = style.conv(inputs, outputs)
        self.conv2 = style.conv(outputs, outputs, stride=2 if down == "stride" else 1)
        same = inputs == outputs and down is None
        self.shortcut = None if same else style.conv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x if self.first else F.relu(x))
        h = self.conv2(F.relu(h))
        if self.down == "pool":
            h = F.avg_pool2d(h, 2)
        if self.down is not None:
            x = F.avg_pool2d(x, 2)  # before the 1x1 convolution: the same numbers, a quarter of the work
        return h + (x if self.shortcut is None else self.shortcut(x))
