"""The generators: what each is told, and how z and the class reach its blocks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.interfaces import Condition, Contract
from gansemble_plugins.biggan import sizes
from gansemble_plugins.biggan.attention import NonLocal
from gansemble_plugins.biggan.blocks import UpBlock
from gansemble_plugins.biggan.layers import Initialisation, Style, check_label
from gansemble_plugins.biggan.norms import (
    BatchStatistics,
    PlainNorm,
    class_norm,
    projected_norm,
    take_standing_statistics,
)


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
        stages: Sequence[sizes.Stage],
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

    def forward(self, first: Tensor, told: Sequence[Tensor | None]) -> Tensor:
        x = self.linear(first).unflatten(1, (-1, sizes.FIRST, sizes.FIRST))  # [B, 16 ch, 4, 4]
        for place, (block, each) in enumerate(zip(self.blocks, told, strict=True)):
            x = block(x, each)
            if place == self.attended:
                assert self.attention is not None
                x = self.attention(x)
        return torch.tanh(self.output(F.relu(self.norm(x))))


class SaGan(nn.Module):
    """SA-GAN's generator: z goes into the linear layer, the class chooses a gain and bias in each block's batch norms.

    Args:
        resolution: pixels on a side of the picture: 32, 64, 128 or 256.
        channels: the width multiplier ch; at 128 x 128 blocks have 16, 16, 8, 4, 2 and 1 times as many.
        image_channels: of the picture: 1 is a spectrogram, 3 colours.
        latent: size of z, drawn from N(0, I).
        classes: of the label; null is none.
        attention: the resolution the non-local block works at; the largest there is where this is larger; null is none.
        spectral_norm: whether weights are divided by their largest singular value.
        initialisation: of weights.
        standing: batches whose statistics are averaged before sampling; 0 keeps the running statistics.
        batch_norm: whether all processes' batches are normalised as one.

    Shape: condition.latent [B, latent], condition.label [B] or [B, classes] -> [B, image_channels, n, n] within ±1.

    Raises:
        ValueError: if there are no networks of that resolution, or no block works at the attention's.
    """

    context_frames: int | None = None
    mixes_labels = True

    def __init__(
        self,
        *,
        resolution: int = 128,
        channels: int = 64,
        image_channels: int = 1,
        latent: int = 128,
        classes: int | None = None,
        attention: int | None = 32,
        spectral_norm: bool = True,
        initialisation: Initialisation = "xavier",
        standing: int = 0,
        batch_norm: BatchStatistics = "synchronised",
    ) -> None:
        super().__init__()
        stages = _stages("biggan", resolution, channels, attention, image_channels, classes, standing)
        style = Style(spectral_norm, initialisation)
        self.latent, self.classes, self.standing_passes = latent, classes, standing

        def norm(width: int) -> nn.Module:
            return PlainNorm(width, batch_norm) if classes is None else class_norm(width, batch_norm, classes)

        first = sizes.latent_size(latent, len(stages), None)
        self.painter = Painter(stages, first, image_channels, norm, batch_norm, style, attention)

    def forward(self, condition: Condition) -> Tensor:
        z = _latent(condition, self.latent, "sagan")
        label = None
        if self.classes is not None:
            label = check_label(condition.label, self.classes, len(z), "sagan", self.training)
        return self.painter(z, [label] * len(self.painter.blocks))

    def standing_statistics(self, conditions: Iterator[Condition]) -> None:
        """Takes the batch statistics that it samples with."""
        take_standing_statistics(self, conditions, self.standing_passes)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Reads a normal latent vector, and labels where it has classes; makes pictures of one size."""
        return _contract(parameters, "biggan", None)


class BigGan(nn.Module):
    """BigGAN's generator: each block's batch norms are told the class' embedding, shared by all blocks, and a chunk of
    z of its own; the linear layer reads the first chunk.

    Args:
        resolution: pixels on a side of the picture: 32, 64, 128 or 256.
        channels: the width multiplier ch; at 128 x 128 blocks have 16, 16, 8, 4, 2 and 1 times as many.
        image_channels: of the picture: 1 is a spectrogram, 3 colours.
        latent: size of z, drawn from N(0, I); null is 20 numbers for the first layer and each block, 120 at 128 x 128.
        classes: of the label; null is none, and batch norms are told z alone.
        shared: size of a class' embedding.
        attention: the resolution the non-local block works at; the largest there is where this is larger; null is none.
        spectral_norm: whether weights, but not the embedding, are divided by their largest singular value.
        initialisation: of weights.
        standing: batches whose statistics are averaged before sampling; 0 keeps the running statistics.
        batch_norm: whether all processes' batches are normalised as one.

    Shape: condition.latent [B, latent], condition.label [B] or [B, classes] -> [B, image_channels, n, n] within ±1.

    Raises:
        ValueError: if there are no networks of that resolution, no block works at the attention's, or z does not divide
            into chunks.
    """

    context_frames: int | None = None
    mixes_labels = True

    def __init__(
        self,
        *,
        resolution: int = 128,
        channels: int = 96,
        image_channels: int = 1,
        latent: int | None = None,
        classes: int | None = None,
        shared: int = 128,
        attention: int | None = 64,
        spectral_norm: bool = True,
        initialisation: Initialisation = "orthogonal",
        standing: int = 16,
        batch_norm: BatchStatistics = "synchronised",
    ) -> None:
        super().__init__()
        stages = _stages("biggan", resolution, channels, attention, image_channels, classes, standing)
        style = Style(spectral_norm, initialisation)
        self.standing_passes = standing
        self.told = Told(len(stages), latent, classes, shared, "chunks", "z", style)
        self.painter = Painter(
            stages, self.told.first, image_channels, self.told.norm(batch_norm, style), batch_norm, style, attention
        )

    def forward(self, condition: Condition) -> Tensor:
        return self.painter(*self.told(condition, "biggan"))

    def standing_statistics(self, conditions: Iterator[Condition]) -> None:
        """Takes the batch statistics that it samples with."""
        take_standing_statistics(self, conditions, self.standing_passes)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Reads a normal latent vector, and labels where it has classes; makes pictures of one size."""
        return _contract(parameters, "biggan", "chunks")


class ModifiedBigGan(nn.Module):
    """BigGAN modified for spectrograms, as tables 5 (128 x 128) and 6 (256 x 256) of the conditioning trick's paper are
    read here: a row is a run of BigGAN's blocks. 64 x 64 is a reading of this toolkit's own, for small machines.

    Args:
        resolution: pixels on a side of the picture: 64, 128 or 256.
        channels: the width multiplier ch.
        image_channels: of the picture: 1 is a spectrogram, 3 colours.
        latent: size of z, drawn from N(0, I); null is 20 numbers for the first layer and each block: 120 at 128 x 128,
            140 at 256 x 256.
        classes: of the label; null is none.
        shared: size of a class' embedding.
        skip_z: what of z each block is told: its own chunk, all of it, or null for none of it.
        linear_in: whether the first layer reads z alone, or the class' embedding too.
        attention: the resolution the non-local block works at; the largest there is where this is larger; null is none.
            The tables have 128.
        spectral_norm: whether weights, but not the embedding, are divided by their largest singular value.
        initialisation: of weights.
        standing: batches whose statistics are averaged before sampling; 0 keeps the running statistics.
        batch_norm: whether all processes' batches are normalised as one.

    Shape: condition.latent [B, latent], condition.label [B] or [B, classes] -> [B, image_channels, n, n] within ±1.

    Raises:
        ValueError: if there are no networks of that resolution, no block works at the attention's, or z does not divide
            into chunks.
    """

    context_frames: int | None = None
    mixes_labels = True

    def __init__(
        self,
        *,
        resolution: int = 128,
        channels: int = 96,
        image_channels: int = 1,
        latent: int | None = None,
        classes: int | None = None,
        shared: int = 128,
        skip_z: sizes.SkipZ | None = "chunks",
        linear_in: Literal["z", "z+c"] = "z+c",
        attention: int | None = 64,
        spectral_norm: bool = False,
        initialisation: Initialisation = "orthogonal",
        standing: int = 16,
        batch_norm: BatchStatistics = "synchronised",
    ) -> None:
        super().__init__()
        stages = _stages("modified", resolution, channels, attention, image_channels, classes, standing)
        style = Style(spectral_norm, initialisation)
        self.standing_passes = standing
        self.told = Told(len(stages), latent, classes, shared, skip_z, linear_in, style)
        self.painter = Painter(
            stages, self.told.first, image_channels, self.told.norm(batch_norm, style), batch_norm, style, attention
        )

    def forward(self, condition: Condition) -> Tensor:
        return self.painter(*self.told(condition, "modified_biggan"))

    def standing_statistics(self, conditions: Iterator[Condition]) -> None:
        """Takes the batch statistics that it samples with."""
        take_standing_statistics(self, conditions, self.standing_passes)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Reads a normal latent vector, and labels where it has classes; makes pictures of one size."""
        return _contract(parameters, "modified", parameters["skip_z"])


class Told(nn.Module):
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

    def forward(self, condition: Condition, whose: str) -> tuple[Tensor, list[Tensor | None]]:
        z = _latent(condition, self.latent, whose)
        embedded: list[Tensor] = []
        if self.embed is not None:
            assert self.classes is not None
            label = check_label(condition.label, self.classes, len(z), whose, self.training)
            embedded = [self.embed(label).to(z.dtype)]
        parts = list(z.split(self.chunk, 1)) if self.skip_z == "chunks" else [z] * (self.blocks + 1)
        first = torch.cat([parts[0], *embedded], 1) if self.linear_in == "z+c" else parts[0]
        if self.skip_z is None:
            return first, [embedded[0] if embedded else None] * self.blocks
        return first, [torch.cat([*embedded, part], 1) for part in parts[1:]]


def _latent(condition: Condition, size: int, whose: str) -> Tensor:
    z = condition.latent
    if z is None or z.dim() != 2 or z.shape[1] != size:
        raise ValueError(f"{whose} reads condition.latent [B, {size}], got {None if z is None else list(z.shape)}")
    return z


def _stages(
    family: sizes.Family,
    resolution: int,
    channels: int,
    attention: int | None,
    image_channels: int,
    classes: int | None,
    standing: int,
) -> tuple[sizes.Stage, ...]:
    """The blocks, once all that decides them has been looked at."""
    stages = sizes.generator_stages(family, resolution, channels)
    sizes.attention_stage(stages, attention)
    if image_channels < 1:
        raise ValueError(f"image_channels must be at least 1, got {image_channels}")
    if classes is not None and classes < 1:
        raise ValueError(f"classes must be at least 1 or null, got {classes}")
    if standing < 0:
        raise ValueError(f"standing must be at least 0, got {standing}")
    return stages


def _contract(parameters: dict[str, Any], family: sizes.Family, skip_z: sizes.SkipZ | None) -> Contract:
    names = ("resolution", "channels", "attention", "image_channels", "classes", "standing")
    stages = _stages(family, *(parameters[name] for name in names))
    if parameters.get("shared", 1) < 1:
        raise ValueError(f"shared must be at least 1, got {parameters['shared']}")
    resolution, classes = parameters["resolution"], parameters["classes"]
    return Contract(
        reads=frozenset({"latent"} if classes is None else {"latent", "label"}),
        shape=(parameters["image_channels"], resolution, resolution),
        latent=sizes.latent_size(parameters["latent"], len(stages), skip_z),
        latent_law="normal",
        classes=classes,
        because={"shape": "resolution", "latent": "latent", "classes": "classes", "reads": "classes"},
    )
