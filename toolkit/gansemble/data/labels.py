"""Labels as class-conditional networks need them: integers from 0.

An index stands for a class, or for a pitch in the range that a network is built for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gansemble.contract import NetworkContract
from gansemble.data.index import Entries
from gansemble.data.manifest import Manifest, ManifestEntry
from gansemble.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gansemble.data.packed import Packed
    from gansemble.recipe.schema import Recipe


@dataclass(frozen=True)
class Labels:
    """Reads the label index of a clip from its manifest entry.

    Args:
        lowest: for networks conditioned on pitch, the pitch that has index 0 [MIDI note number]; None for networks
            conditioned on classes.
        key: of the label that stands for the class, such as ``speaker``.
        names: of the classes, in the order of their indices; None where labels in the manifest are indices already.
    """

    lowest: int | None = None
    key: str = "label"
    names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, recipe: Recipe, manifest: Manifest | None = None) -> Labels:
        """Reads pitches if a network of the recipe declares the range of pitches that it is built for, else classes.

        Args:
            recipe: says which label.
            manifest: of the packed data, whose names are counted over all splits; without it names are not known.

        Raises:
            DataError: if the label is a name of some clips and a number of others.
        """
        from gansemble.recipe.contract import contract_of

        contracts = [contract_of(part, recipe.supplied()) for part in recipe.parts()]
        ranges = [each.pitches for each in contracts if isinstance(each, NetworkContract) and each.pitches]
        if ranges or manifest is None:
            return cls(ranges[0][0] if ranges else None, recipe.data.label)
        return cls(None, recipe.data.label, _names(recipe.data.label, manifest))

    def __call__(self, entry: ManifestEntry) -> int | None:
        """The label index of a clip; None where the clip has no such label."""
        return self._index(entry.labels.get(self.key if self.lowest is None else "pitch"))

    def all_of(self, entries: Sequence[ManifestEntry]) -> list[int | None]:
        """The label index of each of some clips, found label by label rather than clip by clip where there is a manifest's index."""
        if not isinstance(entries, Entries):
            return [self(entry) for entry in entries]
        key = self.key if self.lowest is None else "pitch"
        numbers, values = entries.label(key)
        # The last one is for clips without the label, whose number is -1.
        found = [self._index(value) for value in values] + [None]
        return [found[number] for number in numbers.tolist()]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The index of each class by its name."""
        return {name: number for number, name in enumerate(self.names or ())}

    def _index(self, label: object) -> int | None:
        """The index of a label; None where it stands for no class or pitch."""
        if self.lowest is not None:
            return label - self.lowest if isinstance(label, int) else None
        if isinstance(label, str):
            return self._numbers.get(label)
        return label if isinstance(label, int) else None

    def shown(self, index: int) -> str:
        """An index as people call it: the class' name where it has one, or the pitch."""
        if self.names is not None:
            return self.names[index]
        return str(index + (self.lowest or 0))


def _names(key: str, manifest: Manifest) -> tuple[str, ...] | None:
    found = manifest.clips.label(key)[1]
    names = {label for label in found if isinstance(label, str)}
    if names and len(names) < len(found):
        number = next(label for label in found if not isinstance(label, str))
        raise DataError(
            f"data.label: {key} is a name of some clips, such as {min(names)!r}, and a number of others, such as {number}; "
            "let the corpus give all clips one or the other"
        )
    return tuple(sorted(names)) or None


@dataclass(frozen=True)
class LabelledClips:
    """A split as a fixed sequence of labelled segments of one length, without randomness.

    Representations and classifiers are fitted to these segments, and generated clips are scored against them. For that
    reason :meth:`of` leaves out the variants that augmentations made: an experiment with augmentations and one without
    are then normalised and scored in the same way, and the scores of real clips are those of recordings.

    Which segments a clip yields follows from where training crops begin. With ``start`` it is one, from the clip's
    first sample; with ``random`` it is as many whole segments as fit into the clip, one after the other. A clip that is
    shorter than a segment is padded with zeros.

    Args:
        packed: the clips.
        labels: reads the label of a clip.
        length: of every segment [samples].
        sample_rate: [Hz].
        crop: where training crops begin, as in the recipe's plan: ``start`` or ``random``.

    Shape:
        - output: (audio [T], label index or None), with T = ``length`` samples
    """

    packed: Packed
    labels: Labels
    length: int
    sample_rate: int
    crop: str = "start"

    @classmethod
    def of(cls, recipe: Recipe, packed: Packed, variants: bool = False) -> LabelledClips:
        """The segments of a split, cut as the recipe's training cuts it.

        Args:
            recipe: gives length, sample rate, and where crops begin.
            packed: the clips of the split.
            variants: keep the variants that augmentations made, for callers that need everything the networks are
                trained on.
        """
        return cls(
            packed if variants else packed.originals(),
            Labels.of(recipe, packed.manifest),
            recipe.plan.segment,
            recipe.audio.sample_rate,
            recipe.plan.crop,
        )

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """(index of the clip in the split, first sample in the clip) of each segment."""
        entries = self.packed.entries
        if self.crop != "random":
            frames: Iterable[int] = (0 for _ in range(len(entries)))
        elif isinstance(entries, Entries):
            frames = entries.column("frames").tolist()
        else:
            frames = (entry.frames for entry in entries)
        return [
            (clip, start)
            for clip, length in enumerate(frames)
            # length - self.length + 1 starts leave a whole segment; max(1, …) keeps one, padded, of a shorter clip.
            for start in range(0, max(1, length - self.length + 1), self.length)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int | None]:
        """(audio float32 [T], label) of a segment.

        Raises:
            IndexError: past the last segment, which ends a ``for`` loop over this object.
        """
        if not 0 <= index < len(self.places):
            raise IndexError(index)
        return self.audio(index), self.label(index)

    def audio(self, index: int) -> np.ndarray:
        """Samples of a segment, float32 [T]."""
        clip, start = self.places[index]
        return self.packed.read(clip, start, self.length)

    def label(self, index: int) -> int | None:
        """Label index of the clip that a segment is cut from; None where it has none."""
        return self.labels(self.packed.entries[self.places[index][0]])

    def name(self, index: int) -> str:
        """Name for display: the clip's id, with the time at which the segment begins [s] unless that is 0."""
        clip, start = self.places[index]
        return self.packed.entries[clip].id + (f" at {start / self.sample_rate:.1f} s" if start else "")

    def identity(self) -> list[list[str | float | None]]:
        """What identifies the segments, for caching results that are computed from them.

        Returns:
            [SHA-256 of the clip's samples, first sample] of each segment, then [peak that clips are scaled to, or
            None].
        """
        rows: list[list[str | float | None]] = [
            [self.packed.entries[clip].sha256, start] for clip, start in self.places
        ]
        return [*rows, [self.packed.normalise]]


def prior(packed: Packed, labels: Labels) -> Tensor | None:
    """The label indices of a split's clips, int64 [number of clips]; None unless every clip has one.

    Drawing from these gives labels as often as the split has them.
    """
    import torch

    found = labels.all_of(packed.entries)
    return torch.tensor(found) if all(label is not None for label in found) else None
