"""Clips that are read when they are asked for, so that a metric of sets of them needs room for one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

import numpy as np


class LazyClips(Sequence[np.ndarray]):
    """A sequence of signals [T], each read anew whenever it is asked for.

    Args:
        readers: a function for each clip.
    """

    def __init__(self, readers: Sequence[Callable[[], np.ndarray]]) -> None:
        self.readers = readers

    def __len__(self) -> int:
        return len(self.readers)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> LazyClips: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | LazyClips:
        return LazyClips(self.readers[index]) if isinstance(index, slice) else self.readers[index]()
