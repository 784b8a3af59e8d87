"""``sample``: generates clips of its own with a generator that imitates none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gansemble.cli.options import CLIPS, PATH, finite, output_folder, overwrite_option, truncation_mode
from gansemble.cli.terminal import say

if TYPE_CHECKING:
    from gansemble.evaluation.samples import SampleOptions


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """A click callback that reads whole numbers such as ``3``, ``0,2,5`` or ``24-84``."""
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


@click.command()
@click.option("--exp", type=PATH, required=True, help="Experiment folder.")
@click.option("--output", type=PATH, required=True, help="Folder for the waveforms.")
@click.option(
    "--count",
    type=CLIPS,
    default=16,
    show_default=True,
    help="Clips, or points of an interpolation.",
)
@click.option("--seed", type=click.IntRange(0, 2**53), default=0, show_default=True, help="Of latent vectors.")
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
@overwrite_option
def sample(exp: Path, output: Path, **given: Any) -> None:
    """Make clips from latent vectors: each WAV with its vector (.npy) and what it was made from (.json) beside it, and a
    page to look at and listen to them (index.html).

    The same command makes the same files again, bit for bit on the CPU, whatever --count was, also where it was interrupted.
    Clips that were made otherwise are not replaced without --overwrite, and other files never.
    """
    from gansemble.evaluation.samples import SampleOptions, make

    wanted = SampleOptions(exp=exp, output=output, **given)
    _demand_one_of_each(wanted)
    say(make(wanted, output_folder, lambda text: click.echo(f"warning: {text}", err=True)))


def _demand_one_of_each(wanted: SampleOptions) -> None:
    """Refuses options that exclude each other."""
    if sum(each is not None for each in (wanted.labels, wanted.pitches, wanted.between_labels)) > 1:
        raise click.UsageError("--labels, --pitch or --between-labels, not more than one")
    if sum((wanted.interpolate is not None, wanted.latent is not None, wanted.same_latent)) > 1:
        raise click.UsageError("--interpolate, --latent or --same-latent, not more than one")
    if wanted.phase_of is not None and wanted.vocoder is not None:
        raise click.UsageError("--phase-of or --vocoder, not both")
