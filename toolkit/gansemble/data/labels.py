"""What a clip's label is to a recipe's networks: an index from 0, of a class or of a pitch within a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gansemble.data.manifest import Entry

if TYPE_CHECKING:
    import numpy as np

    from gansemble.data.segments import Packed
    from gansemble.recipe.check import Recipe


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
        from gansemble.recipe.contracts import contract_of

        networks = [part for part in recipe.parts() if part.kind in ("generator", "discriminator")]
        ranges = [contract.pitches for contract in (contract_of(part, recipe) for part in networks) if contract.pitches]
        return cls(ranges[0][0] if ranges else None)

    def __call__(self, entry: Entry) -> int | None:
        """The index, or None for a clip without one."""
        if self.lowest is None:
            found = entry.labels.get("label")
            return found if isinstance(found, int) else None
        pitch = entry.labels.get("pitch")
        return pitch - self.lowest if isinstance(pitch, int) else None


@dataclass(frozen=True)
class LabelledClips:
    """The clips of a split as metrics that learn see them: each from its start, cut or padded to one length.

    Args:
        packed: the clips.
        labels: reads a clip's label.
        length: of every clip [samples].
        sample_rate: [Hz].
    """

    packed: Packed
    labels: Labels
    length: int
    sample_rate: int

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int | None]:
        """(audio float32 [length], label) of a clip; IndexError past the last ends a loop."""
        if not 0 <= index < len(self.packed):
            raise IndexError(index)
        return self.packed.read(index, 0, self.length), self.labels(self.packed.entries[index])
