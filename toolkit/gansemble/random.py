"""Random numbers that depend on (seed, epoch, item, stream) alone.

They are the same for any number of data-loading workers and processes, and after a run was resumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def key(*parts: int | str) -> int:
    """A 63-bit seed, hashed from a sequence of numbers and names; the same on every machine and Python version."""
    text = "/".join(str(part) for part in parts)
    # 63 bits: a non-negative number in the signed 64 bits of a torch seed.
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch random generator seeded with :func:`key` of ``parts``, on ``device``."""
    return torch.Generator(device=device).manual_seed(key(*parts))


class Draws:
    """Random tensors for the items of a batch, each item's drawn from a generator of its own.

    Two processes with half a batch each draw what one process draws for the whole, and a resumed run draws what an
    uninterrupted one would have drawn. Numbers are drawn on the CPU, so that they are the same on a GPU.

    Args:
        seed: the run's seed.
        items: what identifies each item of the batch, (epoch, clip index).
        device: where the tensors are put.

    Shape:
        - output of all draws: [B, ...], B = number of items

    Example::

        draws = Draws(1234, [(0, 7), (0, 3)])  # clips 7 and 3 of epoch 0
        draws.normal("latent", 100).shape  # torch.Size([2, 100])
    """

    def __init__(self, seed: int, items: Sequence[tuple[int, int]], device: torch.device | str = "cpu") -> None:
        self.seed = seed
        self.items = list(items)
        self.device = torch.device(device)

    @classmethod
    def plain(cls, seed: int, count: int, device: torch.device | str = "cpu") -> Draws:
        """Draws for ``count`` items outside training, identified by their index."""
        return cls(seed, [(0, index) for index in range(count)], device)

    def __len__(self) -> int:
        return len(self.items)

    def select(self, rows: Sequence[int]) -> Draws:
        """The draws of some items of the batch, which get the same numbers as in the whole batch.

        Args:
            rows: places of the items in the batch.
        """
        return Draws(self.seed, [self.items[row] for row in rows], self.device)

    def normal(self, stream: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal numbers [B, *shape].

        Args:
            stream: names the use; each name gives an independent draw, and the same name the same numbers again.
            *shape: of each item.
            dtype: of the numbers.
        """
        rows = [torch.randn(shape, generator=self._generator(stream, item), dtype=dtype) for item in self.items]
        return torch.stack(rows).to(self.device, non_blocking=True)

    def uniform(self, stream: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers [B, *shape] that are uniform in [0, 1).

        Args:
            stream: names the use, as in :meth:`normal`.
            *shape: of each item.
            dtype: of the numbers.
        """
        rows = [torch.rand(shape, generator=self._generator(stream, item), dtype=dtype) for item in self.items]
        return torch.stack(rows).to(self.device, non_blocking=True)

    def integers(self, stream: str, high: int) -> Tensor:
        """Integers [B] that are uniform in [0, ``high``).

        Args:
            stream: names the use, as in :meth:`normal`.
            high: upper bound, not included.
        """
        # The remainder favours small numbers by at most high / 2^63, which is nothing.
        return torch.tensor([key(self.seed, *item, stream) % high for item in self.items], device=self.device)

    def _generator(self, stream: str, item: tuple[int, int]) -> torch.Generator:
        return generator(self.seed, *item, stream)
