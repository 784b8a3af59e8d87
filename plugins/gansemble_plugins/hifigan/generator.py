"""HiFi-GAN's generator (section 2.2): mel spectrogram to waveform at any product of upsampling rates."""

import math
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Classes, Several, Width
from gansemble.parts.causal import CausalConv1d, CausalConvTranspose1d
from gansemble.parts.upsampling import demand_blocks, demand_stages

SLOPE = 0.1


Initialisation = Literal["torch", "normal"]


def _normed(conv: nn.Module, initialisation: Initialisation) -> nn.Module:
    """A weight-normed convolution; "normal" draws its weights from N(0, 0.01) first."""
    if initialisation == "normal":
        nn.init.normal_(conv.weight, 0.0, 0.01)  # type: ignore[arg-type]
    return weight_norm(conv)


def _conv(channels: int, kernel: int, dilation: int, initialisation: Initialisation, causal: bool) -> nn.Module:
    """A length-keeping weight-normed convolution."""
    if causal:
        return _normed(CausalConv1d(channels, channels, kernel, dilation), initialisation)
    padding = (kernel - 1) * dilation // 2
    return _normed(nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding), initialisation)


def _first(read: int, made: int, kernel: int, causal: bool) -> nn.Module:
    """A length-keeping convolution to another number of channels."""
    return CausalConv1d(read, made, kernel) if causal else nn.Conv1d(read, made, kernel, padding=kernel // 2)


def _upsampling(channels: int, kernel: int, rate: int, causal: bool) -> nn.Module:
    """[B, C, T] -> [B, C / 2, T * rate]."""
    if causal:
        return CausalConvTranspose1d(channels, channels // 2, kernel, rate)
    return nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2)


class ResBlock1(nn.Module):
    """x + conv(act(dilated conv(act(x)))), once for each dilation; [B, C, T] -> [B, C, T]."""

    def __init__(
        self,
        channels: int,
        kernel: int,
        dilations: tuple[int, ...],
        initialisation: Initialisation = "torch",
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_conv(channels, kernel, dilation, initialisation, causal) for dilation in dilations)
        self.convs2 = nn.ModuleList(_conv(channels, kernel, 1, initialisation, causal) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            x = x + second(F.leaky_relu(first(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class ResBlock2(nn.Module):
    """x + dilated conv(act(x)), once for each dilation; [B, C, T] -> [B, C, T]."""

    def __init__(
        self,
        channels: int,
        kernel: int,
        dilations: tuple[int, ...],
        initialisation: Initialisation = "torch",
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(_conv(channels, kernel, dilation, initialisation, causal) for dilation in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = x + conv(F.leaky_relu(x, SLOPE))
        return x


class HifiGan(nn.Module):
    """Upsamples log-mel frames to samples; each stage halves the channels and averages residual blocks of several
    kernels (multi-receptive-field fusion). The defaults are V1.

    Args:
        channels: before the first upsampling.
        upsample_rates: their product is the hop [samples].
        upsample_kernels: transposed convolutions' kernels, one for each rate.
        kernels: of the residual blocks.
        dilations: of the residual blocks, one list for each kernel.
        residual: "1" has two convolutions for each dilation (V1, V2), "2" one (V3).
        initialisation: "torch" is torch's default, from which the published models were trained: the released code
            draws N(0, 0.01), but into tensors that weight norm computes anew before their first use. "normal" makes
            that draw effective for all but the first convolution.
        classes: of labels, such as speakers, each with a vector that is added behind the first convolution; null reads no
            label, as published.
        causal: pad on the left alone, so that a sample depends on its own frame and those before, and a stream has no
            look-ahead; the parameters are those of the published network, which looks to both sides.

    Shape: signal "mel" [B, mels, L], label [B] with ``classes`` -> [B, 1, L * hop] within ±1.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        channels: Channels = 512,
        upsample_rates: Annotated[tuple[Width, ...], Several] = (8, 8, 2, 2),
        upsample_kernels: Annotated[tuple[Width, ...], Several] = (16, 16, 4, 4),
        kernels: Annotated[tuple[Width, ...], Several] = (3, 7, 11),
        dilations: Annotated[tuple[Annotated[tuple[Width, ...], Several], ...], Several] = (
            (1, 3, 5),
            (1, 3, 5),
            (1, 3, 5),
        ),
        residual: Literal["1", "2"] = "1",
        initialisation: Literal["torch", "normal"] = "torch",
        classes: Classes | None = None,
        causal: bool = False,
    ) -> None:
        super().__init__()
        width, self.causal = channels, causal
        self.kernels, self.dilations, self.residual = kernels, dilations, residual
        self.upsample_rates, self.upsample_kernels = upsample_rates, upsample_kernels
        self.conv_pre = weight_norm(_first(audio.mels, channels, 7, causal))
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        block = ResBlock1 if residual == "1" else ResBlock2
        for rate, kernel in zip(upsample_rates, upsample_kernels, strict=True):
            up = _upsampling(channels, kernel, rate, causal)
            self.ups.append(_normed(up, initialisation))
            channels //= 2
            self.resblocks.extend(
                block(channels, k, d, initialisation, causal) for k, d in zip(kernels, dilations, strict=True)
            )
        self.conv_post = _normed(_first(channels, 1, 7, causal), initialisation)
        self.embed = None if classes is None else nn.Embedding(classes, width)

    def features(self, condition: Condition) -> Tensor:
        """What the first convolution reads, [B, C, L]."""
        return condition.signal("mel")

    def forward(self, condition: Condition) -> Tensor:
        x = self.conv_pre(self.features(condition))
        if self.embed is not None:
            if condition.label is None:
                raise ValueError(f"hifigan with {self.embed.num_embeddings} classes reads a label [B], got none")
            x = x + self.embed(condition.label)[..., None]  # [B, C, 1]
        width = len(self.kernels)
        for index, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, SLOPE))  # [B, C / 2, T * rate]
            blocks = self.resblocks[index * width : (index + 1) * width]
            x = sum(block(x) for block in blocks) / width  # type: ignore[assignment]
        # The published code leaves this one at torch's default slope of 0.01.
        return torch.tanh(self.conv_post(F.leaky_relu(x)))

    @property
    def context_frames(self) -> int:
        """One-sided receptive field, rounded up [frames]; a causal network's has all of it before the sample."""
        sides = 2 if self.causal else 1
        reach, rate = 3.0 * sides, 1
        for factor, kernel in zip(self.upsample_rates, self.upsample_kernels, strict=True):
            rate *= factor
            reach += (kernel / 2 * sides + 1) / rate
            longest = max(self._block_reach(k, d) for k, d in zip(self.kernels, self.dilations, strict=True))
            reach += longest * sides / rate
        return int(reach + 3 * sides / rate) + 2

    def _block_reach(self, kernel: int, dilations: tuple[int, ...]) -> int:
        second = len(dilations) if self.residual == "1" else 0
        return (kernel - 1) // 2 * (sum(dilations) + second)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a mel spectrogram; makes prod(upsample_rates) samples of each frame."""
        rates, kernels = parameters["upsample_rates"], parameters["upsample_kernels"]
        demand_stages(rates, kernels)
        demand_blocks(parameters["kernels"], parameters["dilations"])
        classes: Any = parameters["classes"]
        if classes is not None and classes < 1:
            raise ValueError(f"classes must be at least 1, or null, got {classes}")
        return GeneratorContract(
            reads=frozenset({"mel"} if classes is None else {"mel", "label"}),
            domain="waveform",
            shape=(1, None),
            upsampling=math.prod(rates),
            classes=classes,
            because={"upsampling": "upsample_rates", "classes": "classes", "reads": "classes"},
        )
