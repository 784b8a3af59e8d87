"""What is measured once for a corpus and kept beside the packed data: by representations, terms, monitors and metrics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.abilities import Fitted, FittedItems, FittedMetric, SetMetric
from gansemble.data import manifest
from gansemble.data.labels import LabelledClips
from gansemble.data.manifest import SPLITS
from gansemble.data.packed import Packed
from gansemble.data.verification import verify
from gansemble.errors import DataError, TrainingError
from gansemble.files import write_atomically
from gansemble.interfaces import Metric, Monitor, Representation, Term
from gansemble.recipe import fill
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part

BATCH = 64


def place(recipe: Recipe, dump: Path, clips: LabelledClips) -> Path:
    """Where the statistics of a recipe's representation are: named after all that decides them, the packed audio too."""
    return dump / f"representation-{_mark(_decides(recipe, clips))}.pt"


def _decides(recipe: Recipe, clips: LabelledClips) -> dict[str, object]:
    """All that decides what the training items are in the representation's domain."""
    part = recipe.single.get("representation")
    return {
        "representation": fill.part(part) if part is not None else None,
        "audio": recipe.audio.digest(),
        "segment": recipe.plan.segment,
        "clips": clips.identity(),
    }


def _mark(values: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fit(representation: Representation, recipe: Recipe, dump: Path, anew: bool = False) -> Path | None:
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
    parts: Mapping[str, tuple[Part, Term | Monitor]],
    representation: Representation,
    recipe: Recipe,
    dump: Path,
    anew: bool = False,
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
    chosen = {path: (part, made) for path, (part, made) in parts.items() if isinstance(made, FittedItems)}
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
def _items(clips: LabelledClips, representation: Representation) -> Iterator[tuple[Tensor, Tensor | None]]:
    """All training segments as the networks see them, with their labels."""
    first = next(iter(representation.buffers()), None) if isinstance(representation, nn.Module) else None
    device = torch.device("cpu") if first is None else first.device
    for start, audio in zip(range(0, len(clips), BATCH), _batches(clips), strict=True):
        labels = [clips.label(index) for index in range(start, start + len(audio))]
        known = [label for label in labels if label is not None]
        yield representation.encode(audio.to(device)), torch.tensor(known) if len(known) == len(labels) else None


def fit_metric(metric: Metric | SetMetric, recipe: Recipe, dump: Path, say: Callable[[str], None]) -> None:
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


def _bytes(state: Mapping[str, object]) -> bytes:
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def statistics(recipe: Recipe, dump: Path) -> Path:
    """Per-band mean and standard deviation of the training split's log-mel spectrogram, levels and lengths; of the corpus'
    own clips, without variants of them."""
    import torch

    from gansemble.audio.features import log_mel
    from gansemble.data.packed import Packed

    packed = Packed(dump, "train").originals()
    total = torch.zeros(recipe.audio.mels, dtype=torch.float64)
    square, frames, energy, samples = torch.zeros_like(total), 0, 0.0, 0
    for index, entry in enumerate(packed.entries):
        if entry.frames <= recipe.audio.n_fft:
            continue
        audio = torch.from_numpy(packed.read(index))
        mel = log_mel(audio[None], recipe.audio)[0].double()
        total, square, frames = total + mel.sum(1), square + mel.square().sum(1), frames + mel.shape[1]
        energy, samples = energy + float(audio.double().square().sum()), samples + entry.frames
    if not frames:
        raise DataError(f"{dump}: no training clip is longer than one frame ({recipe.audio.n_fft} samples)")
    mean = total / frames
    deviation = (square / frames - mean.square()).clamp_min(0).sqrt()
    seconds = np.array([entry.seconds for entry in packed.entries])
    facts = {
        "clips": len(packed),
        "minutes": float(seconds.sum() / 60),
        "shortest_s": float(seconds.min()),
        "longest_s": float(seconds.max()),
        "rms": (energy / samples) ** 0.5,
        "audio": recipe.audio.as_dict(),
        "audio_digest": recipe.audio.digest(),
        "mel_mean": mean.tolist(),
        "mel_deviation": deviation.tolist(),
    }
    path = dump / f"statistics-{recipe.audio.digest()}.json"
    write_atomically(path, json.dumps(facts, indent=1))
    return path
