"""Clips made from latent vectors on request: sounds, their vectors, what they were made from, and a page of them all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gansemble.abilities import mixes_labels
from gansemble.audio import files
from gansemble.data.labels import Labels
from gansemble.errors import GansembleError
from gansemble.evaluation import walls
from gansemble.files import write_atomically
from gansemble.inference import phases
from gansemble.inference.generation import between
from gansemble.inference.loading import TrainedGenerator, load
from gansemble.parts.sampling import LatentSampler, Sample, Truncation
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task

#: Clips on the page.
SHOWN = 64
#: Of what is written for each clip, in this order.
SUFFIXES = (".wav", ".npy", ".json")
#: A label index, or a mixture of classes [K].
Label = int | Tensor


@dataclass(frozen=True)
class SampleOptions:
    """What clips are to be made.

    Args:
        exp: the experiment.
        output: folder for the clips.
        count: clips, or points of an interpolation.
        seed: of latent vectors.
        labels: classes in turn.
        pitches: MIDI pitches in turn.
        same_latent: one latent vector for all.
        truncation: threshold; None leaves the latent vectors as they are drawn.
        truncation_mode: how they are truncated.
        interpolate: from the latent vector of one clip to that of another.
        between_labels: from one class to another, of one latent vector.
        phase_of: a recording whose phase generated magnitudes get.
        vocoder: experiment of a vocoder that makes the waveform of generated magnitudes.
        latent: a latent vector that was written beside a clip.
        checkpoint: ``best`` or ``last``.
        sample_format: of the sound files.
    """

    exp: Path
    output: Path
    count: int = 16
    seed: int = 0
    labels: list[int] | None = None
    pitches: list[int] | None = None
    same_latent: bool = False
    truncation: float | None = None
    truncation_mode: Literal["resample", "scale"] = "scale"
    interpolate: tuple[int, int] | None = None
    between_labels: tuple[int, int] | None = None
    phase_of: Path | None = None
    vocoder: Path | None = None
    latent: Path | None = None
    checkpoint: str = "best"
    sample_format: files.SampleFormat = "pcm16"

    @property
    def one_latent(self) -> bool:
        """Whether all clips are of one latent vector."""
        alone = self.interpolate is None and self.latent is None
        return self.same_latent or (self.between_labels is not None and alone)

    @property
    def cut(self) -> Truncation | None:
        """How latent vectors are truncated."""
        return None if self.truncation is None else Truncation(self.truncation, self.truncation_mode)


def make(wanted: SampleOptions, folder: Callable[[Path, Path], None], warn: Callable[[str], None]) -> str:
    """Makes the clips and the page; returns what was done, in a sentence.

    Args:
        wanted: what is to be made.
        folder: makes the output folder for results of an experiment, or refuses it.
        warn: told of what does not stand in the way.

    Raises:
        GansembleError: if the experiment's generator cannot make such clips, or makes NaN or Inf.
    """
    trained = load(wanted.exp, wanted.checkpoint, warn=warn)
    trained.recipe.demand_task(Task.GENERATION, wanted.exp)
    sampler = trained.sampler(wanted.seed)
    lowest = Labels.of(trained.recipe).lowest
    labels = _labels_of(wanted, sampler, trained.recipe, lowest)
    decode, phase = _decoder(sampler, trained, wanted.phase_of, wanted.vocoder)
    points, labels = _points(wanted, sampler, labels)
    folder(wanted.output, wanted.exp)
    earlier = _earlier(wanted.output)
    shown, clipped, made = [], 0, None
    for index in range(wanted.count):
        label = labels[index % len(labels)] if labels else None
        made = sampler.one(index, label, points[index], wanted.cut, decode)
        facts = {"exp": str(wanted.exp), "checkpoint": trained.source.name, "step": trained.step}
        facts |= _facts(wanted, index, made, label, lowest, phase)
        clipped += _write(wanted, index, made, trained, facts)
        if index < SHOWN:
            shown.append((_caption(index, facts), made.audio))
    assert made is not None
    for path in earlier - {_path(wanted, index, suffix) for index in range(wanted.count) for suffix in SUFFIXES}:
        path.unlink()  # of a longer run before: clips of two runs are no set
    note = _note(wanted, trained) + (f"; phase: {phase}" if phase is not None else "")
    page = walls.wall("Samples", note, shown, trained.spec, walls.look_of(trained.recipe))
    write_atomically(wanted.output / "index.html", page)
    seconds = len(made.audio) / trained.spec.sample_rate
    return (
        f"{wanted.count} clips of {seconds:.2f} s in {wanted.output} (step {trained.step}, seed {wanted.seed})"
        + (f", {clipped} samples clipped" if clipped else "")
        + (f"; phase: {phase}" if phase is not None else "")
    )


def _points(
    wanted: SampleOptions, sampler: LatentSampler, labels: list[Label]
) -> tuple[list[Tensor | None], list[Label]]:
    """(the latent vector of each clip, None to draw it; labels to go through)."""

    def drawn(index: int) -> Tensor:
        return torch.from_numpy(sampler.one(index, labels[0] if labels else None).latent)

    given = None if wanted.latent is None else _latent(wanted.latent, sampler.condition_builder.latent)
    if wanted.interpolate is not None:
        first, last = wanted.interpolate
        if wanted.labels is None and wanted.pitches is None and wanted.between_labels is None and labels:
            labels = [labels[first % len(labels)]]  # that of clip A, so that one thing changes at a time
        law = sampler.condition_builder.latent_law
        return list(between(drawn(first), drawn(last), wanted.count, law)), labels
    if wanted.one_latent and given is None:
        given = drawn(0)
    return [given] * wanted.count, labels


def _path(wanted: SampleOptions, index: int, suffix: str = ".wav") -> Path:
    return wanted.output / f"sample-{index:05d}{suffix}"


def _write(wanted: SampleOptions, index: int, made: Sample, trained: TrainedGenerator, facts: dict[str, Any]) -> int:
    """Writes a clip with its latent vector and facts; returns how many of its samples were clipped."""
    path = _path(wanted, index)
    if not np.isfinite(made.audio).all():
        raise GansembleError(
            f"{path}: the generator made NaN or Inf; take another --latent, --truncation or --checkpoint"
        )
    facts["clipped"] = files.write(path, made.audio, trained.spec.sample_rate, wanted.sample_format)
    np.save(path.with_suffix(".npy"), made.latent)
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1))
    return int(facts["clipped"])


def _facts(
    wanted: SampleOptions, index: int, made: Sample, label: Label | None, lowest: int | None, phase: str | None
) -> dict[str, Any]:
    """What a clip was made from."""
    facts: dict[str, Any] = {"seed": wanted.seed, "index": index, "label": made.label}
    facts |= {"pitch": made.label + lowest} if made.label is not None and lowest is not None else {}
    facts |= {"truncation": wanted.truncation, "truncation_mode": None if wanted.cut is None else wanted.cut.mode}
    facts |= {"interpolate": wanted.interpolate, "same_latent": wanted.one_latent}
    facts |= {"between_labels": wanted.between_labels}
    facts |= {"classes": label.tolist()} if isinstance(label, Tensor) else {}
    facts |= {"phase": phase} if phase is not None else {}
    return facts | {"latent": None if wanted.latent is None else str(wanted.latent)}


def _note(wanted: SampleOptions, trained: TrainedGenerator) -> str:
    """What the page shows, in a line."""
    note = f"{trained.recipe.name}, step {trained.step}, seed {wanted.seed}"
    if wanted.interpolate:
        first, last = wanted.interpolate
        note += f"; from the latent vector of clip {first} to that of clip {last}"
    note += f"; the latent vector of {wanted.latent}" if wanted.latent else ""
    note += "; one latent vector for all" if wanted.one_latent else ""
    if wanted.between_labels:
        note += f"; from class {wanted.between_labels[0]} to class {wanted.between_labels[1]}"
    return note


def _labels_of(wanted: SampleOptions, sampler: LatentSampler, recipe: Recipe, lowest: int | None) -> list[Label]:
    """Labels to go through, or mixtures of two; empty where the generator reads none."""
    labels: list[Label] = list(_labels(sampler, recipe, wanted.labels, wanted.pitches, lowest))
    if wanted.between_labels is not None:
        return list(_mixtures(sampler, recipe, wanted.between_labels, wanted.count))
    return labels


def _earlier(output: Path) -> set[Path]:
    """What this command made in a folder before.

    Raises:
        GansembleError: if the folder holds anything else, which would be written over.
    """
    there = set(output.iterdir()) - {output / "index.html"}
    named = {path for path in there if re.fullmatch(r"sample-\d+", path.stem) and path.suffix in SUFFIXES}
    whole = {path.stem for path in named if path.suffix == ".json"}
    begun = {path.stem for path in named} - whole  # by a command that was stopped, the clip it was at
    foreign = there - named or (named if len(begun) > 1 or not whole else set())
    if not there and (output / "index.html").exists():
        foreign = {output / "index.html"}
    if foreign:
        raise GansembleError(
            f"--output {output}: holds {min(foreign).name}, which this command did not make; give an empty or a new folder"
        )
    return there


def _caption(index: int, facts: dict[str, Any]) -> str:
    told = [f"pitch {facts['pitch']}"] if "pitch" in facts else []
    if "classes" in facts:
        told = [f"{share:.0%} class {label}" for label, share in enumerate(facts["classes"]) if share > 0]
    told += [f"label {facts['label']}"] if facts["label"] is not None and not told else []
    return " · ".join([f"{index:05d}", *told])


def _mixtures(sampler: LatentSampler, recipe: Recipe, ends: tuple[int, int], count: int) -> list[Tensor]:
    """``count`` mixtures [K] from one class to another."""
    if "label" not in sampler.condition_builder.reads or not mixes_labels(sampler.generator):
        raise GansembleError(
            f"--between-labels: generator {recipe.single['generator'].use} reads no mixtures of classes; use --labels if it reads classes"
        )
    count_of_classes = sampler.classes or 0
    wrong = [label for label in ends if label >= count_of_classes]
    if wrong:
        raise GansembleError(
            f"--between-labels {wrong[0]}: must be below {count_of_classes}, what the generator was built for"
        )
    first, last = torch.eye(count_of_classes)[list(ends)]
    return [first + share * (last - first) for share in torch.linspace(0, 1, count)]


def _decoder(
    sampler: LatentSampler, loaded: TrainedGenerator, phase_of: Path | None, vocoder: Path | None
) -> tuple[Any, str | None]:
    """(what turns generated magnitudes into audio, None for the representation's own way; where their phase is from)."""
    spec = loaded.spec
    if phase_of is not None:
        length = loaded.recipe.plan.segment
        return phases.of_recording(sampler.representation, phase_of, spec, length), f"that of {phase_of}"
    if vocoder is not None:
        return phases.of_vocoder(sampler.representation, vocoder, spec, loaded.device), f"made by the vocoder {vocoder}"
    return None, sampler.phase


def _labels(
    sampler: LatentSampler, recipe: Recipe, labels: list[int] | None, pitches: list[int] | None, lowest: int | None
) -> list[int]:
    """Label indices to go through; empty where the generator reads none."""
    contract = recipe.generator_contract
    reads = "label" in sampler.condition_builder.reads
    if not reads:
        if labels is not None or pitches is not None:
            raise GansembleError(
                f"generator {recipe.single['generator'].use} reads no label; leave --labels and --pitch out"
            )
        return []
    if pitches is not None and lowest is None:
        raise GansembleError(f"generator {recipe.single['generator'].use} reads classes, not pitches; use --labels")
    count = contract.classes or (contract.pitches[1] - contract.pitches[0] + 1 if contract.pitches else None)
    chosen = labels if pitches is None else [pitch - (lowest or 0) for pitch in pitches]
    if chosen is None:
        return list(range(count)) if count else [0]
    wrong = [label for label in chosen if label < 0 or (count is not None and label >= count)]
    if wrong:
        low = lowest or 0
        shown = (
            f"--pitch {wrong[0] + low}: must be within {low}..{low + (count or 1) - 1}"
            if pitches
            else f"--labels {wrong[0]}: must be below {count}"
        )
        raise GansembleError(f"{shown}, what the generator was built for")
    return chosen


def _latent(path: Path, size: int | None) -> Tensor:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = str(error) if isinstance(error, OSError) else "it is none"
        raise GansembleError(
            f"--latent {path}: not readable as a .npy array ({why}); give one that lies beside a clip that sample made"
        ) from error
    if not isinstance(found, np.ndarray) or not np.issubdtype(found.dtype, np.floating):
        kind = getattr(found, "dtype", type(found).__name__)
        raise GansembleError(f"--latent {path}: expected an array of real numbers, got {kind}")
    if found.shape != (size,):
        raise GansembleError(f"--latent {path}: expected shape ({size},), got {found.shape}")
    if not (np.abs(found) < 1e6).all():
        raise GansembleError(f"--latent {path}: expected finite numbers, got {found[~(np.abs(found) < 1e6)][0]}")
    return torch.from_numpy(found.astype(np.float32))
