"""The report's generator (section III.C): a U-Net of inception blocks from a degraded waveform to a restored one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import BelowOne, Channels, Layers, Range, Several, Width
from gansemble_plugins.superres.layers import InceptionDown, InceptionUp


class InceptionUNet(nn.Module):
    """Convolutions at ever lower rates and back (Kim and Sathe 2019; Alahi, Sifringer and Stegmüller 2020): y = x + conv(h(x)).

    Each block halves the rate by moving samples into channels, and back again; what a block made on the way down is read
    on the way up at the same rate. The last convolution starts at zero where x is added, so a fresh network is the
    identity, for any x. Any length is padded with zeros to a multiple of 2^blocks and cropped. The output is shifted with
    the input only by multiples of that.

    Args:
        blocks: on the way down, and as many up.
        widths: channels of each kernel at full rate, of an even sum.
        kernels: of the convolutions side by side, odd [samples at their rate].
        doublings: of the widths, one at each block, and no more than this many.
        bottleneck: a kernel of w channels reads ``w // bottleneck`` of them, at least one; 4 is wider than published,
            null leaves the convolution in front out.
        dropout: share of activations dropped on the way up while training; drawn from torch's generator.
        out_kernel: of the last convolution, odd [samples].
        additive_skip: whether x is added; without it the last convolution starts at random.
        output_activation: behind the sum. With tanh, which is published, a fresh network is no identity.

    Shape: signal "degraded" [B, C, T] -> [B, C, T]; each channel by itself.
    """

    def __init__(
        self,
        *,
        blocks: Layers = 8,
        widths: Annotated[tuple[Channels, ...], Several] = (24, 24, 8, 8),
        kernels: Annotated[tuple[Width, ...], Several] = (3, 9, 27, 81),
        doublings: Annotated[int, Range(at_least=0, at_most=30)] = 4,
        bottleneck: Channels | None = 16,
        dropout: BelowOne = 0.2,
        out_kernel: Width = 27,
        additive_skip: bool = True,
        output_activation: Literal["tanh"] | None = None,
    ) -> None:
        super().__init__()
        self.kernels, self.out_kernel = kernels, out_kernel
        self.additive_skip, self.output_activation = additive_skip, output_activation
        levels = [tuple(width * 2 ** min(level, doublings) for width in widths) for level in range(blocks)]
        made = [2 * sum(level) for level in levels]  # channels of each block down
        self.down = nn.ModuleList(
            InceptionDown(before, level, kernels, bottleneck) for before, level in zip([1, *made], levels, strict=False)
        )
        read = [made[-1], *(sum(levels[i + 1]) // 2 + made[i] for i in range(blocks - 2, -1, -1))]
        self.up = nn.ModuleList(
            InceptionUp(before, level, kernels, bottleneck, dropout)
            for before, level in zip(read, reversed(levels), strict=True)
        )
        self.out = nn.Conv1d(sum(widths) // 2, 1, out_kernel, padding=out_kernel // 2)
        if additive_skip:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, condition: Condition) -> Tensor:
        signal = condition.signal("degraded")
        if signal.dim() != 3:
            raise ValueError(f"inception_unet restores a waveform [B, C, T], got {tuple(signal.shape)}")
        length = signal.shape[-1]
        whole = max(1, -(-length // self.alignment)) * self.alignment
        x = F.pad(signal.reshape(-1, 1, length), (0, whole - length))
        y = self.out(self._hidden(x)).to(x.dtype)
        y = x + y if self.additive_skip else y
        y = torch.tanh(y) if self.output_activation == "tanh" else y
        return y[..., :length].reshape(signal.shape)

    def _hidden(self, x: Tensor) -> Tensor:
        """[N, 1, T] -> [N, sum(widths) / 2, T]."""
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
        x = skips.pop()
        for block in self.up:
            x = block(x)
            if skips:
                x = torch.cat([x, skips.pop()], dim=1)
        return x

    @property
    def alignment(self) -> int:
        """Chunks of a file must begin at a multiple of this, as their context must be one [samples]."""
        return 2 ** len(self.down)

    @property
    def context_frames(self) -> int:
        """What one output sample may see on either side, as a multiple of the alignment [samples].

        A kernel of 2 h + 1 reaches h * 2^i on the way down, at i = 0 to n - 1 halvings, and on the way up at i = 1 to n:
        h * (3 * 2^n - 3) in all, then half the last kernel, then the place within the alignment.
        """
        stride = self.alignment
        reach = (max(self.kernels) // 2) * (3 * stride - 3) + self.out_kernel // 2 + stride - 1
        return -(-reach // stride) * stride

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a degraded waveform; makes one of its length."""
        for name, least in (("blocks", 1), ("doublings", 0), ("bottleneck", 1)):
            if parameters[name] is not None and parameters[name] < least:
                raise ValueError(f"{name} must be at least {least}, got {parameters[name]}")
        widths, kernels = parameters["widths"], parameters["kernels"]
        if len(widths) != len(kernels) or not widths:
            raise ValueError(f"widths must be one for each of the {len(kernels)} kernels, got {len(widths)}")
        if min(widths) < 1 or sum(widths) % 2:
            raise ValueError(f"widths must be at least 1 each, of an even sum, got {list(widths)}")
        for kernel in (*kernels, parameters["out_kernel"]):
            if kernel < 1 or kernel % 2 == 0:
                raise ValueError(f"kernels must be odd to keep the length, got {kernel}")
        if not 0 <= parameters["dropout"] < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {parameters['dropout']}")
        return GeneratorContract(reads=frozenset({"degraded"}), domain="waveform", shape=(None, None))
