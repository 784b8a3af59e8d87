"""The U-Net's layers: shuffles between time and channels, and the inception block (Kim and Sathe 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def superpixel(x: Tensor, factor: int) -> Tensor:
    """[B, C, T] -> [B, C * factor, T / factor]: every factor-th sample to a channel of its own.

    Channel c's sample n * factor + p goes to channel c * factor + p, as in torch's ``pixel_unshuffle``.
    """
    batch, channels, length = x.shape
    apart = x.reshape(batch, channels, length // factor, factor).transpose(2, 3)
    return apart.reshape(batch, channels * factor, length // factor)


def subpixel(x: Tensor, factor: int) -> Tensor:
    """[B, C * factor, T] -> [B, C, T * factor], the inverse: channel c * factor + p gives c's samples n * factor + p."""
    batch, channels, length = x.shape
    apart = x.reshape(batch, channels // factor, factor, length).transpose(2, 3)
    return apart.reshape(batch, channels // factor, length * factor)


class Inception(nn.Module):
    """Convolutions of several kernels side by side, concatenated: [B, C, T] -> [B, sum(widths), T].

    Each follows one of kernel 1 to ``width // bottleneck`` channels, at least one, with no activation between the two.

    Args:
        before: channels read.
        widths: channels made by each kernel.
        kernels: odd [samples].
        bottleneck: how much narrower what a kernel reads is than what it makes; None is no convolution in front.
    """

    def __init__(self, before: int, widths: tuple[int, ...], kernels: tuple[int, ...], bottleneck: int | None) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            _branch(before, width, kernel, bottleneck) for width, kernel in zip(widths, kernels, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _branch(before: int, width: int, kernel: int, bottleneck: int | None) -> nn.Sequential:
    if bottleneck is None:
        return nn.Sequential(nn.Conv1d(before, width, kernel, padding=kernel // 2))
    narrow = max(1, width // bottleneck)
    return nn.Sequential(nn.Conv1d(before, narrow, 1), nn.Conv1d(narrow, width, kernel, padding=kernel // 2))


class InceptionDown(nn.Module):
    """Inception, PReLU, superpixel: [B, C, T] -> [B, 2 * sum(widths), T / 2]."""

    def __init__(self, before: int, widths: tuple[int, ...], kernels: tuple[int, ...], bottleneck: int | None) -> None:
        super().__init__()
        self.inception = Inception(before, widths, kernels, bottleneck)
        self.activation = nn.PReLU(sum(widths))

    def forward(self, x: Tensor) -> Tensor:
        return superpixel(self.activation(self.inception(x)), 2)


class InceptionUp(nn.Module):
    """Inception, dropout, PReLU, subpixel: [B, C, T] -> [B, sum(widths) / 2, 2 T]."""

    def __init__(
        self,
        before: int,
        widths: tuple[int, ...],
        kernels: tuple[int, ...],
        bottleneck: int | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.inception = Inception(before, widths, kernels, bottleneck)
        self.dropout = nn.Dropout(dropout)
        self.activation = nn.PReLU(sum(widths))

    def forward(self, x: Tensor) -> Tensor:
        return subpixel(self.activation(self.dropout(self.inception(x))), 2)
