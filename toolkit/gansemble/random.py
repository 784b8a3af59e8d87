"""Random numbers keyed on (seed, epoch, item, stream): the same whatever the workers, processes or resumes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def key(*parts: int | str) -> int:
    """A 63-bit seed from a sequence of numbers and names; equal on every machine and Python version."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator seeded by ``key(*parts)``."""
    return torch.Generator(device=device).manual_seed(key(*parts))


class Draws:
    """Random tensors of a batch, each item's drawn from its own generator.

    Two processes with half a batch each draw what one process draws for the whole, and a resumed run draws what the
    uninterrupted one drew. Drawn on the CPU, so that a GPU run sees the numbers a CPU run sees.

    Args:
        seed: the run's seed.
        items: for each item of the batch, what identifies it: (epoch, index).
        device: where the tensors are put.
    """

    def __init__(self, seed: int, items: Sequence[tuple[int, int]], device: torch.device | str = "cpu") -> None:
        self.seed = seed
        self.items = list(items)
        self.device = torch.device(device)

    @classmethod
    def plain(cls, seed: int, count: int, device: torch.device | str = "cpu") -> Draws:
        """Draws for ``count`` items outside training."""
        return cls(seed, [(0, index) for index in range(count)], device)

    def __len__(self) -> int:
        return len(self.items)

    def select(self, rows: Sequence[int]) -> Draws:
        """The draws of some items of the batch: the numbers they have in the whole."""
        return Draws(self.seed, [self.items[row] for row in rows], self.device)

    def normal(self, stream: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal numbers [B, *shape]. ``stream`` separates uses: each name is an independent draw."""
        rows = [torch.randn(shape, generator=self._generator(stream, item), dtype=dtype) for item in self.items]
        return torch.stack(rows).to(self.device, non_blocking=True)

    def uniform(self, stream: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers uniform in [0, 1), [B, *shape]."""
        rows = [torch.rand(shape, generator=self._generator(stream, item), dtype=dtype) for item in self.items]
        return torch.stack(rows).to(self.device, non_blocking=True)

    def integers(self, stream: str, high: int) -> Tensor:
        """Integers uniform in [0, high), [B]."""
        return torch.tensor([key(self.seed, *item, stream) % high for item in self.items], device=self.device)

    def _generator(self, stream: str, item: tuple[int, int]) -> torch.Generator:
        return generator(self.seed, *item, stream)
