"""HiFi-GAN's discriminators (section 2.3)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from gansemble.audio.features import reflect
from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.numbers import Channels, Layers, Range, Several, Width
from gansemble_plugins.hifigan.folding import folded_conv1d
from gansemble_plugins.hifigan.spectral import cold_spectral_norm

SLOPE = 0.1


def judge(x: Tensor, convs: nn.ModuleList, post: nn.Module) -> list[Tensor]:
    """Runs convolutions with leaky ReLUs; all maps, the logits last."""
    maps = []
    for conv in convs:
        x = F.leaky_relu(conv(x), SLOPE)
        maps.append(x)
    return [*maps, post(x)]


class TimeConv2d(nn.Conv2d):
    """A convolution along the first of two axes, with a kernel [O, I, K, 1], that a CPU computes along the second.

    There [B, C, T, period] is given and returned as [B, C, period, T]: the values are the same, and the products are of T
    columns instead of two or three.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu":
            return super().forward(input)
        stride, padding = (1, self.stride[0]), (0, int(self.padding[0]))
        return F.conv2d(input, self.weight.transpose(2, 3), self.bias, stride, padding)


class FoldedConv1d(nn.Conv1d):
    """A convolution that a CPU computes on columns of four samples where it has groups and a stride, to the same values.

    Four was the fastest of 2, 4, 8 and 16 for each of these layers; the others are fastest as they are.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu" or self.groups == 1 or self.stride[0] == 1:
            return super().forward(input)
        stride, padding = self.stride[0], int(self.padding[0])
        return folded_conv1d(input, self.weight, self.bias, stride, padding, self.groups, fold=4)


class PeriodDiscriminator(nn.Module):
    """Folds [B, 1, T] to [B, 1, T / period, period] and convolves along time only; T is reflect-padded to fit."""

    def __init__(self, period: int, channels: tuple[int, ...], kernel: int, stride: int, first_map: bool) -> None:
        super().__init__()
        self.period, self.first = period, 0 if first_map else 1
        pad = (kernel - 1) // 2
        widths = (1, *channels)
        layers = [TimeConv2d(before, after, (kernel, 1), (stride, 1), (pad, 0)) for before, after in pairwise(widths)]
        layers.append(TimeConv2d(channels[-1], channels[-1], (kernel, 1), 1, (pad, 0)))
        self.convs = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.conv_post = weight_norm(TimeConv2d(channels[-1], 1, (3, 1), 1, (1, 0)))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        batch, channels, length = x.shape
        if length % self.period:
            x = reflect(x, 0, self.period - length % self.period)
        x = x.view(batch, channels, -1, self.period)
        if x.device.type == "cpu":
            turned = judge(x.transpose(2, 3).contiguous(), self.convs, self.conv_post)
            maps = [each.transpose(2, 3) for each in turned]
        else:
            maps = judge(x, self.convs, self.conv_post)
        return DiscriminatorOutput(maps[-1].flatten(1), tuple(maps[self.first :]))


class MultiPeriod(nn.Module):
    """MPD: one sub-discriminator for each period, prime so that they overlap little.

    Args:
        periods: [samples].
        channels: of the strided layers; one more layer keeps the last width.
        kernel, stride: along time.
        first_map: whether the first layer's map is among the features. Vocos has the same network and leaves it out.

    Shape: x [B, 1, T] -> a DiscriminatorOutput for each period.
    """

    items_apart = True

    def __init__(
        self,
        *,
        periods: Annotated[tuple[Width, ...], Several] = (2, 3, 5, 7, 11),
        channels: Annotated[tuple[Channels, ...], Several] = (32, 128, 512, 1024),
        kernel: Width = 5,
        stride: Width = 3,
        first_map: bool = True,
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            PeriodDiscriminator(period, channels, kernel, stride, first_map) for period in periods
        )

    def forward(self, x: Tensor, condition: Condition) -> tuple[DiscriminatorOutput, ...]:
        return tuple(discriminator(x) for discriminator in self.discriminators)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Waveforms; returns feature maps; reflect padding needs one period."""
        rows = 2 + parameters["kernel"]  # of the unstrided layers, then of each strided one
        for _ in parameters["channels"]:
            rows = (rows - 1) * parameters["stride"] + parameters["kernel"]
        longest = max(parameters["periods"])
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            gives=frozenset({"features"}),
            shortest=longest,
            receptive_field=(rows - 1) * longest + 1,
            because={"shortest": "periods", "receptive_field": "periods"},
        )


#: (channels, kernel, stride, groups) of MelGAN's multi-scale discriminator as HiFi-GAN widened it.
_SCALE_LAYERS = (
    (128, 15, 1, 1),
    (128, 41, 2, 4),
    (256, 41, 2, 16),
    (512, 41, 4, 16),
    (1024, 41, 4, 16),
    (1024, 41, 1, 16),
    (1024, 5, 1, 1),
)


class ScaleDiscriminator(nn.Module):
    """Grouped strided convolutions over [B, 1, T], each with ``norm`` around it."""

    def __init__(self, width: float, norm: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        before, layers = 1, []
        for full, kernel, stride, groups in _SCALE_LAYERS:
            after = max(16, int(full * width))
            layers.append(FoldedConv1d(before, after, kernel, stride, kernel // 2, groups=groups))
            before = after
        self.convs = nn.ModuleList(norm(layer) for layer in layers)
        self.conv_post = norm(nn.Conv1d(before, 1, 3, padding=1))

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        maps = judge(x, self.convs, self.conv_post)
        return DiscriminatorOutput(maps[-1].flatten(1), tuple(maps))


class MultiScale(nn.Module):
    """MSD: the waveform, then its averages over 2 and 4 samples; the first scale is spectrally normed, as published.

    Args:
        scales: how many.
        width: factor on the published channel counts.
        spectral_norm_start: "cold" refines the estimate of each kernel's largest singular value from random vectors, once
            for each forward pass, as the released code does; "warm" is torch's present spectral norm, which has refined
            it 15 times before the first one.

    Shape: x [B, 1, T] -> a DiscriminatorOutput for each scale.
    """

    items_apart = True

    def __init__(
        self,
        *,
        scales: Layers = 3,
        width: Annotated[float, Range(above=0, at_most=64)] = 1.0,
        spectral_norm_start: Literal["cold", "warm"] = "cold",
    ) -> None:
        super().__init__()
        first = cold_spectral_norm if spectral_norm_start == "cold" else spectral_norm
        norms = [first, *[weight_norm] * (scales - 1)]
        self.discriminators = nn.ModuleList(ScaleDiscriminator(width, norm) for norm in norms)

    def forward(self, x: Tensor, condition: Condition) -> tuple[DiscriminatorOutput, ...]:
        outputs = []
        for index, discriminator in enumerate(self.discriminators):
            x = F.avg_pool1d(x, 4, 2, padding=2) if index else x
            outputs.append(discriminator(x))
        return tuple(outputs)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Waveforms; returns feature maps."""
        seen = 3
        for _, kernel, stride, _ in reversed(_SCALE_LAYERS):
            seen = (seen - 1) * stride + kernel
        for _ in range(parameters["scales"] - 1):
            seen = (seen - 1) * 2 + 4
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            gives=frozenset({"features"}),
            receptive_field=seen,
            because={"receptive_field": "scales"},
        )
