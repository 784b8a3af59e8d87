"""Held-out clips of an experiment, which the page offers where the recipe's data are still there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gansemble.data.degraded import Degrader
from gansemble.data.packed import Packed
from gansemble.demo.recordings import Recording, quiet
from gansemble.errors import GansembleError
from gansemble.evaluation.references import references
from gansemble.inference.trained import TrainedGenerator
from gansemble.stages import Project

#: How many clips are offered.
OFFERED = 4


@dataclass(frozen=True)
class Examples:
    """Clips that the generator was not trained on.

    Args:
        packed: the held-out clips; None where there are none.
        places: of those that are offered.
        why_not: why there are none, as a sentence; empty where there are.
    """

    packed: Packed | None = None
    places: Sequence[int] = ()
    why_not: str = ""

    @classmethod
    def of(cls, exp: Path, trained: TrainedGenerator, say: Callable[[str], None]) -> Examples:
        """Those of an experiment, spread over its held-out clips. What is wrong with the data is said to who starts the page.

        Args:
            exp: the experiment's folder.
            trained: its generator, whose recipe says which split is held out, and with the history of its data.
            say: called with a line if clips are left out, or none can be had.
        """
        recipe = trained.recipe
        if recipe.synthesis.split == "train":
            return cls(why_not="No held-out clips are offered: its recipe holds none out.")
        try:
            project = Project.recall(exp.resolve())
            packed = references(project, trained.history, recipe.synthesis.split, say)
            packed = packed.originals()
            _demand_rate(packed, recipe.audio.sample_rate)
        except (GansembleError, OSError) as error:
            say(f"the page offers no held-out clips: {error}")
            return cls(why_not="No held-out clips are offered, as the recipe's data are not at hand.")
        step = max(1, len(packed) // OFFERED)
        return cls(packed, list(range(0, len(packed), step))[:OFFERED])

    @property
    def names(self) -> list[str]:
        """Of the clips that are offered."""
        return [self.packed.entries[place].id for place in self.places] if self.packed is not None else []

    def recording(self, number: int, longest: float) -> Recording:
        """One of them.

        Args:
            number: among those that are offered.
            longest: how much of it is taken, from its beginning [s].
        """
        assert self.packed is not None
        entry = self.packed.entries[self.places[number]]
        length = min(entry.frames, round(longest * entry.sample_rate))
        audio = self.packed.read(self.places[number], 0, length)[None]
        cut = [f"Only its first {longest:g} s of {entry.seconds:.1f} s were taken."] if length < entry.frames else []
        return Recording(entry.id, audio, [*cut, *quiet(audio)])

    def degraded(self, number: int, length: int, degrader: Degrader) -> np.ndarray:
        """One of them as training and evaluation degrade it, [1, T].

        Args:
            number: among those that are offered.
            length: of its beginning [samples].
            degrader: of the recipe.
        """
        assert self.packed is not None
        return degrader.crop(self.packed, self.places[number], 0, length, 0)[None]


def _demand_rate(packed: Packed, rate: int) -> None:
    found = packed.entries[0].sample_rate
    if found != rate:
        raise GansembleError(f"{packed.folder}: is at {found:,} Hz by now, and the generator works at {rate:,} Hz")
