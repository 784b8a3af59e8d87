"""What is measured once for a corpus and kept beside the packed data: by representations, terms, monitors and metrics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
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
from gansemble.errors import TrainingError
from gansemble.files import write_atomically
from gansemble.interfaces import Fitted, FittedItems, FittedMetric
from gansemble.recipe import fill
from gansemble.recipe.check import Recipe
from gansemble.recipe.sections import Part

BATCH = 64


def place(recipe: Recipe, dump: Path, clips: LabelledClips) -> Path:
    """Where the statistics of a recipe's representation are: named after all that decides them, the packed audio too."""
    return dump / f"representation-{_mark(_decides(recipe, clips))}.pt"


def _decides(recipe: Recipe, clips: LabelledClips) -> dict[str, Any]:
    """All that decides what the training items are in the representation's domain."""
    part = recipe.single.get("representation")
    return {
        "representation": fill.part(part) if part is not None else None,
        "audio": recipe.audio.digest(),
        "segment": recipe.plan.segment,
        "clips": clips.identity(),
    }


def _mark(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


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


def fit_items(
    parts: Mapping[str, tuple[Part, Any]], representation: Any, recipe: Recipe, dump: Path, anew: bool = False
) -> dict[str, Path]:
    """Lets terms and monitors measure the real items they compare with, or loads what was measured; returns where each
    one's statistics are, under a name made of all that decides them.

    Args:
        parts: those of the recipe by path, each with its object.
        representation: fitted; makes the items.
        recipe: whose parts they are.
        dump: the packed data, where the statistics are kept.
        anew: measure again.

    Raises:
        TrainingError: if a part cannot use what it was given.
    """
    chosen = {path: pair for path, pair in parts.items() if isinstance(pair[1], FittedItems)}
    if not chosen:
        return {}
    clips = LabelledClips.of(recipe, Packed(dump, "train", recipe.data.normalise), variants=True)  # as trained on
    common = _decides(recipe, clips) | {"labels": [clips.label(index) for index in range(len(clips))]}
    places = {}
    for path, (part, made) in chosen.items():
        place = dump / f"{part.kind}-{_mark(common | {'part': {**fill.part(part), 'weight': None}})}.pt"
        places[path] = place
        if place.is_file() and not anew:
            made.load_state_dict(torch.load(place, weights_only=True))
            continue
        verify(dump, {"train"})
        try:
            made.fit_items(_items(clips, representation))
        except ValueError as error:
            raise TrainingError(f"{path} ({part.use}): {error}") from error
        write_atomically(place, _bytes(made.state_dict()))
    return places


@torch.no_grad()
def _items(clips: LabelledClips, representation: Any) -> Iterator[tuple[Tensor, Tensor | None]]:
    """All training segments as the networks see them, with their labels."""
    first = next(iter(representation.buffers()), None) if hasattr(representation, "buffers") else None
    device = torch.device("cpu") if first is None else first.device
    for start, audio in zip(range(0, len(clips), BATCH), _batches(clips), strict=True):
        labels = [clips.label(index) for index in range(start, start + len(audio))]
        known = [label for label in labels if label is not None]
        yield representation.encode(audio.to(device)), torch.tensor(known) if len(known) == len(labels) else None


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
