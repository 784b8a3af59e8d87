"""Progressive growing: how much each block counts, at which resolution, and the published schedule.

Progress p runs from 0 to blocks - 1. At a whole number n, blocks 1 to n + 1 are trained (stable); between n and n + 1
the next block is blended in (transition). Karras et al. 2018 (arXiv 1710.10196), with the weights of GANSynth's
released code.
``python -m gansemble_plugins.gansynth.growth --help`` writes a recipe's ``plan.phases``.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def generator_alpha(block: int, progress: float) -> float:
    """alpha_G(b) = max(0, min(p - (b - 2), b - p)): the weight of a block's image; the sum over blocks is 1."""
    return max(0.0, min(progress - (block - 2), block - progress))


def discriminator_alpha(block: int, progress: float) -> float:
    """alpha_D(b) = clip(b - p, 0, 1): how much a block reads of the image itself instead of the block above it."""
    return min(1.0, max(0.0, block - progress))


def settle(progress: float, blocks: int) -> float:
    """Progress within its bounds, as a float32: the number a checkpoint can hold, the same for all parts that grow."""
    return float(np.float32(min(max(progress, 0.0), blocks - 1.0)))


def current_block(progress: float) -> int:
    """The highest block that takes part."""
    return math.ceil(progress) + 1


def size(block: int, start: tuple[int, int]) -> tuple[int, int]:
    """The resolution of a block (frames, bins)."""
    return start[0] << (block - 1), start[1] << (block - 1)


def upscale(x: Tensor, factor: int) -> Tensor:
    """Each pixel of [B, C, L, F] as factor x factor pixels."""
    return x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="nearest")


def downscale(x: Tensor, factor: int) -> Tensor:
    """The means of factor x factor pixels of [B, C, L, F]."""
    return x if factor == 1 else F.avg_pool2d(x, factor)


def shrink(image: Tensor, progress: float, blocks: int) -> Tensor:
    """An image at the resolution of the current block, blended with the block below while that one takes part.

    Brought back to full resolution by repeating pixels, it is the published blend of full-resolution images: means of
    means are the means, and repeating a repetition is repeating.
    """
    top = current_block(progress)
    low = downscale(image, 2 ** (blocks - top))
    share = generator_alpha(top, progress)
    if share == 1:
        return low
    return share * low + (1 - share) * upscale(downscale(low, 2), 2)


def progress_at(images: int, *, blocks: int = 7, stable: int = 800_000, transition: int = 800_000) -> float:
    """Progress after a number of images.

    Args:
        images: seen so far.
        blocks: in all.
        stable, transition: images in each stage.
    """
    images = min(images, blocks * stable + (blocks - 1) * transition - 1)
    grown, rest = divmod(images, stable + transition)
    return grown + max(0.0, (rest - stable) / transition)


def phases(
    *,
    blocks: int = 7,
    stable: int = 800_000,
    transition: int = 800_000,
    total: int = 11_000_000,
    batch_size: int | Sequence[int] = 8,
) -> list[dict[str, Any]]:
    """A recipe's ``plan.phases``: stable and transition stages in turn, the last one up to the total.

    Args:
        blocks: of the networks; there are 2 * blocks - 1 stages.
        stable, transition: images in each stage of its sort.
        total: images in all.
        batch_size: of every stage, or one number for each block; stages of two blocks have the higher one's.

    Raises:
        ValueError: if a stage is no whole number of batches, or the total leaves none for the last one.
    """
    sizes = [batch_size] * blocks if isinstance(batch_size, int) else list(batch_size)
    if len(sizes) != blocks:
        raise ValueError(f"batch_size must be one number, or one for each of the {blocks} blocks, got {len(sizes)}")
    found = []
    for stage in range(2 * blocks - 1):
        first, last = stage // 2, (stage + 1) // 2
        images = transition if first < last else stable
        if stage == 2 * blocks - 2:
            images = total - first * (stable + transition)
        steps, rest = divmod(images, sizes[last])
        if steps < 1 or rest:
            raise ValueError(f"stage {stage} must be whole batches of {sizes[last]} images, got {images} images")
        stage_of = {"steps": steps, "batch_size": sizes[last], "progress": [float(first), float(last)]}
        found.append(stage_of | {"fresh_optimisers": True})  # the released code restores weights only
    return found


def written(plan: Sequence[Mapping[str, Any]]) -> str:
    """Phases as the YAML of a recipe's ``plan`` section, ``steps`` included."""
    lines = [
        f"    - {{steps: {phase['steps']}, batch_size: {phase['batch_size']}, progress: {phase['progress']}, "
        f"fresh_optimisers: true}}"
        for phase in plan
    ]
    return "\n".join(["plan:", f"  steps: {sum(phase['steps'] for phase in plan)}", "  phases:", *lines, ""])


class Growth(nn.Module):
    """How far a network has grown, as a buffer: checkpoints and averages of weights know it too.

    While training, a number of its own is read instead of the buffer, which an accelerator would have to be waited for.
    """

    reached: Tensor

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.blocks = blocks
        self._progress = blocks - 1.0
        self.register_buffer("reached", torch.tensor(self._progress))

    def set(self, progress: float) -> None:
        """Grows or shrinks to a progress."""
        self._progress = settle(progress, self.blocks)
        self.reached.fill_(self._progress)

    @property
    def progress(self) -> float:
        """From 0 to blocks - 1; an average of weights is read in eval mode, and has its buffer set from outside."""
        # An exported graph has no numbers to read, and a network that is exported has been loaded or set.
        known = self.training or torch.compiler.is_exporting()
        return self._progress if known else float(self.reached)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._progress = float(self.reached)


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Writes the plan.phases of a recipe that grows.")
    for name, default in (("blocks", 7), ("stable", 800_000), ("transition", 800_000), ("total", 11_000_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batch-size", type=int, nargs="+", default=[8], help="one number, or one for each block")
    given = vars(parser.parse_args(arguments))
    sizes = given.pop("batch_size")
    sys.stdout.write(written(phases(**given, batch_size=sizes[0] if len(sizes) == 1 else sizes)))


if __name__ == "__main__":
    _main()
