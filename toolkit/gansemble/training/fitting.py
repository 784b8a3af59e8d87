"""Representations and metrics that are measured once for a corpus, and kept beside the packed data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gansemble.data import manifest
from gansemble.data.labels import LabelledClips
from gansemble.data.manifest import SPLITS
from gansemble.data.segments import Packed
from gansemble.data.verification import verify
from gansemble.files import write_atomically
from gansemble.interfaces import Fitted, FittedMetric
from gansemble.recipe import fill
from gansemble.recipe.check import Recipe

BATCH = 64


def place(recipe: Recipe, dump: Path, clips: LabelledClips) -> Path:
    """Where the statistics of a recipe's representation are: named after all that decides them, the packed audio too."""
    values: dict[str, Any] = {
        "representation": fill.part(recipe.single["representation"]),
        "audio": recipe.audio.digest(),
        "segment": recipe.plan.segment,
        "clips": clips.identity(),
    }
    mark = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return dump / f"representation-{mark}.pt"


def fit(representation: Any, recipe: Recipe, dump: Path, anew: bool = False) -> Path | None:
    """Measures a representation on the training split, or loads what was measured unless it is to be done ``anew``;
    None where it has no statistics.

    Processes that come here together measure the same numbers; the file is written whole or not at all.
    """
    if not isinstance(representation, Fitted) or "representation" not in recipe.single:
        return None
    clips = LabelledClips.of(recipe, Packed(dump, "train", recipe.data.normalise))
    path = place(recipe, dump, clips)
    if path.is_file() and not anew:
        representation.load_state_dict(torch.load(path, weights_only=True))
        return path
    verify(dump, {"train"})  # what is measured is kept, and loaded again for this very data
    representation.fit(_batches(clips))
    write_atomically(path, _bytes(representation.state_dict()))
    return path


def fit_metric(metric: Any, recipe: Recipe, dump: Path, say: Any) -> None:
    """Lets a metric that learns from the corpus learn, or load what was learnt."""
    if not isinstance(metric, FittedMetric):
        return
    there = set(manifest.load(dump / "manifest.jsonl").identity)
    verify(dump)
    packed = {split: Packed(dump, split, recipe.data.normalise) for split in SPLITS if split in there}
    metric.fit({split: LabelledClips.of(recipe, found) for split, found in packed.items()}, dump / "fitted", say)


def _batches(clips: LabelledClips) -> Iterator[Tensor]:
    """All segments, [B, 1, length]."""
    for start in range(0, len(clips), BATCH):
        chosen = range(start, min(start + BATCH, len(clips)))
        yield torch.from_numpy(np.stack([clips.audio(index) for index in chosen]))[:, None]


def _bytes(state: dict[str, Any]) -> bytes:
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
