"""Batch norm whose gain and bias the condition decides, joined over processes, with standing statistics."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from gansemble.interfaces import Condition
from gansemble_plugins.biggan.layers import ClassTable, Style

#: Whose statistics a batch norm takes in training: one process' batch, or the batches of all processes.
BatchStatistics = Literal["local", "synchronised"]
EPSILON = 1e-5
#: Share of a new batch in the running statistics.
MOMENTUM = 0.1


class BatchNorm(nn.Module):
    """(x - mean) / sqrt(variance + 1e-5) for each channel over batch and places, without gain and bias.

    Synchronised, mean and second moment are those of all processes' batches, each weighing as many numbers as it has,
    and gradients go through them to every process. Variances are taken around the mean, and joined in float64, so that
    a mean much larger than the deviation costs no digits.

    Args:
        channels: C.
        statistics: of one process, or of all.

    Shape: [B, C, H, W] -> [B, C, H, W].
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, statistics: BatchStatistics) -> None:
        super().__init__()
        self.synchronised = statistics == "synchronised"
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.standing: Average | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.standing is not None:
            mean, variance = moments(x)
            self.standing.add(mean, variance)
            return _normalise(x, mean, variance)
        if self.training and self.synchronised and _processes() > 1:
            mean, variance, count = joined_moments(x)
            with torch.no_grad():  # the running variance is the unbiased one, as torch's own batch norm has it
                self.mean.lerp_(mean.to(self.mean.dtype), MOMENTUM)
                self.variance.lerp_((variance * (count / (count - 1))).to(self.variance.dtype), MOMENTUM)
            return _normalise(x, mean, variance)
        return F.batch_norm(x, self.mean, self.variance, None, None, self.training, MOMENTUM, EPSILON)


class Average:
    """The plain average of means and variances over forward passes."""

    def __init__(self) -> None:
        self.passes = 0
        self.mean = self.variance = torch.zeros(())

    def add(self, mean: Tensor, variance: Tensor) -> None:
        """One pass more."""
        self.passes += 1
        self.mean = self.mean.to(mean) + (mean - self.mean.to(mean)) / self.passes
        self.variance = self.variance.to(variance) + (variance - self.variance.to(variance)) / self.passes


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population variance of each channel [C], in float32 at least."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0)
    return mean, variance


def joined_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, population variance [C] and count of all processes' numbers, differentiable on each of them."""
    from torch.distributed.nn.functional import all_reduce

    mean, variance = (moment.double() for moment in moments(x))
    one = mean.new_ones(1)
    sums = torch.cat([mean, variance + mean.square(), one]) * (x.numel() / x.shape[1])
    mean, second, count = all_reduce(sums).split([x.shape[1], x.shape[1], 1])
    mean, second = mean / count, second / count
    return mean, (second - mean.square()).clamp_min(0), count


def _normalise(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    scale = torch.rsqrt(variance + EPSILON).to(wide.dtype)
    centred = wide - mean.to(wide.dtype)[:, None, None]
    return (centred * scale[:, None, None]).to(x.dtype)


def _processes() -> int:
    alone = not (distributed.is_available() and distributed.is_initialized())
    return 1 if alone else distributed.get_world_size()


class PlainNorm(nn.Module):
    """Batch norm with one gain, 1 at first, and one bias for each channel; what it is told is not read."""

    def __init__(self, channels: int, statistics: BatchStatistics) -> None:
        super().__init__()
        self.norm = BatchNorm(channels, statistics)
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.norm(x) * self.gain[:, None, None] + self.bias[:, None, None]


class ConditionalNorm(nn.Module):
    """Batch norm with gain 1 + gain(c) and bias bias(c) for each item and channel.

    Args:
        channels: C.
        statistics: of one process, or of all.
        gain, bias: what is told c -> [B, C].

    Shape: x [B, C, H, W] and c -> [B, C, H, W].
    """

    def __init__(self, channels: int, statistics: BatchStatistics, gain: nn.Module, bias: nn.Module) -> None:
        super().__init__()
        self.norm = BatchNorm(channels, statistics)
        self.gain, self.bias = gain, bias

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, bias = 1 + self.gain(condition), self.bias(condition)  # [B, C]
        return self.norm(x) * gain[:, :, None, None] + bias[:, :, None, None]


def projected_norm(channels: int, statistics: BatchStatistics, condition: int, style: Style) -> ConditionalNorm:
    """BigGAN's: gain and bias are linear in a vector of ``told`` numbers, without biases of their own."""
    gain, bias = (style.linear(condition, channels, bias=False) for _ in range(2))
    return ConditionalNorm(channels, statistics, gain, bias)


def class_norm(channels: int, statistics: BatchStatistics, classes: int) -> ConditionalNorm:
    """SA-GAN's: each class has a gain, 1 at first, and a bias, 0 at first, of its own for each channel."""
    gain, bias = (ClassTable(classes, channels) for _ in range(2))
    for table in (gain, bias):
        nn.init.zeros_(table.vectors.weight)
    return ConditionalNorm(channels, statistics, gain, bias)


@torch.no_grad()
def take_standing_statistics(network: nn.Module, conditions: Iterator[Condition], passes: int) -> None:
    """Replaces all running statistics by plain averages of the batches' own over so many forward passes.

    In these passes each batch is normalised by its own statistics, as in training, and by those of this process alone;
    all else is in eval mode, so that no other state moves. The network is left in eval mode. With no passes the running
    statistics stay; they do too if a pass fails.

    Raises:
        ValueError: if there are passes to make and no conditions to make them with.
    """
    network.eval()
    if passes == 0:
        return
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    averages = [Average() for _ in norms]
    try:
        for norm, average in zip(norms, averages, strict=True):
            norm.standing = average
        for condition in itertools.islice(conditions, passes):
            network(condition)
    finally:
        for norm in norms:
            norm.standing = None
    if any(average.passes == 0 for average in averages):
        raise ValueError(f"standing statistics are taken over {passes} batches of conditions, got none")
    for norm, average in zip(norms, averages, strict=True):
        norm.mean.copy_(average.mean)
        norm.variance.copy_(average.variance)
