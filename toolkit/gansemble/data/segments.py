"""The training data set: crops of one length from packed clips.

Where a crop begins depends on the seed, the epoch and the clip alone, so that neither the number of data-loading
workers nor a resumed run changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from gansemble import random
from gansemble.contract import DEGRADED
from gansemble.data.degraded import Degrader
from gansemble.data.given import GivenSignals
from gansemble.data.labels import Labels
from gansemble.data.packed import Packed
from gansemble.data.perturbed import Change, Perturber


class Segment(TypedDict):
    """One crop, as :class:`Segments` returns it.

    Attributes:
        audio: float32 [1, T]: one channel, T samples.
        signals: conditioning signals of the crop by name, such as its degraded version [1, T].
        given: conditioning signals that were packed with the clip [C, L], by name.
        id: the clip's id in the manifest.
        item: (epoch, index of the clip in its split), which also keys every random draw for this crop.
        label: class or pitch index of the clip; None where it has none.
    """

    audio: Tensor
    signals: dict[str, Tensor]
    given: dict[str, Tensor]
    id: str
    item: tuple[int, int]
    label: int | None


class Collated(TypedDict):
    """A mini-batch of B crops, as :func:`collate` stacks it.

    Attributes:
        audio: float32 [B, 1, T]: T samples of one channel each.
        signals: conditioning signals [B, C, L] by name.
        given: packed conditioning signals [B, C, L] by name.
        ids: the clips' ids.
        items: (epoch, clip index) of each crop.
        label: int64 [B]; None where at least one clip has no label.
    """

    audio: Tensor
    signals: dict[str, Tensor]
    given: dict[str, Tensor]
    ids: tuple[str, ...]
    items: list[tuple[int, int]]
    label: Tensor | None


class Segments(torch.utils.data.Dataset):
    """A map-style data set of crops, indexed by (epoch, clip index) instead of a plain index.

    The epoch is part of the index so that each epoch cuts another crop from the same clip. The crop is a pure function
    of (seed, epoch, clip index): workers and resumed runs get the same one. Clips shorter than a crop are padded with
    zeros at their end.

    Args:
        packed: the clips of one split.
        segment: length of a crop [samples].
        seed: the run's seed.
        labels: reads the label of a clip from its manifest entry.
        degrader: makes the degraded version of each crop; None where the generator does not read one.
        crop: ``random`` begins a crop anywhere in its clip, ``start`` always at the clip's first sample.
        given: which packed signals are read; a crop then begins at a frame.
        perturber: changes the crops; None leaves them as they are recorded.

    Shape:
        - output: ``audio`` [1, T] and ``signals["degraded"]`` [1, T], with T = ``segment`` samples
    """

    def __init__(
        self,
        packed: Packed,
        segment: int,
        seed: int,
        labels: Labels = Labels(),  # noqa: B008
        degrader: Degrader | None = None,
        crop: str = "random",
        given: GivenSignals = GivenSignals(),  # noqa: B008
        perturber: Perturber | None = None,
    ) -> None:
        self.given = given
        self.packed = packed
        self.crop = crop
        self.degrader = degrader
        self.perturber = perturber
        self.segment = segment
        self.seed = seed
        self.labels = labels

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, item: tuple[int, int]) -> Segment:
        epoch, index = item
        entry = self.packed.entries[index]
        change = None if self.perturber is None else self.perturber.change(self.packed, index, epoch)
        reach = change.reads(self.segment) if change else self.segment
        # The last start that leaves the crop inside the clip; every start from 0 to it is allowed, hence the + 1 below.
        room = max(0, entry.frames - reach) if self.crop == "random" else 0
        start = random.key(self.seed, epoch, index, "crop") % (room + 1)
        start -= start % self.given.hop if self.given.names else 0
        audio, degraded = self._changed(change, start) if change else self._recorded(index, epoch, start)
        return {
            "audio": torch.from_numpy(audio).unsqueeze(0),
            "signals": {} if degraded is None else {DEGRADED: torch.from_numpy(degraded).unsqueeze(0)},
            "given": self.given.of(self.packed, index, start, self.segment),
            "id": entry.id,
            "item": (epoch, index),
            "label": self.labels(entry),
        }

    def _recorded(self, index: int, epoch: int, start: int) -> tuple[np.ndarray, np.ndarray | None]:
        """A crop as it is recorded, and its degraded version if the generator reads one; each float32 [segment]."""
        audio = self.packed.read(index, start, self.segment)
        if self.degrader is None:
            return audio, None
        return audio, self.degrader.crop(self.packed, index, start, self.segment, epoch)

    def _changed(self, change: Change, start: int) -> tuple[np.ndarray, np.ndarray | None]:
        """A perturbed crop, and its degraded version if the generator reads one; each float32 [segment].

        What is degraded is the perturbed crop, with the degradation's margin around it. A degraded recording of the
        corpus goes through the same perturbations with the same draws.
        """
        if self.degrader is None:
            return change.crop(start, self.segment), None
        if self.degrader.degradation is None:
            return change.crop(start, self.segment), change.crop(start, self.segment, degraded=True)
        margin = self.degrader.margin
        wide = change.crop(start, self.segment, margin)
        middle = slice(margin, margin + self.segment)
        return wide[middle], self.degrader.degraded(wide, change.index, change.epoch)[middle]


def collate(items: Sequence[Segment]) -> Collated:
    """Stacks crops into one mini-batch; a ``collate_fn`` for a ``DataLoader``.

    Args:
        items: crops of one length, all with the same names in ``signals``; at least one.

    Returns:
        The batch. Its labels are None unless every crop has one.

    Shape:
        - input: B crops with ``audio`` [1, T]
        - output: ``audio`` [B, 1, T], ``label`` [B]
    """
    labels = [item["label"] for item in items]
    audio: Tensor = torch.stack([item["audio"] for item in items])
    return {
        "audio": audio,
        "signals": {name: torch.stack([item["signals"][name] for item in items]) for name in items[0]["signals"]},
        "given": {name: torch.stack([item["given"][name] for item in items]) for name in items[0]["given"]},
        "ids": tuple(item["id"] for item in items),
        "items": [item["item"] for item in items],
        "label": torch.tensor(labels) if all(isinstance(label, int) for label in labels) else None,
    }
