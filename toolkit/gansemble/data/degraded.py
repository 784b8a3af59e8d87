"""Degraded versions of clips, which enhancement networks read: computed by a degradation, or recorded in the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansemble import random
from gansemble.errors import DataError, PartError
from gansemble.interfaces.at_work import AtWork, wrong

if TYPE_CHECKING:
    from gansemble.data.packed import Packed
    from gansemble.interfaces import Degradation


@dataclass(frozen=True)
class Degrader:
    """Gives the degraded version of a crop, as a pure function of (seed, epoch, clip).

    Args:
        degradation: computes it from the clean clip; None where the corpus has degraded recordings of its clips.
        seed: of the random numbers that the degradation draws.
    """

    degradation: Degradation | None
    seed: int

    def crop(self, packed: Packed, index: int, start: int, length: int, epoch: int) -> np.ndarray:
        """The degraded version of a stretch of one clip, aligned with the clean one sample by sample.

        The degradation is given ``margin`` more samples on both sides where the clip has them, which are cut off again,
        so that filters of that length see the real signal at the edges of the stretch.

        Args:
            packed: the clips of the split.
            index: of the clip in the split.
            start: first sample of the stretch [samples from the clip's beginning].
            length: of the stretch [samples].
            epoch: selects the random numbers, so that each epoch draws others.

        Returns:
            float32 [length], padded with zeros where the clip ends earlier.

        Raises:
            DataError: if there is no degradation and the corpus has no degraded recording of the clip.
            PartError: if the degradation fails, changes the length of what it is given, or makes NaN or Inf.
        """
        entry = packed.entries[index]
        if self.degradation is None:
            demand_partner(packed, index)
            return packed.read(index, start, length, degraded=True)
        first, last = max(0, start - self.margin), min(entry.frames, start + length + self.margin)
        made = self.degraded(packed.read(index, first, max(1, last - first)), index, epoch)
        # start - first samples at the front are margin: fewer than margin where the clip begins inside it.
        made = made[start - first : start - first + length]
        return made if len(made) == length else np.pad(made, (0, length - len(made)))

    @property
    def margin(self) -> int:
        """How many samples to either side the degradation depends on; 0 where the corpus has degraded recordings."""
        return 0 if self.degradation is None else int(self.degradation.margin)

    def degraded(self, clip: np.ndarray, index: int, epoch: int) -> np.ndarray:
        """What the degradation makes of some audio of a clip.

        Args:
            clip: the audio, such as a crop with ``margin`` samples to either side, float32 [T].
            index: of the clip in the split.
            epoch: selects the random numbers; every stretch of a clip gets the same draws in one epoch.

        Returns:
            float32 [T].

        Raises:
            PartError: if the degradation fails, changes the length, or makes NaN or Inf.
        """
        assert self.degradation is not None
        rng = np.random.default_rng(random.key(self.seed, epoch, index, "degradation"))
        who = f"degradation ({type(self.degradation).__name__}), at clip {index} in epoch {epoch},"
        with AtWork(who):
            made = np.asarray(self.degradation(clip, rng), np.float32)
        if made.shape != clip.shape:
            raise wrong(who, f"as many samples as it is given, [{len(clip)}]", made)
        if not np.isfinite(made).all():
            raise PartError(f"{who} makes NaN or Inf; change its parameters, or tell its author")
        return made


def demand_partner(packed: Packed, index: int) -> None:
    """Checks that a clip was packed with the degraded recording that the corpus has of it.

    Raises:
        DataError: if it was not.
    """
    entry = packed.entries[index]
    if entry.partner is None:
        raise DataError(f"{packed.folder}: {entry.id} was packed without a degraded recording; prepare again")
