"""Representations and metrics that are measured once for a corpus, and kept beside the packed data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gansemble.data import manifest
from gansemble.data.labels import LabelledClips, Labels
from gansemble.data.manifest import SPLITS
from gansemble.data.segments import Packed
from gansemble.files import write_atomically
from gansemble.interfaces import Fitted, FittedMetric
from gansemble.recipe import fill
from gansemble.recipe.check import Recipe

BATCH = 64


def place(recipe: Recipe, dump: Path) -> Path:
    """Where the statistics of a recipe's representation are: named after all that decides them."""
    values: dict[str, Any] = {
        "representation": fill.part(recipe.single["representation"]),
        "audio": recipe.audio.digest(),
    }
    values |= {"segment": recipe.plan.segment, "normalise": recipe.data.normalise}
    mark = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return dump / f"representation-{mark}.pt"


def fit(representation: Any, recipe: Recipe, dump: Path) -> Path | None:
    """Measures a representation on the training split, or loads what was measured; None where it has no statistics.

    Processes that come here together measure the same numbers; the file is written whole or not at all.
    """
    if not isinstance(representation, Fitted) or "representation" not in recipe.single:
        return None
    path = place(recipe, dump)
    if path.is_file():
        representation.load_state_dict(torch.load(path, weights_only=True))
        return path
    packed = Packed(dump, "train", recipe.data.normalise)
    representation.fit(_segments(packed, recipe.plan.segment))
    write_atomically(path, _bytes(representation.state_dict()))
    return path


def fit_metric(metric: Any, recipe: Recipe, dump: Path, say: Any) -> None:
    """Lets a metric that learns from the corpus learn, or load what was learnt."""
    if not isinstance(metric, FittedMetric):
        return
    labels, clips = Labels.of(recipe), {}
    for split in SPLITS:
        if any(entry.split == split for entry in manifest.read(dump / "manifest.jsonl")):
            packed = Packed(dump, split, recipe.data.normalise)
            clips[split] = LabelledClips(packed, labels, recipe.plan.segment, recipe.audio.sample_rate)
    metric.fit(clips, dump / "fitted", say)


def _segments(packed: Packed, length: int) -> Iterator[Tensor]:
    """Every whole segment of every clip, and one padded with zeros of each that is shorter, [B, 1, length]."""
    held: list[Tensor] = []
    for index, entry in enumerate(packed.entries):
        for start in range(0, max(1, entry.frames - length + 1), length):
            held.append(torch.from_numpy(packed.read(index, start, length)))
            if len(held) == BATCH:
                yield torch.stack(held)[:, None]
                held = []
    if held:
        yield torch.stack(held)[:, None]


def _bytes(state: dict[str, Any]) -> bytes:
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
