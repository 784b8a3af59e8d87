"""What the tasks' modules give the one driver of stage 4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gansemble.data.packed import Packed
from gansemble.evaluation.index import GeneratedClip
from gansemble.evaluation.references import references
from gansemble.inference.loading import TrainedGenerator
from gansemble.recipe.schema import Recipe
from gansemble.stages import Project


@dataclass(frozen=True)
class Work:
    """What clips are made with.

    Args:
        project: where the packed data are.
        recipe: the project's, whose ``synthesis`` section says which clips and how many.
        trained: the generator.
        say: a line for the user.
    """

    project: Project
    recipe: Recipe
    trained: TrainedGenerator
    say: Callable[[str], None]

    def references(self) -> Packed:
        """The real clips that are imitated: none that the generator was trained on."""
        return references(self.project, self.trained.history, self.recipe.synthesis.split, self.say)

    def count(self, packed: Packed) -> int:
        """How many of them."""
        clips = self.recipe.synthesis.clips
        return len(packed) if clips is None else min(clips, len(packed))


@dataclass(frozen=True)
class Generated:
    """One clip as it was made.

    Args:
        clip: what the index says of it; ``clipped`` is filled in when its file is written.
        audio: samples [T], or [C, T].
        baseline: name of the baseline that made it; empty for the generator.
    """

    clip: GeneratedClip
    audio: np.ndarray
    baseline: str = ""
