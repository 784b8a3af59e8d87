"""Reads the conditioning signals that were packed with clips, frame by frame with their audio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gansemble.data.packed import Packed

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe


@dataclass(frozen=True)
class GivenSignals:
    """Which packed signals are read, and how many samples a frame of them stands for.

    Args:
        names: of the signals.
        hop: a frame stands for so many samples.
        silence: of a mel spectrogram, for frames behind a clip's end: the logarithm of its floor.
    """

    names: tuple[str, ...] = ()
    hop: int = 1
    silence: float = 0.0

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> GivenSignals:
        """Those that files give (see :meth:`gansemble.recipe.schema.Recipe.given`) and that some part reads."""
        names = tuple(sorted(recipe.given() & recipe.asked()))
        return cls(names, recipe.audio.hop, math.log(recipe.audio.log_floor))

    def of(self, packed: Packed, index: int, start: int, length: int) -> dict[str, Tensor]:
        """The signals of a stretch of a clip.

        Frames behind the clip's end, where its audio is padded with silence, are silence in a mel spectrogram, and
        repeat the last frame of other signals.

        Args:
            packed: the clips.
            index: of the clip.
            start: first sample, of a whole frame.
            length: of the stretch [samples].

        Returns:
            [C, length / hop] by name.
        """
        found, frames, first = {}, length // self.hop, start // self.hop
        for name in self.names:
            have = max(1, min(frames, packed.entries[index].frames // self.hop - first))
            signal = packed.signal(index, name, first, have)
            if frames > have:
                beyond = {"mode": "constant", "constant_values": self.silence} if name == "mel" else {"mode": "edge"}
                signal = np.pad(signal, ((0, 0), (0, frames - have)), **beyond)  # type: ignore[call-overload]
            found[name] = torch.from_numpy(np.ascontiguousarray(signal[:, :frames]))
        return found
