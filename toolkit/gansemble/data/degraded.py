"""The degraded version of a clip: what a degradation makes of it, or a recording that the corpus has of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansemble import random
from gansemble.errors import DataError

if TYPE_CHECKING:
    from gansemble.data.packed import Packed
    from gansemble.interfaces import Degradation


@dataclass(frozen=True)
class Degrader:
    """Gives crops of degraded clips, each a pure function of (seed, epoch, clip).

    Args:
        degradation: the part, or None where the corpus has degraded recordings.
        seed: of what it draws.
    """

    degradation: Degradation | None
    seed: int

    def crop(self, packed: Packed, index: int, start: int, length: int, epoch: int) -> np.ndarray:
        """float32 [length] of clip ``index`` from ``start``, zeros where the clip has ended, as :meth:`Packed.read`.

        Raises:
            DataError: if there is no degradation and the corpus has no degraded recording of the clip.
            ValueError: if the degradation gives another length than it was given.
        """
        entry = packed.entries[index]
        if self.degradation is None:
            if entry.partner is None:
                raise DataError(f"{packed.folder}: {entry.id} was packed without a degraded recording; prepare again")
            return packed.read(index, start, length, degraded=True)
        margin = int(self.degradation.margin)
        first, last = max(0, start - margin), min(entry.frames, start + length + margin)
        clip = packed.read(index, first, max(1, last - first))
        # Whatever part of the clip is asked for, the draws are the clip's.
        rng = np.random.default_rng(random.key(self.seed, epoch, index, "degradation"))
        made = np.asarray(self.degradation(clip, rng), np.float32)
        if made.shape != clip.shape:
            raise ValueError(f"a degradation must keep the length: gave {list(made.shape)} of {list(clip.shape)}")
        made = made[start - first : start - first + length]
        return made if len(made) == length else np.pad(made, (0, length - len(made)))
