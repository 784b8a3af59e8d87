"""The generators: what each is told, and how z and the class reach its blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from torch import Tensor, nn

from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Classes, Rounds
from gansemble_plugins.biggan import sizes
from gansemble_plugins.biggan.layers import Initialisation, Style, check_label
from gansemble_plugins.biggan.norms import BatchStatistics, PlainNorm, class_norm, take_standing_statistics
from gansemble_plugins.biggan.painter import BlockConditions, Painter, latent_of


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
        resolution: Channels = 128,
        channels: Channels = 64,
        image_channels: Channels = 1,
        latent: Channels = 128,
        classes: Classes | None = None,
        attention: Channels | None = 32,
        spectral_norm: bool = True,
        initialisation: Initialisation = "xavier",
        standing: Rounds = 0,
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
        z = latent_of(condition, self.latent, "sagan")
        label = None
        if self.classes is not None:
            label = check_label(condition.label, self.classes, z.shape[0], "sagan", self.training)
        return self.painter(z, [label] * len(self.painter.blocks))

    def standing_statistics(self, conditions: Iterator[Condition]) -> None:
        """Takes the batch statistics that it samples with."""
        take_standing_statistics(self, conditions, self.standing_passes)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
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
        resolution: Channels = 128,
        channels: Channels = 96,
        image_channels: Channels = 1,
        latent: Channels | None = None,
        classes: Classes | None = None,
        shared: Channels = 128,
        attention: Channels | None = 64,
        spectral_norm: bool = True,
        initialisation: Initialisation = "orthogonal",
        standing: Rounds = 16,
        batch_norm: BatchStatistics = "synchronised",
    ) -> None:
        super().__init__()
        stages = _stages("biggan", resolution, channels, attention, image_channels, classes, standing)
        style = Style(spectral_norm, initialisation)
        self.standing_passes = standing
        self.block_conditions = BlockConditions(len(stages), latent, classes, shared, "chunks", "z", style)
        self.painter = self.block_conditions.painter(stages, image_channels, batch_norm, style, attention)

    def forward(self, condition: Condition) -> Tensor:
        return self.painter(*self.block_conditions(condition, "biggan"))

    def standing_statistics(self, conditions: Iterator[Condition]) -> None:
        """Takes the batch statistics that it samples with."""
        take_standing_statistics(self, conditions, self.standing_passes)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
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
        resolution: Channels = 128,
        channels: Channels = 96,
        image_channels: Channels = 1,
        latent: Channels | None = None,
        classes: Classes | None = None,
        shared: Channels = 128,
        skip_z: sizes.SkipZ | None = "chunks",
        linear_in: Literal["z", "z+c"] = "z+c",
        attention: Channels | None = 64,
        spectral_norm: bool = False,
        initialisation: Initialisation = "orthogonal",
        standing: Rounds = 16,
        batch_norm: BatchStatistics = "synchronised",
    ) -> None:
        super().__init__()
        stages = _stages("modified", resolution, channels, attention, image_channels, classes, standing)
        style = Style(spectral_norm, initialisation)
        self.standing_passes = standing
        self.block_conditions = BlockConditions(len(stages), latent, classes, shared, skip_z, linear_in, style)
        self.painter = self.block_conditions.painter(stages, image_channels, batch_norm, style, attention)

    def forward(self, condition: Condition) -> Tensor:
        return self.painter(*self.block_conditions(condition, "modified_biggan"))

    def standing_statistics(self, conditions: Iterator[Condition]) -> None:
        """Takes the batch statistics that it samples with."""
        take_standing_statistics(self, conditions, self.standing_passes)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a normal latent vector, and labels where it has classes; makes pictures of one size."""
        return _contract(parameters, "modified", parameters["skip_z"])


def _stages(
    family: sizes.Family,
    resolution: int,
    channels: int,
    attention: int | None,
    image_channels: int,
    classes: int | None,
    standing: int,
) -> tuple[sizes.ResidualStage, ...]:
    """The blocks, once all that decides them has been looked at."""
    stages = sizes.generator_stages(family, resolution, channels)
    sizes.attention_stage(stages, attention)
    sizes.check_counts(image_channels, classes)
    if standing < 0:
        raise ValueError(f"standing must be at least 0, got {standing}")
    return stages


def _contract(parameters: dict[str, Any], family: sizes.Family, skip_z: sizes.SkipZ | None) -> GeneratorContract:
    names = ("resolution", "channels", "attention", "image_channels", "classes", "standing")
    stages = _stages(family, *(parameters[name] for name in names))
    if parameters.get("shared", 1) < 1:
        raise ValueError(f"shared must be at least 1, got {parameters['shared']}")
    resolution, classes = parameters["resolution"], parameters["classes"]
    return GeneratorContract(
        reads=frozenset({"latent"} if classes is None else {"latent", "label"}),
        shape=(parameters["image_channels"], resolution, resolution),
        latent=sizes.latent_size(parameters["latent"], len(stages), skip_z),
        latent_law="normal",
        classes=classes,
        because={"shape": "resolution", "latent": "latent", "classes": "classes", "reads": "classes"},
    )
