"""``sample``: clips of a generator that makes its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import click

from gansemble.cli.common import PATH, finite, output_folder, say, truncation_mode
from gansemble.errors import GansembleError


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """``3``, ``0,2,5`` or ``24-84``."""
    if value is None:
        return None
    found: list[int] = []
    for piece in value.split(","):
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", piece)
        if match is None:
            raise click.BadParameter(f"expected whole numbers such as 3, 0,2,5 or 24-84, got {value!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise click.BadParameter(f"the first number of {piece} is above the last; did you mean {last}-{first}?")
        found += range(first, last + 1)
    return found


#: Clips on the page.
SHOWN = 64
#: Of what is written for each clip, in this order.
SUFFIXES = (".wav", ".npy", ".json")


@click.command()
@click.option("--exp", type=PATH, required=True, help="Experiment folder.")
@click.option("--output", type=PATH, required=True, help="Folder for the waveforms.")
@click.option(
    "--count",
    type=click.IntRange(1, 1_000_000),
    default=16,
    show_default=True,
    help="Clips, or points of an interpolation.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of latent vectors.")
@click.option("--labels", callback=_numbers, help="Classes to make in turn, such as 0,2,5 or 0-9 (all).")
@click.option(
    "--pitch",
    "pitches",
    callback=_numbers,
    help="MIDI pitches to make in turn, such as 60 or 24-84 (all, from the lowest).",
)
@click.option("--same-latent", is_flag=True, help="One latent vector for all: a sweep over labels or pitches.")
@click.option(
    "--truncation",
    type=click.FloatRange(0, 10, min_open=True),
    callback=finite,
    help="Less variety below 1 (see --truncation-mode). The .npy beside a clip holds the truncated latent vector.",
)
@truncation_mode("--truncation-mode", "scale")
@click.option(
    "--interpolate",
    nargs=2,
    type=click.IntRange(0, 2**31),
    metavar="A B",
    help="From the latent vector of clip A to that of clip B; without --labels or --pitch, all of one label.",
)
@click.option(
    "--between-labels",
    nargs=2,
    type=click.IntRange(0, 2**31),
    metavar="A B",
    help="From class A to class B, of one latent vector, for generators that read mixtures of classes.",
)
@click.option("--phase-of", type=PATH, help="A recording whose phase generated magnitudes get; as long as a clip.")
@click.option("--vocoder", type=PATH, help="Experiment of a vocoder that makes the waveform of generated magnitudes.")
@click.option("--latent", type=PATH, help="A latent vector that was written beside a clip (.npy).")
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True)
@click.option(
    "--format", "sample_format", type=click.Choice(["pcm16", "pcm24", "float"]), default="pcm16", show_default=True
)
def sample(
    exp: Path,
    output: Path,
    count: int,
    seed: int,
    labels: list[int] | None,
    pitches: list[int] | None,
    same_latent: bool,
    truncation: float | None,
    truncation_mode: Literal["resample", "scale"],
    interpolate: tuple[int, int] | None,
    between_labels: tuple[int, int] | None,
    phase_of: Path | None,
    vocoder: Path | None,
    latent: Path | None,
    checkpoint: str,
    sample_format: Any,
) -> None:
    """Make clips from latent vectors: each WAV with its vector (.npy) and what it was made from (.json) beside it, and a
    page to look at and listen to them (index.html).

    The same command makes the same files again, bit for bit on the CPU, whatever --count was.
    """
    import numpy as np
    import torch

    from gansemble import sampling
    from gansemble.audio import files
    from gansemble.data.labels import Labels
    from gansemble.evaluation import walls
    from gansemble.files import write_atomically

    if sum(each is not None for each in (labels, pitches, between_labels)) > 1:
        raise click.UsageError("--labels, --pitch or --between-labels, not more than one")
    if sum((interpolate is not None, latent is not None, same_latent)) > 1:
        raise click.UsageError("--interpolate, --latent or --same-latent, not more than one")
    if phase_of is not None and vocoder is not None:
        raise click.UsageError("--phase-of or --vocoder, not both")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    maker, loaded = sampling.load(exp, checkpoint, device, seed, lambda text: click.echo(f"warning: {text}", err=True))
    lowest = Labels.of(loaded.recipe).lowest
    told: list[Any] = list(_labels(maker, loaded.recipe, labels, pitches, lowest))
    if between_labels is not None:
        told = _mixtures(maker, loaded.recipe, between_labels, count)
        same_latent = same_latent or (interpolate is None and latent is None)
    look = walls.look_of(loaded.recipe)
    cut = None if truncation is None else sampling.Truncation(truncation, truncation_mode)
    decode, phase = _decoder(maker, loaded, phase_of, vocoder, device)
    given = None if latent is None else _latent(latent, maker.conditioner.latent)
    points: list[Any] = [given] * count
    if interpolate is not None:
        if labels is None and pitches is None and between_labels is None and told:
            told = [told[interpolate[0] % len(told)]]  # that of clip A, so that one thing changes at a time
        ends = [torch.from_numpy(maker.one(index, told[0] if told else None).latent) for index in interpolate]
        points = sampling.between(ends[0], ends[1], count, maker.conditioner.latent_law)
    elif same_latent and given is None:
        points = [torch.from_numpy(maker.one(0, told[0] if told else None).latent)] * count
    output_folder(output, exp)
    earlier = _earlier(output)
    shown, clippings = [], 0
    for index in range(count):
        made = maker.one(index, told[index % len(told)] if told else None, points[index], cut, decode)
        path = output / f"sample-{index:05d}.wav"
        if not np.isfinite(made.audio).all():
            raise GansembleError(
                f"{path}: the generator made NaN or Inf; take another --latent, --truncation or --checkpoint"
            )
        clipped = files.write(path, made.audio, loaded.spec.sample_rate, sample_format)
        clippings += clipped
        np.save(path.with_suffix(".npy"), made.latent)
        facts = {"exp": str(exp), "checkpoint": loaded.source.name, "step": loaded.step}
        facts |= {"seed": seed, "index": index, "label": made.label}
        facts |= {"pitch": made.label + lowest} if made.label is not None and lowest is not None else {}
        facts |= {"truncation": truncation, "truncation_mode": None if cut is None else cut.mode}
        facts |= {"interpolate": interpolate, "same_latent": same_latent, "between_labels": between_labels}
        facts |= {"classes": told[index].tolist()} if between_labels is not None else {}
        facts |= {"phase": phase} if phase is not None else {}
        facts |= {"latent": None if latent is None else str(latent), "clipped": clipped}
        path.with_suffix(".json").write_text(json.dumps(facts, indent=1))
        if index < SHOWN:
            shown.append((_caption(index, facts), made.audio))
    for path in earlier - {output / f"sample-{index:05d}{suffix}" for index in range(count) for suffix in SUFFIXES}:
        path.unlink()  # of a longer run before: clips of two runs are no set
    note = f"{loaded.recipe.name}, step {loaded.step}, seed {seed}"
    note += f"; from the latent vector of clip {interpolate[0]} to that of clip {interpolate[1]}" if interpolate else ""
    note += f"; the latent vector of {latent}" if latent else ""
    note += "; one latent vector for all" if same_latent else ""
    note += f"; from class {between_labels[0]} to class {between_labels[1]}" if between_labels else ""
    note += f"; phase: {phase}" if phase is not None else ""
    write_atomically(output / "index.html", walls.wall("Samples", note, shown, loaded.spec, look))
    note = f", {clippings} samples clipped" if clippings else ""
    note += f"; phase: {phase}" if phase is not None else ""
    say(
        f"{count} clips of {len(made.audio) / loaded.spec.sample_rate:.2f} s in {output} (step {loaded.step}, seed {seed}){note}"
    )


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


def _mixtures(maker: Any, recipe: Any, ends: tuple[int, int], count: int) -> list[Any]:
    """``count`` mixtures [K] from one class to another."""
    import torch

    if "label" not in maker.conditioner.reads or not getattr(maker.generator, "mixes_labels", False):
        raise GansembleError(
            f"--between-labels: generator {recipe.single['generator'].use} reads no mixtures of classes; use --labels if it reads classes"
        )
    wrong = [label for label in ends if label >= maker.classes]
    if wrong:
        raise GansembleError(
            f"--between-labels {wrong[0]}: must be below {maker.classes}, what the generator was built for"
        )
    first, last = torch.eye(maker.classes)[list(ends)]
    return [first + share * (last - first) for share in torch.linspace(0, 1, count)]


def _decoder(
    maker: Any, loaded: Any, phase_of: Path | None, vocoder: Path | None, device: str
) -> tuple[Any, str | None]:
    """(what turns generated magnitudes into audio, None for the representation's own way; where their phase is from)."""
    from gansemble import phases

    spec = loaded.spec
    if phase_of is not None:
        length = loaded.recipe.plan.segment
        return phases.of_recording(maker.representation, phase_of, spec, length), f"that of {phase_of}"
    if vocoder is not None:
        return phases.of_vocoder(maker.representation, vocoder, spec, device), f"made by the vocoder {vocoder}"
    return None, maker.phase


def _labels(
    maker: Any, recipe: Any, labels: list[int] | None, pitches: list[int] | None, lowest: int | None
) -> list[int]:
    """Label indices to go through; empty where the generator reads none."""
    from gansemble.recipe.contracts import contract_of

    contract = contract_of(recipe.single["generator"], recipe)
    reads = "label" in maker.conditioner.reads
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


def _latent(path: Path, size: int | None) -> Any:
    import numpy as np
    import torch

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
