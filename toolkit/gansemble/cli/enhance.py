"""``enhance``: restores audio files with a trained generator."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble import json_files
from gansemble.cli.input_files import demand_distinct, expand
from gansemble.cli.options import PATH, finite, output_folder
from gansemble.cli.terminal import say
from gansemble.errors import DataError, GansembleError

if TYPE_CHECKING:
    from gansemble.audio.files import SampleFormat
    from gansemble.inference.enhancement import EnhancedFile
    from gansemble.inference.loading import TrainedGenerator


@click.command()
@click.argument("inputs", type=PATH, nargs=-1, required=True, metavar="FILES…")
@click.option("--exp", type=PATH, required=True, help="Experiment folder.")
@click.option("--output", type=PATH, required=True, help="Folder for the restored files.")
@click.option("--checkpoint", type=click.Choice(["best", "last"]), default="best", show_default=True)
@click.option(
    "--resample", is_flag=True, help="Bring files of another rate to the generator's instead of refusing them."
)
@click.option(
    "--format",
    "sample_format",
    type=click.Choice(["pcm16", "pcm24", "float"]),
    help="Write WAV of this sample format; else the input's own format and sample format.",
)
@click.option(
    "--chunk-seconds",
    type=click.FloatRange(0, 100_000, min_open=True),
    callback=finite,
    default=6.0,
    show_default=True,
    help="Length made at a time; memory grows with it, and what is spent on context falls.",
)
@click.option(
    "--keep-below", type=float, metavar="HZ", help="Leave what lies below this frequency as it is; only add above it."
)
@click.option("--force", is_flag=True, help="Make files again that are there already.")
def enhance(
    inputs: tuple[Path, ...],
    exp: Path,
    output: Path,
    checkpoint: str,
    resample: bool,
    sample_format: SampleFormat | None,
    chunk_seconds: float,
    keep_below: float | None,
    force: bool,
) -> None:
    """Restore recordings: audio files, or folders of them, of any length and any number of channels.

    Files are made in chunks whose result is the whole file's, channel by channel, and keep their name, format and tags.
    One that is in the output folder already is left as it is, so that an interrupted command can be given again.
    """
    from gansemble.audio import files
    from gansemble.inference import enhancement, loading, streaming
    from gansemble.recipe.task import Task

    sources = [found for path in inputs for found in expand(path, lambda folder: files.find(folder))]
    _check_places(
        inputs, [(source, enhancement.target_of(source, output, name, sample_format)) for source, name in sources]
    )
    output_folder(output, exp)
    loaded = loading.load(exp, checkpoint, warn=lambda text: click.echo(f"warning: {text}", err=True))
    loaded.recipe.demand_task(Task.ENHANCEMENT, exp)
    _check_band(keep_below, loaded)
    wanted = enhancement.EnhanceOptions(
        int(chunk_seconds * loaded.spec.sample_rate), resample, sample_format, keep_below
    )
    say(f"generator of step {loaded.step}, {loaded.source}")
    if streaming.bounds(loaded.generator)[0] is None:
        say(
            "this generator must see whole recordings: --chunk-seconds has no effect, and memory grows with their length"
        )
    failed = 0
    for source, name in sources:
        target = enhancement.target_of(source, output, name, sample_format)
        if target.exists() and not target.is_dir() and not force:
            say(f"{target}: is there already; --force makes it again")
            continue
        try:
            with _bar(source) as progress:
                done = enhancement.enhance(loaded, source, target, wanted, progress)
        except DataError as error:
            failed += 1
            click.echo(f"error: {error}", err=True)
            continue
        _tell(done)
        facts = {
            "source": str(source),
            "exp": str(exp),
            "step": loaded.step,
            "seconds": done.seconds,
            "took": done.took,
        }
        _record(output / "enhancement.json", str(target.relative_to(output)), facts)
    if failed:
        raise GansembleError(f"{failed} of {len(sources)} files could not be restored; the others are in {output}")


def _tell(done: EnhancedFile) -> None:
    """Prints what was done to a file, in one line."""
    before, after = (f"{hz / 1000:.1f} kHz" for hz in done.bandwidth)
    notes = [f"bandwidth {before} -> {after}", *([done.note] if done.note else [])]
    notes += [f"{done.clipped} samples clipped"] if done.clipped else []
    speed = done.seconds / max(1e-9, done.took)  # a clock may have seen no time pass
    say(f"{done.target}: {done.seconds:.2f} s, {speed:.2f} x real time; {'; '.join(notes)}")


def _check_band(keep_below: float | None, loaded: TrainedGenerator) -> None:
    from gansemble.inference.keep_below import KeepBelow

    if keep_below is not None:
        try:
            KeepBelow(loaded.generator, loaded.spec.sample_rate, keep_below)
        except ValueError as error:
            raise GansembleError(f"--keep-below {keep_below:g}: {error}") from error


def _record(path: Path, name: str, facts: Mapping[str, object]) -> None:
    """Adds a file to the record of what was restored, ``enhancement.json``, or replaces its entry there."""
    try:
        known = json_files.read(path, dict[str, object], "it is begun anew")
    except json_files.MissingFile:
        known = {}
    except json_files.DamagedFile as error:
        say(f"note: {error}")
        known = {}
    json_files.write(path, {**known, name: facts})


def _check_places(inputs: tuple[Path, ...], targets: list[tuple[Path, Path]]) -> None:
    """Refuses an output in an input folder, in the folder of its own input, or at the place of another output."""
    for folder in (path.resolve() for path in inputs if path.is_dir()):
        for _, target in targets:
            if target.resolve().is_relative_to(folder):
                raise GansembleError(
                    f"--output: {target} would lie in the input folder {folder}; give another --output, outside of it"
                )
    for source, target in targets:
        if source.resolve().parent == target.resolve().parent:
            raise GansembleError(
                f"--output {target.parent}: is the folder of the input {source.name}; restored files keep their names, so "
                "give another --output"
            )
    demand_distinct([target for _, target in targets])


@contextlib.contextmanager
def _bar(source: Path) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task(source.name, total=None)
        yield lambda made, total: progress.update(task, completed=made, total=total)
