"""Convolutions with TensorFlow's ``same`` padding, which puts the odd sample at the end.

A kernel of 25 at stride 4 is padded by 10 and 11 samples. Symmetric padding gives the right lengths, but another
alignment: published weights then make something else.
"""

import torch.nn.functional as F
from torch import Tensor, nn


def same(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after ``length`` samples, so that ceil(length / stride) come out."""
    frames = -(-length // stride)
    total = max(0, (frames - 1) * stride + kernel - length)
    return total // 2, total - total // 2


class SameConv(nn.Conv1d):
    """A strided convolution; [B, C, T] -> [B, C', ceil(T / stride)]."""

    def __init__(
        self, before: int, after: int, kernel: int, stride: int = 1, *, groups: int = 1, bias: bool = True
    ) -> None:
        super().__init__(before, after, kernel, stride, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, same(x.shape[-1], self.kernel_size[0], self.stride[0])))


class SameConvTranspose(nn.ConvTranspose1d):
    """The transpose of a strided convolution: zeros between samples; [B, C, T] -> [B, C', T * stride]."""

    def __init__(self, before: int, after: int, kernel: int, stride: int) -> None:
        # The zeros that the strided convolution adds are what its transpose takes away: at most one sample is left.
        super().__init__(before, after, kernel, stride, padding=(kernel - stride) // 2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x)[..., : x.shape[-1] * self.stride[0]]


class NearestConv(nn.Conv1d):
    """Every sample repeated ``factor`` times, then a convolution; [B, C, T] -> [B, C', T * factor]."""

    def __init__(self, before: int, after: int, kernel: int, factor: int) -> None:
        super().__init__(before, after, kernel)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        x = x.repeat_interleave(self.factor, dim=-1)
        return super().forward(F.pad(x, same(x.shape[-1], self.kernel_size[0], 1)))
