"""Reading packed audio: whole clips, and random crops keyed on (seed, epoch, clip)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gansemble import random
from gansemble.audio.levels import from_int16
from gansemble.data import manifest
from gansemble.data.degraded import NAME, Degrader
from gansemble.data.labels import Labels
from gansemble.data.manifest import Entry
from gansemble.errors import DataError


class Packed:
    """The packed clips of one split, memory-mapped.

    Args:
        folder: a prepared folder with ``manifest.jsonl``.
        split: ``train``, ``validation`` or ``test``.
        normalise: peak each clip is scaled to, or None.
    """

    def __init__(self, folder: Path, split: str, normalise: float | None = None) -> None:
        self.folder = folder
        self.entries: list[Entry] = [
            entry for entry in manifest.read(folder / "manifest.jsonl") if entry.split == split
        ]
        self.normalise = normalise
        self._packs: dict[str, np.memmap] = {}
        if not self.entries:
            raise DataError(
                f"{folder}/manifest.jsonl: no clip is in the {split} split; prepare more data, or change the corpus' split"
            )
        for name in {entry.pack for entry in self.entries}:
            self._check_size(name)

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int, start: int = 0, length: int | None = None, *, degraded: bool = False) -> np.ndarray:
        """float32 [length] of clip ``index`` from ``start`` [samples], zero-padded at its end if it is too short.

        ``degraded`` reads the corpus' degraded recording of it, at the level that goes with the clip's.
        """
        entry = self.entries[index]
        wanted = entry.frames - start if length is None else length
        have = max(0, min(wanted, entry.frames - start))
        first = (entry.partner if degraded and entry.partner is not None else entry.offset) + start
        samples = from_int16(self._pack(entry.pack)[first : first + have])
        if self.normalise is not None and entry.peak > 0:
            samples *= self.normalise / entry.peak
        return samples if have == wanted else np.pad(samples, (0, wanted - have))

    def _pack(self, name: str) -> np.memmap:
        # Opened on first use in each process, so that loader workers do not inherit a mapping.
        if name not in self._packs:
            self._packs[name] = np.memmap(self.folder / name, np.int16, "r")
        return self._packs[name]

    def _check_size(self, name: str) -> None:
        path = self.folder / name
        ends = [max(entry.offset, entry.partner or 0) + entry.frames for entry in self.entries if entry.pack == name]
        needed = 2 * max(ends)
        size = path.stat().st_size if path.is_file() else 0
        if size < needed:
            raise DataError(f"{path}: expected at least {needed} bytes, got {size}; run the prepare stage with --force")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_packs": {}}


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

    def __getitem__(self, item: tuple[int, int]) -> dict[str, Any]:
        epoch, index = item
        entry = self.packed.entries[index]
        room = max(0, entry.frames - self.segment) if self.crop == "random" else 0
        start = random.key(self.seed, epoch, index, "crop") % (room + 1)
        audio = torch.from_numpy(self.packed.read(index, start, self.segment))
        extra = {}
        if self.degrader is not None:
            degraded = self.degrader.crop(self.packed, index, start, self.segment, epoch)
            extra[NAME] = torch.from_numpy(degraded).unsqueeze(0)
        return {
            "audio": audio.unsqueeze(0),
            "extra": extra,
            "id": entry.id,
            "item": (epoch, index),
            "label": self.labels(entry),
        }


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Audio [B, 1, T], ids, keys, extra tensors by name, and labels [B] where every clip has one."""
    labels = [item["label"] for item in items]
    known = all(isinstance(label, int) for label in labels)
    audio: Tensor = torch.stack([item["audio"] for item in items])
    return {
        "audio": audio,
        "extra": {name: torch.stack([item["extra"][name] for item in items]) for name in items[0]["extra"]},
        "ids": tuple(item["id"] for item in items),
        "items": [item["item"] for item in items],
        "label": torch.tensor(labels) if known else None,
    }
