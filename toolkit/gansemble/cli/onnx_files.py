"""``synthesise --onnx``: makes files with an exported generator, without torch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.each_file import EachFile
from gansemble.cli.input_files import expand
from gansemble.cli.made_files import Job, MadeFiles, demand_apart, demand_outside_inputs
from gansemble.cli.options import writable_folder
from gansemble.cli.terminal import printable, say
from gansemble.errors import GansembleError
from gansemble.files import sha256

if TYPE_CHECKING:
    from gansemble.exporting.files import MadeFile, Wanted
    from gansemble.exporting.runner import Runner


def make(
    onnx: Path,
    inputs: Sequence[Path],
    output: Path | None,
    count: int | None,
    seed: int,
    label: str | None,
    signals: Mapping[str, Path],
    settings: Mapping[str, object],
) -> None:
    """Makes files with the generator of an exported file.

    Args:
        onnx: the file.
        inputs: audio, spectrograms, or folders of them, for a generator that reads a signal.
        output: folder for the waveforms.
        count: how many clips, for one that makes its own.
        seed: of these clips.
        label: as the user wrote it.
        signals: files of what the generator reads besides, or folders of them, by name.
        settings: the other fields of :class:`gansemble.exporting.files.Wanted`.

    Raises:
        GansembleError: if the file cannot be used, or a file could not be made.
        click.UsageError: for options that do not go together.
    """
    from gansemble.exporting import files

    files.demand_runtime()
    runner = files.open_runner(onnx)
    reads = runner.facts["main"] is not None
    if output is None:
        raise click.UsageError("--onnx needs --output")
    if reads and (not inputs or count is not None):
        raise click.UsageError(f"{onnx} reads {runner.facts['main']}: give --input, and no --count")
    if not reads and (inputs or count is None or signals):
        raise click.UsageError(f"{onnx} makes clips of its own: give --count, and no --input or --signal")
    wanted = files.Wanted(label=files.label_of(runner, onnx, label), **settings)  # type: ignore[arg-type]
    if reads:
        _of_inputs(runner, onnx, inputs, output, signals, wanted)
    else:
        _of_latents(runner, onnx, output, count or 0, seed, wanted)


def _of_inputs(
    runner: Runner, onnx: Path, inputs: Sequence[Path], output: Path, signals: Mapping[str, Path], wanted: Wanted
) -> None:
    from gansemble.audio import listing
    from gansemble.exporting import files

    sources = [found for path in inputs for found in expand(path, listing.SUFFIXES | listing.ARRAYS, "audio or .npy")]
    jobs = [Job(source, output / f"{name}.wav") for source, name in sources]
    beside = {
        job.target: {key: place / f"{name}.npy" if place.is_dir() else place for key, place in signals.items()}
        for job, (_, name) in zip(jobs, sources, strict=True)
    }
    demand_outside_inputs(jobs, inputs, output)
    demand_apart(jobs)
    writable_folder(output)
    made, decides = MadeFiles(output, "synthesis.json"), _decides(onnx, wanted)
    todo, there = made.make(
        jobs,
        wanted.overwrite,
        lambda job: decides | {f"signal {name}": sha256(path) for name, path in beside[job.target].items()},
    )
    _tell_there(there)
    with contextlib.closing(made), EachFile(len(jobs), "made", output, len(there), "waveforms") as each:
        for job in todo:
            with each.file(job.source):
                note = made.complete(job, {"onnx": str(onnx)})
                _tell(job, files.make_file(runner, job.source, job.target, wanted, beside[job.target], note), made)


def _of_latents(runner: Runner, onnx: Path, output: Path, count: int, seed: int, wanted: Wanted) -> None:
    from gansemble.exporting import files

    writable_folder(output)
    jobs = [Job(onnx, output / f"clip-{index:05}.wav") for index in range(count)]
    numbers = {job.target: index for index, job in enumerate(jobs)}
    made, decides = MadeFiles(output, "synthesis.json"), _decides(onnx, wanted) | {"seed": seed}
    todo, there = made.make(jobs, wanted.overwrite, lambda job: decides | {"index": numbers[job.target]})
    _tell_there(there)
    with contextlib.closing(made), EachFile(len(jobs), "made", output, len(there), "clips") as each:
        for job in todo:
            with each.file(job.target):
                note = made.complete(job, {"onnx": str(onnx), "seed": seed, "index": numbers[job.target]})
                _tell(job, files.make_clip(runner, job.target, wanted, seed, numbers[job.target], note), made)


def _decides(onnx: Path, wanted: Wanted) -> dict[str, object]:
    """What decides the content of a file besides its input."""
    try:
        generator = sha256(onnx)
    except OSError as error:
        raise GansembleError(f"{onnx}: cannot be read ({error.strerror})") from error
    return {"onnx": generator, "format": wanted.sample_format, "label": wanted.label}


def _tell_there(there: Sequence[Path]) -> None:
    for target in there:
        say(f"{target}: is there already, made of the same input; --overwrite makes it again")


def _tell(job: Job, done: MadeFile, made: MadeFiles) -> None:
    made.add(job, {"seconds": done.seconds, "took": done.took})
    clipped = f", {done.clipped} samples clipped" if done.clipped else ""
    say(f"{printable(str(job.target))}: {done.seconds:.2f} s of audio, made in {done.took:.2g} s{clipped}")
