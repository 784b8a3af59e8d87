"""What all generators here are made of: blocks that draw a picture, and what z and the class tell each of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.interfaces import Condition
from gansemble_plugins.biggan import sizes
from gansemble_plugins.biggan.attention import NonLocal
from gansemble_plugins.biggan.blocks import UpBlock
from gansemble_plugins.biggan.layers import Style, check_label
from gansemble_plugins.biggan.norms import BatchStatistics, PlainNorm, projected_norm


class Painter(nn.Module):
    """A linear layer to 4 x 4 pixels, residual blocks up to the picture, attention after one of them; then batch norm,
    ReLU, a 3x3 convolution and tanh.

    Args:
        stages: the blocks.
        first: numbers that the linear layer reads.
        image_channels: of the picture.
        norm: makes a block's batch norm of so many channels.
        statistics: whose the last batch norm takes.
        style: of all layers.
        attention: the resolution it works at; None is none.

    Shape: [B, first], and for each block what its norms are told -> [B, image_channels, n, n] within ±1.
    """

    def __init__(
        self,
        stages: Sequence[sizes.ResidualStage],
        first: int,
        image_channels: int,
        norm: Callable[[int], nn.Module],
        statistics: BatchStatistics,
        style: Style,
        attention: int | None,
    ) -> None:
        super().__init__()
        widths = [stages[0].inputs or 0, *(stage.outputs for stage in stages)]
        self.linear = style.linear(first, widths[0] * sizes.FIRST**2)
        self.blocks = nn.ModuleList(UpBlock(before, after, norm, style) for before, after in itertools.pairwise(widths))
        self.attended = sizes.attention_stage(tuple(stages), attention)
        self.attention = None if self.attended is None else NonLocal(widths[self.attended + 1], style)
        self.norm = PlainNorm(widths[-1], statistics)
        self.output = style.conv(widths[-1], image_channels)

    def forward(self, first: Tensor, condition: Sequence[Tensor | None]) -> Tensor:
        x = self.linear(first).unflatten(1, (-1, sizes.FIRST, sizes.FIRST))  # [B, 16 ch, 4, 4]
        for place, (block, each) in enumerate(zip(self.blocks, condition, strict=True)):
            x = block(x, each)
            if place == self.attended:
                assert self.attention is not None
                x = self.attention(x)
        return torch.tanh(self.output(F.relu(self.norm(x))))


class BlockConditions(nn.Module):
    """What the first layer and each block are told of z and the class.

    Args:
        blocks: how many there are.
        latent: size of z; None is 20 for each slot.
        classes: None is none.
        shared: size of a class' embedding.
        skip_z: what of z the blocks are told.
        linear_in: what the first layer reads.
        style: of the embedding, which is never spectrally normalised.

    Shape: condition -> [B, first], and for each block [B, told], or None where it is told nothing.
    """

    def __init__(
        self,
        blocks: int,
        latent: int | None,
        classes: int | None,
        shared: int,
        skip_z: sizes.SkipZ | None,
        linear_in: Literal["z", "z+c"],
        style: Style,
    ) -> None:
        super().__init__()
        if shared < 1:
            raise ValueError(f"shared must be at least 1, got {shared}")
        self.blocks, self.classes, self.skip_z, self.linear_in = blocks, classes, skip_z, linear_in
        self.latent = sizes.latent_size(latent, blocks, skip_z)
        self.chunk = sizes.chunk_size(self.latent, blocks, skip_z)
        embedding = 0 if classes is None else shared
        self.embed = None if classes is None else style.table(classes, shared)
        self.first = self.chunk if skip_z == "chunks" else self.latent
        self.first += embedding if linear_in == "z+c" else 0
        self.size = self.chunk + embedding

    def norm(self, statistics: BatchStatistics, style: Style) -> Callable[[int], nn.Module]:
        """Makes the blocks' batch norms: plain ones where they are told nothing."""

        def made(width: int) -> nn.Module:
            if self.size == 0:
                return PlainNorm(width, statistics)
            return projected_norm(width, statistics, self.size, style)

        return made

    def painter(
        self,
        stages: Sequence[sizes.ResidualStage],
        image_channels: int,
        statistics: BatchStatistics,
        style: Style,
        attention: int | None,
    ) -> Painter:
        """A painter whose first layer and blocks are told so."""
        norm = self.norm(statistics, style)
        return Painter(stages, self.first, image_channels, norm, statistics, style, attention)

    def forward(self, condition: Condition, whose: str) -> tuple[Tensor, list[Tensor | None]]:
        z = latent_of(condition, self.latent, whose)
        embedded: list[Tensor] = []
        if self.embed is not None:
            assert self.classes is not None
            label = check_label(condition.label, self.classes, z.shape[0], whose, self.training)
            embedded = [self.embed(label).to(z.dtype)]
        parts = list(z.split(self.chunk, 1)) if self.skip_z == "chunks" else [z] * (self.blocks + 1)
        first = torch.cat([parts[0], *embedded], 1) if self.linear_in == "z+c" else parts[0]
        if self.skip_z is None:
            return first, [embedded[0] if embedded else None] * self.blocks
        return first, [torch.cat([*embedded, part], 1) for part in parts[1:]]


def latent_of(condition: Condition, size: int, whose: str) -> Tensor:
    """z [B, size].

    Raises:
        ValueError: if the condition has none, or one of another size.
    """
    z = condition.latent
    if z is None or z.dim() != 2 or z.shape[1] != size:
        raise ValueError(f"{whose} reads condition.latent [B, {size}], got {None if z is None else list(z.shape)}")
    return z
