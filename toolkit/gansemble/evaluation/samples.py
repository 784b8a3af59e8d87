"""Clips generated on request (``gansemble sample``): sound files, latent vectors, their settings, and a page of all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gansemble.abilities import mixes_labels
from gansemble.audio import files
from gansemble.data.labels import Labels
from gansemble.errors import GansembleError, fault_of, of_all_files
from gansemble.evaluation import walls
from gansemble.files import staged_file, write_atomically
from gansemble.inference import phases
from gansemble.inference.generation import between
from gansemble.inference.loading import load
from gansemble.inference.trained import TrainedGenerator
from gansemble.parts.sampling import LatentSampler, Sample, Truncation
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task

#: Largest number of clips on the page.
SHOWN = 64
#: Suffixes of the files of a clip, in the order in which they are written: audio, latent vector, settings.
SUFFIXES = (".wav", ".npy", ".json")
#: A label index, or a mixture of K classes as their shares [K], which sum to 1.
Label = int | Tensor


@dataclass(frozen=True)
class SampleOptions:
    """Which clips to generate, and how.

    Args:
        exp: the experiment.
        output: folder for the clips.
        count: number of clips, which are the points of an interpolation where one is asked for.
        seed: of the latent vectors.
        labels: class indices that the clips get in turn; None goes through all, but keeps that of clip A in an
            interpolation.
        pitches: MIDI note numbers that the clips get in turn, for generators that read pitches; None as for ``labels``.
        same_latent: use one latent vector for all clips.
        truncation: threshold of the truncation of latent vectors; None leaves them as they are drawn.
        truncation_mode: how they are truncated; see :class:`gansemble.parts.sampling.Truncation`.
        interpolate: (A, B), interpolate from the latent vector of clip A to that of clip B.
        between_labels: (A, B), interpolate from class A to class B with one latent vector.
        phase_of: a recording whose phase is combined with generated magnitudes.
        vocoder: experiment of a vocoder that makes the waveform from generated magnitudes.
        latent: ``.npy`` file with the latent vector for all clips, such as one written beside a clip.
        checkpoint: ``best`` or ``last``.
        sample_format: of the sound files.
        overwrite: replace and remove clips that this command made before with other options.
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
    overwrite: bool = False

    @property
    def one_latent(self) -> bool:
        """Whether all clips share one latent vector, because that was asked for or only the class is interpolated."""
        alone = self.interpolate is None and self.latent is None
        return self.same_latent or (self.between_labels is not None and alone)

    @property
    def cut(self) -> Truncation | None:
        """The truncation of the latent vectors; None where there is none."""
        return None if self.truncation is None else Truncation(self.truncation, self.truncation_mode)


def make(wanted: SampleOptions, folder: Callable[[Path, Path], None], warn: Callable[[str], None]) -> str:
    """Generates the clips and writes their files and a page that shows them.

    Args:
        wanted: which clips to generate.
        folder: called with (output folder, experiment); creates the folder, or raises an error if it must not be used.
        warn: called with each warning.

    Returns:
        A sentence that says what was made.

    Raises:
        GansembleError: if the experiment's generator cannot make such clips, or the output folder holds files that this
            command did not make, or made with other options and ``overwrite`` is off; when the others are made, if a clip
            could not be, such as for NaN or Inf.
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
    common = {"exp": str(wanted.exp), "checkpoint": trained.source.name, "step": trained.step}
    common["generator"] = trained.identity[:16]
    if not wanted.overwrite:
        _demand_same(wanted, earlier, common | _facts(wanted, 0, None, None, lowest, phase), labels)
    shown, clipped, kept, seconds = [], 0, set[Path](), 0.0
    for index in range(wanted.count):
        label = labels[index % len(labels)] if labels else None
        try:
            made = sampler.one(index, label, points[index], wanted.cut, decode)
            facts = common | _facts(wanted, index, made, label, lowest, phase)
            clipped += _write(wanted, index, made, trained, facts)
        except Exception as error:
            if of_all_files(error) is not None:
                raise
            warn(fault_of(_path(wanted, index), error))
            continue
        kept |= {_path(wanted, index, suffix) for suffix in SUFFIXES}
        seconds = len(made.audio) / trained.spec.sample_rate
        if index < SHOWN:
            shown.append((_caption(index, facts), made.audio))
    for path in earlier - kept:
        path.unlink()  # of an earlier run: the folder would otherwise mix clips of two runs
    _write_page(wanted, trained, shown, phase)
    count = len(kept) // len(SUFFIXES)
    if count < wanted.count:
        raise GansembleError(
            f"{wanted.count - count} of {wanted.count} clips could not be made, as said above; {count} are in {wanted.output}"
        )
    return (
        f"{wanted.count} clips of {seconds:.2f} s in {wanted.output} (step {trained.step}, seed {wanted.seed})"
        + (f", {clipped} samples clipped" if clipped else "")
        + (f"; phase: {phase}" if phase is not None else "")
    )


def _write_page(
    wanted: SampleOptions, trained: TrainedGenerator, shown: Sequence[tuple[str, np.ndarray]], phase: str | None
) -> None:
    """Writes the page of the clips (caption, audio); removes that of an earlier run where there are none."""
    path = wanted.output / "index.html"
    if not shown:
        path.unlink(missing_ok=True)
        return
    note = _note(wanted, trained) + (f"; phase: {phase}" if phase is not None else "")
    settings = trained.recipe.evaluation
    page = walls.wall("Samples", note, shown, trained.spec, walls.look_of(trained.recipe), settings)
    write_atomically(path, page)


def _demand_same(wanted: SampleOptions, earlier: set[Path], now: Mapping[str, object], labels: Sequence[Label]) -> None:
    """Refuses to replace or remove clips that an earlier command made with other options.

    Args:
        wanted: which clips to generate.
        earlier: files of that command.
        now: what all clips are made from now.
        labels: that they get in turn.

    Raises:
        GansembleError: naming a clip, and what differs.
    """
    more = "; give another --output, or --overwrite"
    asked = {_path(wanted, index, suffix) for index in range(wanted.count) for suffix in SUFFIXES}
    if earlier - asked:
        raise GansembleError(
            f"--output {wanted.output}: {min(earlier - asked).with_suffix('.wav').name} would be removed, as --count is "
            f"{wanted.count}{more}"
        )
    known = None
    for path in sorted(each for each in earlier if each.suffix == ".json"):
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            known = None
        if not isinstance(known, dict):
            raise GansembleError(f"--output {wanted.output}: {path.name} is damaged{more}")
        plain = json.loads(json.dumps(now))
        label = labels[int(path.stem.removeprefix("sample-")) % len(labels)] if labels else None
        plain |= {"label": label} if isinstance(label, int) else {"label": known.get("label")}
        keys = [key for key in plain if key not in ("exp", "index", "pitch", "checkpoint")]
        odd = [f"{key}: {known.get(key)}, now {plain[key]}" for key in keys if known.get(key) != plain[key]]
        if odd:
            raise GansembleError(
                f"--output {wanted.output}: {path.with_suffix('.wav').name} was made otherwise ({odd[0]}){more}"
            )


def _points(
    wanted: SampleOptions, sampler: LatentSampler, labels: list[Label]
) -> tuple[list[Tensor | None], list[Label]]:
    """(latent vector [Z] of each clip, or None to draw it; labels to go through)."""

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
    """Writes a clip, its latent vector and its settings; returns how many samples were clipped to full scale."""
    path = _path(wanted, index)
    if not np.isfinite(made.audio).all():
        raise GansembleError(
            f"{path}: the generator made NaN or Inf; take another --latent, --truncation or --checkpoint"
        )
    with staged_file(path) as temporary:  # a link that lies there is replaced, not written through
        facts["clipped"] = files.write(temporary, made.audio, trained.spec.sample_rate, wanted.sample_format)
    with staged_file(path.with_suffix(".npy")) as temporary, temporary.open("wb") as stream:
        np.save(stream, made.latent)
    write_atomically(path.with_suffix(".json"), json.dumps(facts, indent=1))
    return int(facts["clipped"])


def _facts(
    wanted: SampleOptions, index: int, made: Sample | None, label: Label | None, lowest: int | None, phase: str | None
) -> dict[str, Any]:
    """Everything that a clip was made from, as it is written beside it in JSON; without the clip, what is the same of all."""
    own = None if made is None else made.label
    facts: dict[str, Any] = {"seed": wanted.seed, "index": index, "label": own, "format": wanted.sample_format}
    facts |= {"pitch": own + lowest} if own is not None and lowest is not None else {}
    facts |= {"truncation": wanted.truncation, "truncation_mode": None if wanted.cut is None else wanted.cut.mode}
    facts |= {"interpolate": wanted.interpolate, "same_latent": wanted.one_latent}
    facts |= {"between_labels": wanted.between_labels}
    facts |= {"classes": label.tolist()} if isinstance(label, Tensor) else {}
    facts |= {"phase": phase} if phase is not None else {}
    return facts | {"latent": None if wanted.latent is None else str(wanted.latent)}


def _note(wanted: SampleOptions, trained: TrainedGenerator) -> str:
    """A line below the page's title: which experiment made the clips, and how."""
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
    """Labels that the clips get in turn, or mixtures of two classes; empty where the generator reads no label."""
    labels: list[Label] = list(_labels(sampler, recipe, wanted.labels, wanted.pitches, lowest))
    if wanted.between_labels is not None:
        return list(_mixtures(sampler, recipe, wanted.between_labels, wanted.count))
    return labels


def _earlier(output: Path) -> set[Path]:
    """Files that an earlier run of this command left in the output folder, apart from the page.

    Raises:
        GansembleError: if the folder holds any other file.
    """
    for left in output.iterdir():
        if re.fullmatch(r"\.(sample-\d+\.\w+|index\.html)\.[0-9a-f]{16}\.tmp", left.name):
            left.unlink()  # of a run that was killed
    there = set(output.iterdir()) - {output / "index.html"}
    named = {path for path in there if re.fullmatch(r"sample-\d+", path.stem) and path.suffix in SUFFIXES}
    # The .json of a clip is written last. A stopped run leaves at most one clip without it; more than one, or none with
    # it, are files of another origin that only have similar names.
    whole = {path.stem for path in named if path.suffix == ".json"}
    begun = {path.stem for path in named} - whole
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
    """``count`` mixtures [K] of K classes, in equal steps from one class to another.

    Raises:
        GansembleError: if the generator takes no mixtures of classes, or has fewer classes.
    """
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
    """(function from generator output to audio, None for the representation's own; where the phase comes from)."""
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
    """Label indices that the clips get in turn; empty where the generator reads no label.

    Raises:
        GansembleError: if labels or pitches are asked for that the generator does not have.
    """
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
