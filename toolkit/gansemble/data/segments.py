"""Random crops of packed clips, keyed on (seed, epoch, clip)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor

from gansemble import random
from gansemble.contract import DEGRADED
from gansemble.data.degraded import Degrader
from gansemble.data.labels import Labels
from gansemble.data.packed import Packed


class Segment(TypedDict):
    """A crop: audio [1, T], extra tensors by name, the clip's id, (epoch, clip index), and its label or None."""

    audio: Tensor
    extra: dict[str, Tensor]
    id: str
    item: tuple[int, int]
    label: int | None


class Collated(TypedDict):
    """A batch of crops: audio [B, 1, T], extra tensors [B, ...] by name, ids, (epoch, clip index) pairs, and labels [B]
    where every clip has one."""

    audio: Tensor
    extra: dict[str, Tensor]
    ids: tuple[str, ...]
    items: list[tuple[int, int]]
    label: Tensor | None


class Segments(torch.utils.data.Dataset):
    """Random crops. An item is addressed by (epoch, clip index), and its crop is a pure function of (seed, epoch, index).

    Args:
        packed: the clips.
        segment: crop length [samples].
        seed: the run's seed.
        labels: reads a clip's label.
        degrader: makes the degraded version of each crop, where the generator reads one.
        crop: where crops begin, as in the recipe's plan.
    """

    def __init__(
        self,
        packed: Packed,
        segment: int,
        seed: int,
        labels: Labels = Labels(),  # noqa: B008
        degrader: Degrader | None = None,
        crop: str = "random",
    ) -> None:
        self.packed = packed
        self.crop = crop
        self.degrader = degrader
        self.segment = segment
        self.seed = seed
        self.labels = labels

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, item: tuple[int, int]) -> Segment:
        epoch, index = item
        entry = self.packed.entries[index]
        room = max(0, entry.frames - self.segment) if self.crop == "random" else 0
        start = random.key(self.seed, epoch, index, "crop") % (room + 1)
        audio = torch.from_numpy(self.packed.read(index, start, self.segment))
        extra = {}
        if self.degrader is not None:
            degraded = self.degrader.crop(self.packed, index, start, self.segment, epoch)
            extra[DEGRADED] = torch.from_numpy(degraded).unsqueeze(0)
        return {
            "audio": audio.unsqueeze(0),
            "extra": extra,
            "id": entry.id,
            "item": (epoch, index),
            "label": self.labels(entry),
        }


def collate(items: Sequence[Segment]) -> Collated:
    """Audio [B, 1, T], ids, keys, extra tensors by name, and labels [B] where every clip has one."""
    labels = [item["label"] for item in items]
    audio: Tensor = torch.stack([item["audio"] for item in items])
    return {
        "audio": audio,
        "extra": {name: torch.stack([item["extra"][name] for item in items]) for name in items[0]["extra"]},
        "ids": tuple(item["id"] for item in items),
        "items": [item["item"] for item in items],
        "label": torch.tensor(labels) if all(isinstance(label, int) for label in labels) else None,
    }
