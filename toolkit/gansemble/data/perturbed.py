"""Training crops that are changed before anything is computed of them, anew in each epoch.

What a crop goes through depends on the seed, the epoch, the clip and the perturbations' names alone, so that neither the
number of data-loading workers nor a resumed run changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansemble import random
from gansemble.abilities import Stretching
from gansemble.data.degraded import demand_partner
from gansemble.errors import DataError

if TYPE_CHECKING:
    from gansemble.data.packed import Packed
    from gansemble.interfaces import Perturbation


@dataclass(frozen=True)
class Chance:
    """A perturbation, and how likely a crop goes through it.

    Args:
        part: the perturbation.
        probability: from 0 to 1.
    """

    part: Perturbation
    probability: float = 1.0


@dataclass(frozen=True)
class Perturber:
    """The perturbations of a recipe.

    Args:
        parts: by their names in the recipe, in the order in which they are applied.
        seed: of all random numbers.
    """

    parts: Mapping[str, Chance]
    seed: int

    def change(self, packed: Packed, index: int, epoch: int) -> Change | None:
        """What the crop of one clip goes through in one epoch; None if it is left as it is.

        Args:
            packed: the clips of the split.
            index: of the clip in the split.
            epoch: selects the random numbers.
        """
        chosen = tuple((name, each.part) for name, each in self.parts.items() if self._drawn(name, index, epoch))
        return Change(packed, index, epoch, self.seed, chosen) if chosen else None

    def _drawn(self, name: str, index: int, epoch: int) -> bool:
        # The upper 53 bits of the key, which a float holds exactly: below 1, so that a probability of 1 is always.
        drawn = (random.key(self.seed, epoch, index, f"perturbations.{name}.probability") >> 10) / 2**53
        return drawn < self.parts[name].probability


@dataclass(frozen=True)
class Change:
    """The perturbations that the crop of one clip goes through in one epoch.

    Args:
        packed: the clips of the split.
        index: of the clip in the split.
        epoch, seed: key the random numbers.
        parts: (name in the recipe, perturbation), in the order in which they are applied; at least one.
    """

    packed: Packed
    index: int
    epoch: int
    seed: int
    parts: tuple[tuple[str, Perturbation], ...]

    def reads(self, length: int) -> int:
        """How many samples of the recording, without margins, become ``length`` samples.

        Raises:
            DataError: if a perturbation says something else than a number of samples.
        """
        for name, part in reversed(self.parts):
            length = self._reads(name, part, length)
        return length

    def crop(self, start: int, length: int, around: int = 0, *, degraded: bool = False) -> np.ndarray:
        """The perturbed version of the recording from sample ``start`` on.

        Each perturbation is given its ``margin`` more samples on both sides, which those before it have made of the
        recording around the crop; beyond the ends of the recording are zeros. Where a perturbation changes the speed,
        the crop's first sample stays that at ``start``, to a sample.

        Args:
            start: where the crop begins in the clip [samples].
            length: of the crop [samples].
            around: how many samples more to make on both sides [samples].
            degraded: of the degraded recording that belongs to the clip, with the same draws.

        Returns:
            float32 [around + length + around].

        Raises:
            DataError: naming the perturbation and the clip, if a perturbation fails, returns fewer samples than
                it was asked for or no float array [T], or makes NaN or Inf; or if the clip has no degraded recording.
        """
        if degraded:
            demand_partner(self.packed, self.index)
        return self._made(len(self.parts), start, around, length + 2 * around, degraded)

    def _made(self, count: int, start: int, before: int, length: int, degraded: bool) -> np.ndarray:
        """What the first ``count`` perturbations make: ``length`` samples, of which ``before`` lie before ``start``."""
        if count == 0:
            return self._read(start - before, length, degraded)
        name, part = self.parts[count - 1]
        margin = self._margin(name, part)
        needed = self._reads(name, part, length)
        ahead = self._reads(name, part, before) if before else 0
        audio = self._made(count - 1, start, margin + ahead, margin + needed + margin, degraded)
        return self._called(name, part, audio, length)

    def _read(self, first: int, length: int, degraded: bool) -> np.ndarray:
        """A stretch of the recording from sample ``first``, which may be negative; zeros beyond both ends."""
        head = min(length, max(0, -first))
        audio = self.packed.read(self.index, max(0, first), length - head, degraded=degraded)
        return np.pad(audio, (head, 0)) if head else audio

    def _called(self, name: str, part: Perturbation, audio: np.ndarray, length: int) -> np.ndarray:
        try:
            made = part(audio, self._rng(name))
        except Exception as error:
            raise self._failed(name, part, error) from error
        if not isinstance(made, np.ndarray) or made.ndim != 1 or not np.issubdtype(made.dtype, np.floating):
            got = f"{made.dtype} {list(made.shape)}" if isinstance(made, np.ndarray) else type(made).__name__
            raise DataError(f"{self._who(name, part)} must return a float array [T], got {got}; tell its author")
        if len(made) < length:
            raise DataError(
                f"{self._who(name, part)} must return at least {length} samples of the {len(audio)} that it was given with its "
                f"margins, got {len(made)}; tell its author"
            )
        made = np.array(made[:length], np.float32)  # a copy: the part may write into its own array at the next call
        if not np.isfinite(made).all():
            raise DataError(f"{self._who(name, part)} makes NaN or Inf; change its parameters, or take it out")
        return made

    def _reads(self, name: str, part: Perturbation, length: int) -> int:
        if not isinstance(part, Stretching):
            return length
        try:
            count = part.reads(length, self._rng(name))
        except Exception as error:
            raise self._failed(name, part, error) from error
        if not isinstance(count, int | np.integer) or count < 0:
            raise DataError(
                f"{self._who(name, part)} must say by reads({length}) how many samples it reads, got {count!r}; tell its author"
            )
        return int(count)

    def _margin(self, name: str, part: Perturbation) -> int:
        margin = getattr(part, "margin", None)
        if not isinstance(margin, int | np.integer) or margin < 0:
            raise DataError(
                f"{self._who(name, part)} must have a margin that is a number of samples, got {margin!r}; tell its author"
            )
        return int(margin)

    def _rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng(random.key(self.seed, self.epoch, self.index, f"perturbations.{name}"))

    def _failed(self, name: str, part: Perturbation, error: Exception) -> DataError:
        said = f"{type(error).__name__}: {error}"
        return DataError(
            f"{self._who(name, part)} fails ({said}); change its parameters, take it out, or tell its author"
        )

    def _who(self, name: str, part: Perturbation) -> str:
        clip = self.packed.entries[self.index].id
        return f"perturbations.{name} ({type(part).__name__}), at clip {clip} in epoch {self.epoch},"
