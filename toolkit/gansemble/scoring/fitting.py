"""Statistics that are measured once for a corpus, and kept in files beside the packed data.

Representations, losses, monitors and metrics may have them. The name of a file contains a hash of all that decides its
content, so that other data or parameters never find it.
"""

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
from gansemble.parts.plain import read_plain
from gansemble.recipe import fill
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part

BATCH = 64


#: What to do about a file of statistics that cannot be read.
ANEW = "delete it, and run stage 2 again with --force, which measures anew"


def place(recipe: Recipe, dump: Path, clips: LabelledClips) -> Path:
    """The file with the statistics of a recipe's representation.

    Its name depends on the representation's parameters, the audio section, the segment length and the clips.

    Args:
        recipe: with the representation.
        dump: folder of the packed data.
        clips: that are measured.
    """
    return dump / f"representation-{_mark(_decides(recipe, clips))}.pt"


def _decides(recipe: Recipe, clips: LabelledClips) -> dict[str, object]:
    """All that decides what training items are in the representation's domain."""
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
    """Measures a representation's statistics on the training split, or loads them from their file.

    Several processes may do this at once: they measure the same numbers, and the file is written atomically.

    Args:
        representation: to be fitted, in place.
        recipe: it belongs to.
        dump: folder of the packed data.
        anew: measure even if there is a file.

    Returns:
        The file; None for a representation without statistics.

    Raises:
        DataError: if packed audio is not what its manifest says.
    """
    if not isinstance(representation, Fitted) or "representation" not in recipe.single:
        return None
    clips = LabelledClips.of(recipe, Packed(dump, "train", recipe.data.normalise))
    path = place(recipe, dump, clips)
    if path.is_file() and not anew:
        representation.load_state_dict(read_plain(path, ANEW))
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
    """Measures the statistics that losses, regularisers and monitors have of real items, or loads them from their
    files.

    Args:
        parts: by recipe path, the part of the recipe and the object, which is fitted in place.
        representation: fitted; encodes audio to items.
        recipe: they belong to.
        dump: folder of the packed data.
        anew: measure even if there is a file.

    Returns:
        The file of each part that has statistics, by recipe path.

    Raises:
        TrainingError: if a part cannot use the items or labels.
        DataError: if packed audio is not what its manifest says.
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
            made.load_state_dict(read_plain(place, ANEW))
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
    """Yields (items [B, ...], labels [B] or None) of all training segments, encoded as the networks see them."""
    first = next(iter(representation.buffers()), None) if isinstance(representation, nn.Module) else None
    device = torch.device("cpu") if first is None else first.device
    for start, audio in zip(range(0, len(clips), BATCH), _batches(clips), strict=True):
        labels = [clips.label(index) for index in range(start, start + len(audio))]
        known = [label for label in labels if label is not None]
        yield representation.encode(audio.to(device)), torch.tensor(known) if len(known) == len(labels) else None


def fit_metric(metric: Metric | SetMetric, recipe: Recipe, dump: Path, say: Callable[[str], None]) -> None:
    """Fits a metric that learns from the corpus, such as by a classifier, or loads what it learnt before.

    Args:
        metric: fitted in place; one that learns nothing is left alone.
        recipe: it belongs to.
        dump: folder of the packed data.
        say: called with lines for the user.

    Raises:
        DataError: if packed audio is not what its manifest says.
    """
    if not isinstance(metric, FittedMetric):
        return
    there = set(manifest.load(dump / manifest.MANIFEST).identity)
    verify(dump)
    packed = {split: Packed(dump, split, recipe.data.normalise) for split in SPLITS if split in there}
    metric.fit({split: LabelledClips.of(recipe, found) for split, found in packed.items()}, dump / "fitted", say)


def _batches(clips: LabelledClips) -> Iterator[Tensor]:
    """Yields all segments as batches [B, 1, T] of audio, T = segment length [samples]."""
    for start in range(0, len(clips), BATCH):
        chosen = range(start, min(start + BATCH, len(clips)))
        yield torch.from_numpy(np.stack([clips.audio(index) for index in chosen]))[:, None]


def _bytes(state: Mapping[str, object]) -> bytes:
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def statistics(recipe: Recipe, dump: Path) -> Path:
    """Writes facts about the training split to a JSON file: mel statistics, level and lengths of the clips.

    The mean and standard deviation of the log-mel spectrogram are of each band, over all frames. Clips that
    augmentations made are left out.

    Args:
        recipe: with the audio section.
        dump: folder of the packed data.

    Returns:
        The file, ``statistics-<digest of the audio section>.json``.

    Raises:
        DataError: if no training clip is longer than one frame.
    """
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
    deviation = (square / frames - mean.square()).clamp_min(0).sqrt()  # rounding may make the variance negative
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
