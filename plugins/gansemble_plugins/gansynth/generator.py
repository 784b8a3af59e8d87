"""GANSynth's generator: a latent vector and a pitch to an image of two channels, growing block by block."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Count, Layers, Note
from gansemble_plugins.gansynth import growth
from gansemble_plugins.gansynth.layers import EqualConv2d, attached, check_networks, fmap, leaky, pixel_norm

KERNEL = (3, 3)


class GeneratorBlock(nn.Module):
    """Two convolutions, each followed by LeakyReLU and pixel norm, and the 1x1 convolution to an image within ±1.

    Args:
        inputs, outputs: channels.
        start: the first block's kernel (frames, bins), which makes the first resolution of one pixel; None for others,
            which double the resolution.
    """

    def __init__(self, inputs: int, outputs: int, start: tuple[int, int] | None) -> None:
        super().__init__()
        self.start = start
        self.conv0 = EqualConv2d(inputs, outputs, start or KERNEL, pad=start is None)
        self.conv1 = EqualConv2d(outputs, outputs, KERNEL)
        self.to_rgb = EqualConv2d(outputs, 2, (1, 1), slope=1.0)

    def forward(self, x: Tensor) -> Tensor:
        if self.start is None:
            x = growth.upscale(x, 2)
        else:
            frames, bins = self.start
            x = F.pad(x, (bins - 1, bins - 1, frames - 1, frames - 1))  # 1x1 -> 3x31, where 2x16 fits 2x16 times
        x = pixel_norm(leaky(self.conv0(x)))
        return pixel_norm(leaky(self.conv1(x)))

    def image(self, x: Tensor) -> Tensor:
        """[B, outputs, L, F] -> [B, 2, L, F]."""
        return torch.tanh(self.to_rgb(x))


class GanSynth(nn.Module):
    """Makes normalised images (log magnitude, phase or instantaneous frequency) of notes.

    The image is sum over blocks b of alpha_G(b) times block b's image. It is made at the resolution of the highest
    block that takes part; repeating its pixels up to full resolution gives the published output. Blocks that take no
    part are not computed, and their parameters' gradients are zero.

    Args:
        latent: size of z, drawn from N(0, I).
        pitches: lowest and highest pitch [MIDI number]; label 0 is the lowest.
        blocks: resolutions, each twice the last on both axes.
        start: the first resolution (frames, bins): 2 x 16 for 128 x 1024, 4 x 8 for 256 x 512.
        fmap_base, fmap_max: block b has min(fmap_base / 2^b, fmap_max) channels.

    Shape: condition.latent [B, latent], condition.label [B] -> [B, 2, start[0] 2^(k-1), start[1] 2^(k-1)] at block k,
    within ±1.
    """

    context_frames: int | None = None

    def __init__(
        self,
        *,
        latent: Channels = 256,
        pitches: tuple[Note, Note] = (24, 84),
        blocks: Layers = 7,
        start: tuple[Channels, Channels] = (2, 16),
        fmap_base: Count = 4096,
        fmap_max: Channels = 256,
    ) -> None:
        super().__init__()
        check_networks(blocks, start, fmap_base, fmap_max, pitches)
        self.pitches = pitches[1] - pitches[0] + 1
        widths = [latent + self.pitches, *(fmap(block, fmap_base, fmap_max) for block in range(1, blocks + 1))]
        self.blocks = nn.ModuleList(
            GeneratorBlock(widths[index], widths[index + 1], start if index == 0 else None) for index in range(blocks)
        )
        self.growth = growth.Growth(blocks)

    def set_progress(self, progress: float) -> None:
        """Grows to a progress between 0 and blocks - 1."""
        self.growth.set(progress)

    def forward(self, condition: Condition) -> Tensor:
        if condition.latent is None or condition.label is None:
            raise ValueError("gansynth reads condition.latent [B, Z] and condition.label [B], got None")
        pitch = F.one_hot(condition.label, self.pitches).to(condition.latent.dtype)
        progress = self.growth.progress
        top = growth.current_block(progress)
        share = growth.generator_alpha(top, progress)
        x = pixel_norm(torch.cat([condition.latent, pitch], 1))[:, :, None, None]  # [B, Z + pitches, 1, 1]
        below = x
        for block in self.blocks[:top]:
            below, x = x, block(x)
        made = self.blocks[top - 1].image(x)  # type: ignore[operator]
        if share < 1:
            lower = self.blocks[top - 2].image(below)  # type: ignore[operator]
            made = share * made + (1 - share) * growth.upscale(lower, 2)
        return attached(made, self._idle(top, 1 if share == 1 else 2))

    def _idle(self, top: int, seen: int) -> list[nn.Parameter]:
        """Parameters of the blocks above ``top``, and of the images of those below the ``seen`` highest."""
        idle = [*self.blocks[top:], *(block.to_rgb for block in self.blocks[: top - seen])]
        return [parameter for module in idle for parameter in module.parameters()]

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a normal latent vector and a pitch; makes the images of any representation of its size."""
        names = ("blocks", "start", "fmap_base", "fmap_max", "pitches")
        check_networks(*(parameters[name] for name in names))
        return GeneratorContract(
            reads=frozenset({"latent", "label"}),
            needs=frozenset({"pitch"}),
            shape=(2, *growth.size(parameters["blocks"], parameters["start"])),
            grows_to=parameters["blocks"] - 1,
            latent=parameters["latent"],
            latent_law="normal",
            pitches=parameters["pitches"],
            because={"shape": "blocks", "grows_to": "blocks", "latent": "latent", "pitches": "pitches"},
        )
