"""``synthesise``: stage 4 with a recipe, or any files with ``--input``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.input_files import demand_distinct, expand
from gansemble.cli.options import CHUNK, PATH, finite, output_folder, set_option
from gansemble.cli.stage_run import StageRun
from gansemble.cli.terminal import say
from gansemble.errors import DataError, GansembleError
from gansemble.stages import Project

if TYPE_CHECKING:
    from torch import Tensor

    from gansemble.audio.files import SampleFormat
    from gansemble.recipe.schema import Recipe

FORMATS = click.Choice(["pcm16", "pcm24", "float"])


@click.command()
@click.argument("recipe", type=PATH, required=False)
@set_option
@click.option("--exp", type=PATH, help="Experiment folder.")
@click.option("--data", type=PATH, help="Corpus folder (stage 4).")
@click.option("--dump", type=PATH, help="Packed data (stage 4).")
@click.option("--force", is_flag=True, help="Run even if up to date.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--input",
    "inputs",
    type=PATH,
    multiple=True,
    help="Audio files, .npy log-mels [mels, frames], or folders of them.",
)
@click.option("--output", type=PATH, help="Folder for the waveforms of --input.")
@click.option(
    "--format",
    "sample_format",
    type=FORMATS,
    default="pcm16",
    show_default=True,
    help="Sample format of --input's waveforms.",
)
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which checkpoint --input uses.",
)
@click.option(
    "--chunk-seconds",
    type=CHUNK,
    callback=finite,
    default=10.0,
    show_default=True,
    help="Length made at a time; memory grows with it.",
)
@click.option("--resample", is_flag=True, help="Resample inputs of another rate instead of refusing them.")
@click.option("--label", help="Class (name or number) or pitch of --input's waveforms, for a generator that reads one.")
@click.option(
    "--signal",
    "signals",
    multiple=True,
    metavar="NAME=FILE",
    help="A signal that the generator reads, .npy [channels, frames], instead of what is computed of --input; or a folder "
    "of them, named like the inputs.",
)
def synthesise(
    recipe: Path | None,
    overrides: tuple[str, ...],
    exp: Path | None,
    data: Path | None,
    dump: Path | None,
    force: bool,
    dry_run: bool,
    inputs: tuple[Path, ...],
    output: Path | None,
    sample_format: SampleFormat,
    checkpoint: str,
    chunk_seconds: float,
    resample: bool,
    label: str | None,
    signals: tuple[str, ...],
) -> None:
    """Generate waveforms.

    With RECIPE: stage 4, copy-synthesis of the held-out clips into exp/<name>/samples. With --exp, --input and
    --output: copy-synthesis of any audio, or waveforms of mel spectrograms.
    """
    if inputs:
        if exp is None or output is None:
            raise click.UsageError("--input needs --exp and --output")
        given = _Signals.read(signals)
        _files(exp, inputs, output, sample_format, checkpoint, chunk_seconds, resample, label, given)
        return
    if label is not None or signals:
        raise click.UsageError("--label and --signal go with --input; stage 4 takes what the held-out clips have")
    if recipe is None:
        raise click.UsageError("expected RECIPE (stage 4), or --exp, --input and --output")
    project = Project.of(recipe, overrides, exp, data, dump)
    with StageRun(project, "synthesise", force, dry_run, lock=project.exp) as run:
        if not run.needed:
            return
        from gansemble.evaluation import synthesis
        from gansemble.files import sha256

        index = synthesis.synthesise(project, say)
        run.done(index.promised(project.exp), sha256(index.path(project.exp))[:16])


def _files(
    exp: Path,
    inputs: tuple[Path, ...],
    output: Path,
    sample_format: SampleFormat,
    which: str,
    chunk: float,
    resample: bool,
    label: str | None,
    signals: _Signals,
) -> None:
    from gansemble.audio import listing
    from gansemble.inference import loading, vocoding
    from gansemble.recipe.task import Task

    def listed(folder: Path) -> list[Path]:
        return sorted([*listing.audio(folder), *listing.arrays(folder)])

    sources = [found for path in inputs for found in expand(path, listed, "audio or .npy")]
    demand_distinct([output / f"{name}.wav" for _, name in sources])
    for folder in (path.resolve() for path in inputs if path.is_dir()):
        if output.resolve().is_relative_to(folder):
            raise GansembleError(
                f"--output {output}: lies in the input folder {folder}, where its waveforms would be inputs of the next "
                "run; give another --output, outside of it"
            )
    output_folder(output, exp)
    loaded = loading.load(exp, which, warn=lambda text: click.echo(f"warning: {text}", err=True))
    loaded.recipe.demand_task(Task.VOCODING, exp)
    chosen = None if label is None else loaded.label(label)
    say(f"generator of step {loaded.step}, {loaded.source}")
    vocoding.demand_usable(loaded, [source for source, _ in sources], signals.places.keys(), chosen is not None)
    shared = signals.shared(loaded.recipe)
    failed = []
    for source, name in sources:
        target = output / f"{name}.wav"
        if target.resolve() == source.resolve():
            raise GansembleError(f"{target}: the output would overwrite its input; give another --output")
        try:
            facts = vocoding.synthesise_file(
                loaded, source, target, sample_format, chunk, resample, chosen, signals.of(name) | shared
            )
        except DataError as error:
            failed.append(str(error))
            click.echo(f"error: {error}", err=True)
            continue
        note = f", {facts['clipped']} samples clipped" if facts["clipped"] else ""
        say(f"{target}: {facts['seconds']:.2f} s, {facts['seconds'] / max(1e-9, facts['took']):.1f} x real time{note}")
    (output / "synthesis.json").write_text(
        json.dumps({"exp": os.path.relpath(exp, output), "step": loaded.step, "files": len(sources) - len(failed)})
    )
    if failed:
        raise GansembleError(f"{len(failed)} of {len(sources)} inputs could not be used; the others are in {output}")


@dataclass(frozen=True)
class _Signals:
    """The files of ``--signal``.

    Args:
        places: a file for all inputs, or a folder of files that are named like them, by the signal's name.
    """

    places: Mapping[str, Path]

    @classmethod
    def read(cls, given: Sequence[str]) -> _Signals:
        """Reads NAME=FILE options.

        Raises:
            click.UsageError: if one is not of this form, names a signal twice, or a place that is not there.
        """
        places: dict[str, Path] = {}
        for text in given:
            name, equals, path = text.partition("=")
            if not name or not equals or not path:
                raise click.UsageError(f"--signal {text}: expected NAME=FILE, such as f0=pitch.npy")
            if name in places:
                raise click.UsageError(f"--signal {text}: {name} was given before")
            if not Path(path).exists():
                raise click.UsageError(f"--signal {text}: no such file or folder")
            places[name] = Path(path)
        return cls(places)

    def of(self, name: str) -> dict[str, Path | Tensor]:
        """The files in folders for an input of this name, by the signal's name."""
        return {key: place / f"{name}.npy" for key, place in self.places.items() if place.is_dir()}

    def shared(self, recipe: Recipe) -> dict[str, Path | Tensor]:
        """The signals [C, L] of those files that are for all inputs, read here once.

        Raises:
            DataError: if one cannot be used.
        """
        from gansemble.inference import vocoding

        files = {key: place for key, place in self.places.items() if not place.is_dir()}
        return {key: vocoding.read_signal(key, place, recipe) for key, place in files.items()}
