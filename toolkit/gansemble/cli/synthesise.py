"""``synthesise``: stage 4 with a recipe, or any files with ``--input``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.each_file import EachFile
from gansemble.cli.input_files import expand
from gansemble.cli.made_files import Job, MadeFiles, demand_apart, demand_outside_inputs
from gansemble.cli.options import CHUNK, CLIPS, PATH, finite, output_folder, overwrite_option, page_option, set_option
from gansemble.cli.page_of_files import demand_page, write_page
from gansemble.cli.stage_run import StageRun
from gansemble.cli.terminal import say
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
    help="Audio files, or .npy log-mels [mels, frames] as gansemble mels writes them (the natural logarithm of magnitudes in "
    "the mel bands of its recipe); or folders of them.",
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
@click.option(
    "--precision",
    type=click.Choice(["float32", "bf16"]),
    default="float32",
    show_default=True,
    help="bf16 is about twice as fast on processors that compute in it, with some loss; for --input.",
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
@click.option(
    "--onnx",
    type=PATH,
    metavar="FILE",
    help="Use a file that gansemble export wrote, in place of --exp, for any task, without torch.",
)
@click.option("--count", type=CLIPS, help="With --onnx: how many clips, of a generator that makes its own.")
@click.option("--seed", type=click.IntRange(0, 2**53), help="With --count: of the latent vectors (default: 0).")
@page_option
@overwrite_option
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
    precision: str,
    resample: bool,
    label: str | None,
    signals: tuple[str, ...],
    onnx: Path | None,
    count: int | None,
    seed: int | None,
    page: Path | None,
    overwrite: bool,
) -> None:
    """Generate waveforms.

    With RECIPE: stage 4, copy-synthesis of the held-out clips into exp/<name>/samples. With --exp, --input and
    --output: copy-synthesis of any audio, or waveforms of mel spectrograms; with --onnx in place of --exp the same, or what
    else an exported generator makes: restored recordings, or --count clips. A waveform that such a command has made already
    is left as it is, so that an interrupted command can be given again; any other file that is there is refused.
    """
    _demand_place(onnx, recipe or exp or page, count, seed, precision)
    if onnx is not None:
        from gansemble.cli import onnx_files

        settings = {"sample_format": sample_format, "seconds": chunk_seconds, "resample": resample}
        places = _Signals.read(signals).places
        onnx_files.make(onnx, inputs, output, count, seed or 0, label, places, {**settings, "overwrite": overwrite})
        return
    if inputs:
        if exp is None or output is None:
            raise click.UsageError("--input needs --exp and --output")
        given, half = _Signals.read(signals), precision == "bf16"
        _files(
            exp, inputs, output, sample_format, checkpoint, chunk_seconds, half, resample, label, given, page, overwrite
        )
        return
    if label is not None or signals or page is not None or overwrite or precision != "float32":
        raise click.UsageError(
            "--label, --signal, --precision, --page and --overwrite go with --input; stage 4 takes what the held-out clips have, "
            "computes in float32, and makes its own clips again with --force"
        )
    if recipe is None:
        raise click.UsageError("expected RECIPE (stage 4), or --exp, --input and --output")
    _held_out(Project.of(recipe, overrides, exp, data, dump), force, dry_run)


def _held_out(project: Project, force: bool, dry_run: bool) -> None:
    """Stage 4."""
    with StageRun(project, "synthesise", force, dry_run, lock=project.exp) as run:
        if not run.needed:
            return
        from gansemble.evaluation import synthesis
        from gansemble.files import sha256

        index = synthesis.synthesise(project, say)
        run.done(index.promised(project.exp), sha256(index.path(project.exp))[:16])


def _demand_place(onnx: Path | None, other: Path | None, count: int | None, seed: int | None, precision: str) -> None:
    """Refuses an exported file beside what it takes the place of, and its options without one."""
    if onnx is not None and precision != "float32":
        raise click.UsageError("--precision goes with --exp; an exported file computes in what it was exported in")
    if onnx is not None and other is not None:
        raise click.UsageError("--onnx takes the place of RECIPE and --exp, and --page goes with --exp")
    if onnx is None and (count is not None or seed is not None):
        raise click.UsageError("--count and --seed go with --onnx; gansemble sample makes clips with an experiment")


def _files(
    exp: Path,
    inputs: tuple[Path, ...],
    output: Path,
    sample_format: SampleFormat,
    which: str,
    chunk: float,
    half: bool,
    resample: bool,
    label: str | None,
    signals: _Signals,
    page: Path | None,
    overwrite: bool,
) -> None:
    from gansemble.audio import listing
    from gansemble.inference import loading, precision, vocoding
    from gansemble.recipe.task import Task

    kinds = listing.SUFFIXES | listing.ARRAYS
    sources = [found for path in inputs for found in expand(path, kinds, "audio or .npy")]
    jobs = [Job(source, output / f"{name}.wav") for source, name in sources]
    names = {job.target: name for job, (_, name) in zip(jobs, sources, strict=True)}
    demand_outside_inputs(jobs, inputs, output)
    demand_apart(jobs)
    demand_page(page)
    loaded = loading.load(exp, which, warn=lambda text: click.echo(f"warning: {text}", err=True))
    loaded.recipe.demand_task(Task.VOCODING, exp)
    if half:
        precision.in_bf16(loaded.generator)
    chosen = None if label is None else loaded.label(label)
    say(f"generator of step {loaded.step}, {loaded.source}")
    vocoding.demand_usable(loaded, [source for source, _ in sources], signals.places.keys(), chosen is not None)
    vocoding.demand_scale(loaded, [source for source, _ in sources])
    shared = signals.shared(loaded.recipe)
    output_folder(output, exp)
    made = MadeFiles(output, "synthesis.json")
    settings = {"generator": loaded.identity, "format": sample_format, "label": chosen}
    settings |= {"precision": "bf16"} if half else {}
    todo, there = made.make(jobs, overwrite, lambda job: settings | signals.digests(names[job.target]))
    for target in there:
        say(f"{target}: is there already, made of the same input; --overwrite makes it again")
    facts = {"exp": str(exp), "step": loaded.step}
    with contextlib.closing(made), EachFile(len(jobs), "made", output, len(there), "waveforms") as each:
        for job in todo:
            with each.file(job.source):
                given, note = signals.of(names[job.target]) | shared, made.complete(job, facts)
                done = vocoding.synthesise_file(
                    loaded, job.source, job.target, sample_format, chunk, resample, chosen, given, overwrite, note
                )
                made.add(job, {"seconds": done["seconds"], "took": done["took"]})
                clipped = f", {done['clipped']} samples clipped" if done["clipped"] else ""
                say(f"{job.target}: {done['seconds']:.2f} s of audio, made in {done['took']:.2g} s{clipped}")
        write_page(page, jobs, loaded, "made")


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

    def digests(self, name: str) -> dict[str, str]:
        """The SHA-256 of each signal's file for an input of this name.

        Raises:
            OSError: if one cannot be read.
        """
        from gansemble.files import sha256

        return {
            f"signal {key}": sha256(place / f"{name}.npy" if place.is_dir() else place)
            for key, place in self.places.items()
        }

    def shared(self, recipe: Recipe) -> dict[str, Path | Tensor]:
        """The signals [C, L] of those files that are for all inputs, read here once.

        Raises:
            DataError: if one cannot be used.
        """
        from gansemble.inference import vocoding

        files = {key: place for key, place in self.places.items() if not place.is_dir()}
        return {key: vocoding.read_signal(key, place, recipe) for key, place in files.items()}
