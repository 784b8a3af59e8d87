"""What a clip's label is to a recipe's networks: an index from 0, of a class or of a pitch within a range."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gansemble.contract import NetworkContract
from gansemble.data.manifest import ManifestEntry

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gansemble.data.packed import Packed
    from gansemble.recipe.schema import Recipe


@dataclass(frozen=True)
class Labels:
    """Reads a clip's label.

    Args:
        lowest: where labels are pitches, the one that is index 0 [MIDI number]; None where they are classes.
    """

    lowest: int | None = None

    @classmethod
    def of(cls, recipe: Recipe) -> Labels:
        """Pitches where a network of the recipe is built for a range of them, else classes."""
        from gansemble.recipe.contract import contract_of

        contracts = [contract_of(part, recipe) for part in recipe.parts()]
        ranges = [each.pitches for each in contracts if isinstance(each, NetworkContract) and each.pitches]
        return cls(ranges[0][0] if ranges else None)

    def __call__(self, entry: ManifestEntry) -> int | None:
        """The index, or None for a clip without one."""
        if self.lowest is None:
            found = entry.labels.get("label")
            return found if isinstance(found, int) else None
        pitch = entry.labels.get("pitch")
        return pitch - self.lowest if isinstance(pitch, int) else None


@dataclass(frozen=True)
class LabelledClips:
    """A split as a set of labelled clips of one length: what is measured, and what generated clips are held against.

    What augmentations made of its clips is left out by :meth:`of`: representations and classifiers are measured on
    recordings, so that an experiment with augmentations and one without have the same scale and the same judge, and
    scores of real clips are those of recordings.

    Cut as the recipe's training crops are: where these begin at a clip's start, so does its only segment here, and where
    they begin anywhere, each whole segment of a long clip counts. A clip that is shorter is padded with zeros.

    Args:
        packed: the clips.
        labels: reads a clip's label.
        length: of every segment [samples].
        sample_rate: [Hz].
        crop: where training crops begin, as in the recipe's plan: ``start`` or ``random``.
    """

    packed: Packed
    labels: Labels
    length: int
    sample_rate: int
    crop: str = "start"

    @classmethod
    def of(cls, recipe: Recipe, packed: Packed, variants: bool = False) -> LabelledClips:
        """As a recipe trains on it; with the ``variants`` that augmentations made for who asks for what the networks see."""
        return cls(
            packed if variants else packed.originals(),
            Labels.of(recipe),
            recipe.plan.segment,
            recipe.audio.sample_rate,
            recipe.plan.crop,
        )

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """(clip, first sample) of each segment."""
        frames = (entry.frames if self.crop == "random" else 0 for entry in self.packed.entries)
        return [
            (clip, start)
            for clip, length in enumerate(frames)
            for start in range(0, max(1, length - self.length + 1), self.length)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int | None]:
        """(audio float32 [length], label) of a segment; IndexError past the last ends a loop."""
        if not 0 <= index < len(self.places):
            raise IndexError(index)
        return self.audio(index), self.label(index)

    def audio(self, index: int) -> np.ndarray:
        """float32 [length] of a segment."""
        clip, start = self.places[index]
        return self.packed.read(clip, start, self.length)

    def label(self, index: int) -> int | None:
        """Of the clip it is cut from."""
        return self.labels(self.packed.entries[self.places[index][0]])

    def name(self, index: int) -> str:
        """The clip's id, and where in it a later segment begins."""
        clip, start = self.places[index]
        return self.packed.entries[clip].id + (f" at {start / self.sample_rate:.1f} s" if start else "")

    def identity(self) -> list[list[str | float | None]]:
        """[SHA-256 of the clip, first sample] of each segment, and the level clips are scaled to at the end."""
        rows: list[list[str | float | None]] = [
            [self.packed.entries[clip].sha256, start] for clip, start in self.places
        ]
        return [*rows, [self.packed.normalise]]


def prior(packed: Packed, labels: Labels) -> Tensor | None:
    """The labels of a split's clips, where all of them have one."""
    import torch

    found = [labels(entry) for entry in packed.entries]
    return torch.tensor(found) if all(label is not None for label in found) else None
