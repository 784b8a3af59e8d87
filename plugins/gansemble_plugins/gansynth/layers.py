"""Layers of progressive GANs: equalised learning rate, pixel norm, minibatch deviation.

Karras et al. 2018, sections 3, 4.1 and 4.2, with the numbers of GANSynth's released code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def he_scale(fan_in: int, slope: float) -> float:
    """sqrt(2 / ((1 + slope^2) fan_in)); ``slope`` 0 before an activation, 1 where there is none."""
    return math.sqrt(2 / ((1 + slope**2) * fan_in))


class EqualConv2d(nn.Module):
    """A convolution whose weights are drawn from N(0, 1) and scaled at run time, so that all learn at one rate.

    The bias starts at zero and is not scaled.

    Args:
        inputs, outputs: channels.
        kernel: (frames, bins).
        pad: keep the size; else only where the kernel fits.
        slope: see :func:`he_scale`.

    Shape: [B, inputs, L, F] -> [B, outputs, L', F'].
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], pad: bool = True, slope: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = he_scale(inputs * kernel[0] * kernel[1], slope)
        self.padding = (kernel[0] // 2, kernel[1] // 2) if pad else (0, 0)

    def forward(self, x: Tensor) -> Tensor:
        # Scaling the weight is scaling the output before the bias, at less cost.
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualLinear(nn.Module):
    """A linear layer with an equalised learning rate and nothing behind it; [B, inputs] -> [B, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = he_scale(inputs, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias)


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU of slope 0.2."""
    return F.leaky_relu(x, 0.2)


def _wide(x: Tensor) -> Tensor:
    """At least float32: what is added to squares here is nothing in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pixel_norm(x: Tensor) -> Tensor:
    """x / sqrt(mean over channels of x^2 + 1e-8), for [B, C, ...]."""
    return x * torch.rsqrt(_wide(x).square().mean(1, keepdim=True) + 1e-8).to(x.dtype)


#: How the minibatch deviation is differentiated twice.
DeviationGradient = Literal["tensorflow", "exact"]


def minibatch_deviation(x: Tensor, gradient: DeviationGradient = "tensorflow") -> Tensor:
    """One channel more, filled with one number: the mean over all features of their standard deviation in the batch.

    sqrt(variance + 1e-6), with the population's variance; [B, C, L, F] -> [B, C + 1, L, F].

    The variance's gradient is 2 (x - mean) / B whether the mean is differentiated or not, because deviations sum to
    zero. The gradient of that, which a gradient penalty needs, is not: 2 / B (1 - 1 / B) of the item itself and
    -2 / B^2 of the others, or 2 / B and nothing where the mean is held fixed.

    Args:
        gradient: ``tensorflow`` holds the mean fixed, as ``tf.nn.moments`` and so the released code does; ``exact``
            differentiates it.
    """
    wide = _wide(x)
    mean = wide.mean(0)
    away = wide - (mean.detach() if gradient == "tensorflow" else mean)
    deviation = (away.square().mean(0) + 1e-6).sqrt().mean().to(x.dtype)
    return torch.cat([x, deviation.expand(x.shape[0], 1, *x.shape[2:])], 1)


def attached(x: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
    """x, with parameters in its graph that took no part in it: their gradient is zero instead of none.

    Several processes wait for the gradient of every parameter. What is added is a sum of no numbers, exactly zero
    whatever the parameters are, so neither x nor any other gradient changes.
    """
    if not torch.is_grad_enabled():
        return x
    nothing = [parameter.flatten()[:0].sum() for parameter in parameters if parameter.requires_grad]
    return x + torch.stack(nothing).sum() if nothing else x


def fmap(block: int, base: int, most: int) -> int:
    """Channels of a block: min(base / 2^block, most)."""
    return int(min(base / 2**block, most))


def check_networks(
    blocks: int, start: tuple[int, int], fmap_base: int, fmap_max: int, pitches: tuple[int, int]
) -> None:
    """Refuses numbers that no network can be built from.

    Raises:
        ValueError: naming the parameter.
    """
    if blocks < 1:
        raise ValueError(f"blocks must be at least 1, got {blocks}")
    if min(start) < 1:
        raise ValueError(f"start must be positive, got {list(start)}")
    if fmap(blocks, fmap_base, fmap_max) < 1:
        raise ValueError(
            f"fmap_base / 2^blocks and fmap_max must be at least 1, got {fmap_base} / {2**blocks} and {fmap_max}"
        )
    if not 0 <= pitches[0] <= pitches[1] <= 127:
        raise ValueError(f"pitches must be MIDI numbers, the lower first, got {list(pitches)}")
