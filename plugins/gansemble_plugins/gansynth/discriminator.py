"""GANSynth's discriminator: the generator's mirror image, with a critic's score and a pitch classifier's logits."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.numbers import Channels, Count, Layers, Note, Positive
from gansemble_plugins.gansynth import growth
from gansemble_plugins.gansynth.images import PHASE_SLOPE
from gansemble_plugins.gansynth.layers import (
    DeviationGradient,
    EqualConv2d,
    EqualLinear,
    attached,
    check_networks,
    fmap,
    leaky,
    minibatch_deviation,
)
from gansemble_plugins.gansynth.representations import MEL_SLOPE

KERNEL = (3, 3)


class DiscriminatorBlock(nn.Module):
    """Two convolutions with LeakyReLU, the second one widening, then means of 2x2; and a 1x1 convolution from images.

    Args:
        inputs, outputs: channels.
        start: the first resolution (frames, bins), for the lowest block, which judges the batch's deviation too and
            ends in one pixel; None for the others.
        deviation_gradient: see :func:`gansemble_plugins.gansynth.layers.minibatch_deviation`.
    """

    def __init__(
        self, inputs: int, outputs: int, start: tuple[int, int] | None, deviation_gradient: DeviationGradient
    ) -> None:
        super().__init__()
        self.lowest, self.deviation_gradient = start is not None, deviation_gradient
        self.from_rgb = EqualConv2d(2, inputs, (1, 1))
        self.conv0 = EqualConv2d(inputs + self.lowest, inputs, KERNEL)
        self.conv1 = EqualConv2d(inputs, outputs, start or KERNEL, pad=start is None)

    def forward(self, x: Tensor) -> Tensor:
        x = leaky(self.conv0(minibatch_deviation(x, self.deviation_gradient) if self.lowest else x))
        x = leaky(self.conv1(x))
        return x if self.lowest else growth.downscale(x, 2)

    def read(self, image: Tensor) -> Tensor:
        """[B, 2, L, F] -> [B, inputs, L, F]."""
        return leaky(self.from_rgb(image))


class GanSynthDiscriminator(nn.Module):
    """Judges images at the resolution of the highest block that takes part, and classifies their pitch.

    While a block is blended in, the block below it reads alpha_D of the image itself and 1 - alpha_D of what the new
    block makes of it. The deviation of the whole batch is part of every output.

    Args:
        pitches: lowest and highest pitch [MIDI number]; logit 0 is the lowest.
        blocks: resolutions, each twice the last on both axes.
        start: the first resolution (frames, bins).
        fmap_base, fmap_max: block b reads min(fmap_base / 2^b, fmap_max) channels.
        gp_domain: what a gradient penalty takes its gradient of: raw spectrograms, as published, or normalised images.
        slopes: the representation's normaliser, for ``raw``: raw values are multiplied by these (magnitude, phase).
        minibatch_deviation_gradient: what a gradient penalty's second derivatives see of the batch's deviation:
            ``tensorflow`` takes its mean for fixed, as published; ``exact`` does not.

    Shape: [B, 2, start[0] 2^(k-1), start[1] 2^(k-1)] at block k -> score [B, 1], logits [B, pitches].
    """

    slopes: Tensor

    def __init__(
        self,
        *,
        pitches: tuple[Note, Note] = (24, 84),
        blocks: Layers = 7,
        start: tuple[Channels, Channels] = (2, 16),
        fmap_base: Count = 4096,
        fmap_max: Channels = 256,
        gp_domain: Literal["raw", "normalised"] = "raw",
        slopes: tuple[Positive, Positive] = (MEL_SLOPE, PHASE_SLOPE),
        minibatch_deviation_gradient: DeviationGradient = "tensorflow",
    ) -> None:
        super().__init__()
        check_networks(blocks, start, fmap_base, fmap_max, pitches)
        widths = [fmap(block, fmap_base, fmap_max) for block in range(blocks + 1)]
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(
                widths[block], widths[block - 1], start if block == 1 else None, minibatch_deviation_gradient
            )
            for block in range(1, blocks + 1)
        )
        self.logits = EqualLinear(widths[0], 1)
        self.classification_logits = EqualLinear(widths[0], pitches[1] - pitches[0] + 1)
        self.growth = growth.Growth(blocks)
        self.start = start
        factors = slopes if gp_domain == "raw" else (1.0, 1.0)
        self.register_buffer("slopes", torch.tensor(factors).view(1, 2, 1, 1), persistent=False)

    def set_progress(self, progress: float) -> None:
        """Grows to a progress between 0 and blocks - 1."""
        self.growth.set(progress)

    @property
    def gradient_scale(self) -> Tensor:
        """What a gradient penalty multiplies the gradient by before it takes its norm [1, 2, 1, 1].

        Published, the gradient is that of D(clip(a X + b)) with respect to X at full resolution. There each pixel of
        the input here is the mean of s x s pixels, s = 2^(blocks - k) at block k: a gradient g of one is a g / s^2 of
        each of those, and the norm over all of them that of a g / s. While block k is blended in this holds as it
        stands: what the block below reads is the mean of pixels of block k's image, so the output still depends on X
        through that image alone.
        """
        return self.slopes / 2 ** (self.growth.blocks - growth.current_block(self.growth.progress))

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        progress = self.growth.progress
        top = growth.current_block(progress)
        wanted = growth.size(top, self.start)
        if x.dim() != 4 or x.shape[1] != 2 or tuple(x.shape[2:]) != wanted:
            raise ValueError(
                f"at progress {progress:g}, gansynth judges [B, 2, {wanted[0]}, {wanted[1]}], got {list(x.shape)}"
            )
        h = self.blocks[top - 1].read(x)  # type: ignore[operator]
        share = growth.discriminator_alpha(top - 1, progress) if top > 1 else 0.0
        for number in range(top, 0, -1):
            h = self.blocks[number - 1](h)
            if number == top and share:
                below = self.blocks[top - 2].read(growth.downscale(x, 2))  # type: ignore[operator]
                h = share * below + (1 - share) * h
        h = h.flatten(1)
        score, logits = self.logits(h), self.classification_logits(h)
        return DiscriminatorOutput(attached(score, self._idle(top, 2 if share else 1)), logits=logits)

    def _idle(self, top: int, read: int) -> list[nn.Parameter]:
        """Parameters the score does not depend on: blocks above ``top``, images not read, and the classifier."""
        idle = [*self.blocks[top:], *(block.from_rgb for block in self.blocks[: top - read])]
        return [parameter for module in (*idle, self.classification_logits) for parameter in module.parameters()]

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Judges the images of any representation of its size, and classifies pitches."""
        names = ("blocks", "start", "fmap_base", "fmap_max", "pitches")
        check_networks(*(parameters[name] for name in names))
        return DiscriminatorContract(
            shape=(2, *growth.size(parameters["blocks"], parameters["start"])),
            grows_to=parameters["blocks"] - 1,
            gives=frozenset({"logits"}),
            pitches=parameters["pitches"],
            because={"shape": "blocks", "grows_to": "blocks", "pitches": "pitches"},
        )
