"""What the driver of the synthesise stage gives the module of a task, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from gansemble.data.packed import Packed
from gansemble.errors import fault_of, of_all_files
from gansemble.evaluation.index import GeneratedClip
from gansemble.evaluation.references import references
from gansemble.inference.trained import TrainedGenerator
from gansemble.recipe.schema import Recipe
from gansemble.stages import Project

T = TypeVar("T")


@dataclass(frozen=True)
class Work:
    """Everything that the module of a task needs to make clips.

    Args:
        project: the experiment, with the place of the packed data.
        recipe: the project's recipe, whose ``synthesis`` section says which clips are made and how many.
        trained: the generator from the checkpoint, with its representation.
        say: called with each line for the user.
        failed: ids of the clips that could not be made, which are added here.
    """

    project: Project
    recipe: Recipe
    trained: TrainedGenerator
    say: Callable[[str], None]
    failed: list[str] = field(default_factory=list)

    def attempt(self, identity: str, make: Callable[[], T]) -> T | None:
        """Does one clip's part of the work.

        Whatever exception it raises is that clip's fault, told in one line, and the other clips are made; but for errors that
        every other clip would meet as well, such as a full disk.

        Args:
            identity: the clip's id.
            make: does the work.

        Returns:
            What it gave; None if it failed.
        """
        try:
            return make()
        except Exception as error:
            if of_all_files(error) is not None:
                raise
            if identity not in self.failed:
                self.failed.append(identity)
            self.say(f"error: {fault_of(identity, error)}")
            return None

    def references(self) -> Packed:
        """The real clips to imitate: those of ``synthesis.split`` that the generator was not trained on."""
        return references(self.project, self.trained.history, self.recipe.synthesis.split, self.say)

    def count(self, packed: Packed) -> int:
        """How many of the packed clips to use: ``synthesis.clips``, but no more than there are; all if it is null."""
        clips = self.recipe.synthesis.clips
        return len(packed) if clips is None else min(clips, len(packed))


@dataclass(frozen=True)
class Generated:
    """One generated clip, before it is written to a file.

    Args:
        clip: its entry in the index; ``clipped`` is filled in when the file is written.
        audio: samples [T], or [C, T] with C channels.
        baseline: name of the baseline that made it; empty for the trained generator.
        again: makes it once more, to measure how long that takes; None where it cannot be.
    """

    clip: GeneratedClip
    audio: np.ndarray
    baseline: str = ""
    again: Callable[[], object] | None = None
