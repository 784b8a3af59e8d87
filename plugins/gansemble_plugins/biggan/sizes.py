"""How wide each block is, at which resolution it works, and how z is divided among the blocks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

Family = Literal["biggan", "modified"]
#: How z reaches the residual blocks: each its own chunk, each all of it, or none.
SkipZ = Literal["chunks", "full"]
#: Pixels on a side of what the generator's first layer makes.
FIRST = 4
#: Numbers of z for each slot, where no size of z is given.
CHUNK = 20

#: Channels before and behind each block, in multiples of ``channels``; SA-GAN has BigGAN's.
GENERATOR: dict[Family, dict[int, tuple[int, ...]]] = {
    "biggan": {
        32: (4, 4, 4, 4),
        64: (16, 16, 8, 4, 2),
        128: (16, 16, 8, 4, 2, 1),
        256: (16, 16, 8, 8, 4, 2, 1),
    },
    "modified": {
        64: (16, 8, 4, 2, 1),
        128: (16, 16, 8, 4, 2, 1),
        256: (16, 16, 8, 4, 4, 2, 1),
    },
}
#: Channels behind each block; the first reads the picture, and those past the first zero do not halve the resolution.
DISCRIMINATOR: dict[int, tuple[tuple[int, ...], int]] = {
    32: ((4, 4, 4, 4), 2),
    64: ((1, 2, 4, 8, 16), 4),
    128: ((1, 2, 4, 8, 16, 16), 5),
    256: ((1, 2, 4, 8, 8, 16, 16), 6),
}


@dataclass(frozen=True)
class ResidualStage:
    """A residual block.

    Args:
        inputs, outputs: channels; None before the discriminator's first is the picture's.
        resolution: pixels on a side behind it.
        rescales: whether it doubles (generator) or halves (discriminator) the resolution.
    """

    inputs: int | None
    outputs: int
    resolution: int
    rescales: bool = True


def generator_stages(family: Family, resolution: int, channels: int) -> tuple[ResidualStage, ...]:
    """The generator's blocks, from the first layer's 4 x 4 pixels to the picture.

    Raises:
        ValueError: if the family has no networks of that resolution, or has no channels.
    """
    widths = _known(GENERATOR[family], resolution, channels)
    return tuple(
        ResidualStage(before * channels, after * channels, FIRST * 2 ** (place + 1))
        for place, (before, after) in enumerate(itertools.pairwise(widths))
    )


def discriminator_stages(family: Family, resolution: int, channels: int) -> tuple[ResidualStage, ...]:
    """The discriminator's blocks; both families have the same ones.

    Raises:
        ValueError: if the family has no networks of that resolution, or has no channels.
    """
    _known(GENERATOR[family], resolution, channels)
    widths, halved = DISCRIMINATOR[resolution]
    inputs = (None, *(width * channels for width in widths))
    return tuple(
        ResidualStage(before, after * channels, resolution >> min(place + 1, halved), place < halved)
        for place, (before, after) in enumerate(zip(inputs, widths, strict=False))
    )


def _known(table: dict[int, tuple[int, ...]], resolution: int, channels: int) -> tuple[int, ...]:
    if resolution not in table:
        raise ValueError(f"resolution must be one of {', '.join(map(str, table))}, got {resolution}")
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels}")
    return table[resolution]


def attention_stage(stages: tuple[ResidualStage, ...], resolution: int | None) -> int | None:
    """The block that attention follows: the first that gives this resolution, or the largest there is where all are
    smaller; None where there is no attention.

    Raises:
        ValueError: if the resolution is none that a block gives.
    """
    if resolution is None:
        return None
    given = [stage.resolution for stage in stages]
    wanted = min(resolution, max(given))
    if wanted not in given:
        raise ValueError(
            f"attention must be null or one of {', '.join(map(str, sorted(set(given))))}, got {resolution}"
        )
    return given.index(wanted)


def check_counts(image_channels: int, classes: int | None) -> None:
    """Raises ValueError unless a picture can have so many channels, and labels so many classes."""
    if image_channels < 1:
        raise ValueError(f"image_channels must be at least 1, got {image_channels}")
    if classes is not None and classes < 1:
        raise ValueError(f"classes must be at least 1 or null, got {classes}")


def latent_size(latent: int | None, blocks: int, skip_z: SkipZ | None) -> int:
    """The size of z: as given, or 20 numbers for the first layer and each block.

    Raises:
        ValueError: if chunks are asked for and z does not divide into them.
    """
    slots = blocks + 1
    if latent is None:
        return CHUNK * slots
    if latent < 1:
        raise ValueError(f"latent must be at least 1 or null, got {latent}")
    if skip_z == "chunks" and latent % slots:
        below = latent // slots * slots
        sizes = f"{below} or {below + slots}" if below else f"{slots}"
        raise ValueError(
            f"latent must be a multiple of {slots}, one chunk for the first layer and each of {blocks} blocks, "
            f"got {latent}; {sizes} would do"
        )
    return latent


def chunk_size(latent: int, blocks: int, skip_z: SkipZ | None) -> int:
    """How much of z a block is told."""
    return {"chunks": latent // (blocks + 1), "full": latent, None: 0}[skip_z]
