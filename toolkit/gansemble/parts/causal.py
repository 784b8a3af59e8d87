"""Convolutions that look back only: output n depends on inputs up to n, so that a stream of them has no look-ahead.

Their parameters have the names and shapes of torch's own.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class CausalConv1d(nn.Conv1d):
    """A convolution [B, C, T] -> [B, O, T] whose padding is all on the left.

    Args:
        read: channels C.
        made: channels O.
        kernel: [samples].
        dilation: from one tap of the kernel to the next [samples].
        groups: of channels that are read apart.
    """

    def __init__(self, read: int, made: int, kernel: int, dilation: int = 1, groups: int = 1) -> None:
        super().__init__(read, made, kernel, dilation=dilation, groups=groups)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, ((self.kernel_size[0] - 1) * self.dilation[0], 0)))


class CausalConvTranspose1d(nn.ConvTranspose1d):
    """A transposed convolution [B, C, T] -> [B, O, T * stride], of which what lies beyond is cut off at the right.

    Args:
        read: channels C.
        made: channels O.
        kernel: [samples], at least the stride.
        stride: samples made of each.
    """

    def __init__(self, read: int, made: int, kernel: int, stride: int) -> None:
        super().__init__(read, made, kernel, stride)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(input, output_size)[..., : input.shape[-1] * self.stride[0]]
