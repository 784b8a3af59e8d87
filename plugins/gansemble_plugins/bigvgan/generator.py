"""BigVGAN's generator : HiFi-GAN's, with anti-aliased periodic activations in its residual blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Several, Width
from gansemble.parts.upsampling import demand_blocks, demand_halvings, demand_stages
from gansemble_plugins.bigvgan.activations import REACH, Activation, AntiAliased, Snake


def _conv(channels: int, kernel: int, dilation: int) -> nn.Module:
    """A length-keeping weight-normed convolution."""
    return weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=(kernel - 1) * dilation // 2))


class AmpBlock1(nn.Module):
    """x + conv(act(dilated conv(act(x)))), once for each dilation; [B, C, T] -> [B, C, T]."""

    def __init__(
        self, channels: int, kernel: int, dilations: tuple[int, ...], kind: Activation, log_scale: bool
    ) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_conv(channels, kernel, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(_conv(channels, kernel, 1) for _ in dilations)
        self.activations = nn.ModuleList(
            AntiAliased(Snake(channels, kind, log_scale)) for _ in range(2 * len(dilations))
        )

    def forward(self, x: Tensor) -> Tensor:
        for index, (first, second) in enumerate(zip(self.convs1, self.convs2, strict=True)):
            x = x + second(self.activations[2 * index + 1](first(self.activations[2 * index](x))))
        return x


class AmpBlock2(nn.Module):
    """x + dilated conv(act(x)), once for each dilation; [B, C, T] -> [B, C, T]."""

    def __init__(
        self, channels: int, kernel: int, dilations: tuple[int, ...], kind: Activation, log_scale: bool
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(channels, kernel, dilation) for dilation in dilations)
        self.activations = nn.ModuleList(AntiAliased(Snake(channels, kind, log_scale)) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for conv, activation in zip(self.convs, self.activations, strict=True):
            x = x + conv(activation(x))
        return x


class BigVgan(nn.Module):
    """Upsamples log-mel frames to samples; each stage halves the channels and averages residual blocks of several kernels,
    whose activations are Snake functions at twice the rate (anti-aliased multi-periodicity). The defaults are the large
    model of the paper, 112 M parameters.

    Args:
        channels: before the first upsampling.
        upsample_rates: their product is the hop [samples].
        upsample_kernels: transposed convolutions' kernels, one for each rate.
        kernels: of the residual blocks.
        dilations: of the residual blocks, one list for each kernel.
        residual: "1" has two convolutions for each dilation, "2" one.
        activation: "snake", or "snakebeta", which has a size of its own for each channel's
            sine, as the released models do.
        log_scale: learn the logarithms of the activations' parameters, as the released models do.
        final_bias: whether the last convolution has a bias; the second release has none.
        final: bounds the output to ±1, by "tanh", or by "clamp" as in the second release.

    Shape: signal "mel" [B, mels, L] -> [B, 1, L * hop] within ±1.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        channels: Channels = 1536,
        upsample_rates: Annotated[tuple[Width, ...], Several] = (4, 4, 2, 2, 2, 2),
        upsample_kernels: Annotated[tuple[Width, ...], Several] = (8, 8, 4, 4, 4, 4),
        kernels: Annotated[tuple[Width, ...], Several] = (3, 7, 11),
        dilations: Annotated[tuple[Annotated[tuple[Width, ...], Several], ...], Several] = (
            (1, 3, 5),
            (1, 3, 5),
            (1, 3, 5),
        ),
        residual: Literal["1", "2"] = "1",
        activation: Literal["snake", "snakebeta"] = "snakebeta",
        log_scale: bool = True,
        final_bias: bool = True,
        final: Literal["tanh", "clamp"] = "tanh",
    ) -> None:
        super().__init__()
        self.kernels, self.dilations, self.residual, self.final = kernels, dilations, residual, final
        self.upsample_rates, self.upsample_kernels = upsample_rates, upsample_kernels
        self.conv_pre = weight_norm(nn.Conv1d(audio.mels, channels, 7, padding=3))
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        block = AmpBlock1 if residual == "1" else AmpBlock2
        for rate, kernel in zip(upsample_rates, upsample_kernels, strict=True):
            up = nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2)
            self.ups.append(nn.ModuleList([weight_norm(up)]))  # a list of one, as published weights are called so
            channels //= 2
            self.resblocks.extend(
                block(channels, k, d, activation, log_scale) for k, d in zip(kernels, dilations, strict=True)
            )
        self.activation_post = AntiAliased(Snake(channels, activation, log_scale))
        self.conv_post = weight_norm(nn.Conv1d(channels, 1, 7, padding=3, bias=final_bias))

    def forward(self, condition: Condition) -> Tensor:
        x = self.conv_pre(condition.signal("mel"))
        width = len(self.kernels)
        for index, ups in enumerate(self.ups):
            x = ups[0](x)  # type: ignore[index]
            blocks = self.resblocks[index * width : (index + 1) * width]
            x = sum(block(x) for block in blocks) / width  # type: ignore[assignment]
        x = self.conv_post(self.activation_post(x))
        return torch.tanh(x) if self.final == "tanh" else x.clamp(-1.0, 1.0)

    @property
    def context_frames(self) -> int:
        """One-sided receptive field, rounded up [frames]."""
        reach, rate = 3.0, 1
        for factor, kernel in zip(self.upsample_rates, self.upsample_kernels, strict=True):
            rate *= factor
            reach += (kernel / 2 + 1) / rate
            reach += max(self._block_reach(k, d) for k, d in zip(self.kernels, self.dilations, strict=True)) / rate
        return int(reach + (REACH + 3) / rate) + 2

    def _block_reach(self, kernel: int, dilations: tuple[int, ...]) -> int:
        """Samples on either side that a block reads, at its own rate."""
        second = len(dilations) if self.residual == "1" else 0
        return (kernel - 1) // 2 * (sum(dilations) + second) + REACH * (len(dilations) + second)

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> GeneratorContract:
        """Reads a mel spectrogram; makes prod(upsample_rates) samples of each frame."""
        rates, kernels = parameters["upsample_rates"], parameters["upsample_kernels"]
        demand_stages(rates, kernels)
        demand_blocks(parameters["kernels"], parameters["dilations"])
        demand_halvings(parameters["channels"], len(rates))
        return GeneratorContract(
            reads=frozenset({"mel"}),
            domain="waveform",
            shape=(1, None),
            upsampling=math.prod(rates),
            because={"upsampling": "upsample_rates"},
        )
