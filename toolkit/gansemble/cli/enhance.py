"""``enhance``: restores audio files with a trained generator."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.each_file import EachFile
from gansemble.cli.input_files import expand
from gansemble.cli.made_files import Job, MadeFiles, demand_apart, demand_outside_inputs
from gansemble.cli.options import CHUNK, PATH, finite, output_folder, overwrite_option, page_option
from gansemble.cli.page_of_files import demand_page, write_page
from gansemble.cli.terminal import printable, say
from gansemble.errors import GansembleError

if TYPE_CHECKING:
    from gansemble.audio.files import SampleFormat
    from gansemble.inference.enhancement import EnhancedFile
    from gansemble.inference.trained import TrainedGenerator


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
    type=CHUNK,
    callback=finite,
    default=6.0,
    show_default=True,
    help="Length made at a time; memory grows with it, and what is spent on context falls.",
)
@click.option(
    "--keep-below",
    type=click.FloatRange(0, 1_000_000),
    callback=finite,
    metavar="HZ",
    help="Leave what lies below this frequency as it is; only add above it.",
)
@page_option
@overwrite_option
@click.option("--force", is_flag=True, hidden=True)  # what --overwrite was called before
def enhance(
    inputs: tuple[Path, ...],
    exp: Path,
    output: Path,
    checkpoint: str,
    resample: bool,
    sample_format: SampleFormat | None,
    chunk_seconds: float,
    keep_below: float | None,
    page: Path | None,
    overwrite: bool,
    force: bool,
) -> None:
    """Restore recordings: audio files, or folders of them, of any length and any number of channels.

    Files are made in chunks whose result is the whole file's, channel by channel, and keep their name, format and the tags
    that libsndfile knows: title, artist, album, comment, date, genre, track number, copyright, license and software. Others,
    such as album artist, ReplayGain and pictures, are left out; their names are told for FLAC, Ogg and MP3 (ID3v2). A file that this command has made already is left as it is, so that an
    interrupted command can be given again; any other file that is there is refused.
    """
    from gansemble.inference import enhancement, loading, streaming
    from gansemble.recipe.task import Task

    sources = [found for path in inputs for found in expand(path)]
    jobs = [Job(source, enhancement.target_of(source, output, name, sample_format)) for source, name in sources]
    demand_outside_inputs(jobs, inputs, output)
    _demand_other_folder(jobs)
    demand_apart(jobs)
    demand_page(page)
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
    made = MadeFiles(output, "enhancement.json")
    decides = {"generator": loaded.identity, "format": sample_format, "keep_below": keep_below}
    todo, there = made.make(jobs, overwrite or force, lambda job: decides)
    for target in there:
        say(f"{target}: is there already, made of the same input; --overwrite makes it again")
    facts = {"exp": str(exp), "step": loaded.step}
    with contextlib.closing(made), EachFile(len(jobs), "restored", output, len(there)) as each:
        for job in todo:
            with each.file(job.source), _bar(job.source) as progress:
                note = made.complete(job, facts)
                done = enhancement.enhance(loaded, job.source, job.target, wanted, progress, overwrite or force, note)
                made.add(job, {"seconds": done.seconds, "took": done.took})
                _tell(done)
        write_page(page, jobs, loaded, "restored")


def _tell(done: EnhancedFile) -> None:
    """Prints what was done to a file, in one line."""
    before, after = (f"{hz / 1000:.1f} kHz" for hz in done.bandwidth)
    notes = [f"bandwidth {before} -> {after}", *([done.note] if done.note else [])]
    notes += [f"{done.clipped} samples clipped"] if done.clipped else []
    speed = done.seconds / max(1e-9, done.took)  # a clock may have seen no time pass
    say(f"{done.target}: {done.seconds:.2f} s, {speed:.2f} x real time; {'; '.join(notes)}")
    if done.left_out:
        say(f"{done.target}: tags that were left out: {', '.join(done.left_out)}")


def _check_band(keep_below: float | None, loaded: TrainedGenerator) -> None:
    from gansemble.inference.keep_below import KeepBelow

    if keep_below is not None:
        try:
            KeepBelow(loaded.generator, loaded.spec.sample_rate, keep_below)
        except ValueError as error:
            raise GansembleError(f"--keep-below {keep_below:g}: {error}") from error


def _demand_other_folder(jobs: list[Job]) -> None:
    """Refuses an output in the folder of its own input: restored files keep their names."""
    for job in jobs:
        if job.source.resolve().parent == job.target.parent.resolve():
            raise GansembleError(
                f"--output {job.target.parent}: is the folder of the input {printable(job.source.name)}; restored files keep "
                "their names, so give another --output"
            )


@contextlib.contextmanager
def _bar(source: Path) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task(printable(source.name), total=None)
        yield lambda made, total: progress.update(task, completed=made, total=total)
