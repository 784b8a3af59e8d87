"""``mels``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gansemble.cli.input_files import demand_distinct, demand_free, expand
from gansemble.cli.options import PATH, set_option
from gansemble.cli.terminal import say
from gansemble.errors import DataError, GansembleError
from gansemble.stages import Project

#: File in the output folder that says how its spectrograms were computed.
FACTS = "mels.json"


@click.command()
@click.argument("recipe", type=PATH, required=False)
@set_option
@click.option("--exp", type=PATH, help="Take the recipe of this experiment.")
@click.option("--input", "inputs", type=PATH, multiple=True, required=True, help="Audio files, or folders of them.")
@click.option("--output", type=PATH, required=True, help="Folder to write them in, named like the inputs.")
@click.option("--overwrite", is_flag=True, help="Write over files of the same names, such as another system's.")
@click.option("--resample", is_flag=True, help="Resample inputs of another rate instead of refusing them.")
def mels(
    recipe: Path | None,
    overrides: tuple[str, ...],
    exp: Path | None,
    inputs: tuple[Path, ...],
    output: Path,
    overwrite: bool,
    resample: bool,
) -> None:
    """Write log-mel spectrograms of audio, as the vocoder of RECIPE reads them: .npy, float32 [mels, frames].

    They are natural logarithms of magnitudes by the recipe's audio section, at the level of the files: what to train a
    text-to-speech system on whose mel spectrograms the vocoder shall read. Frame k stands for the samples from k * hop to
    (k + 1) * hop; a file of T samples has T / hop frames, rounded down.
    """
    from gansemble.audio import listing
    from gansemble.files import write_atomically
    from gansemble.inference.vocoding import mel_file

    if (recipe is None) == (exp is None):
        raise click.UsageError("give RECIPE or --exp")
    project = Project.recall(exp) if exp is not None else Project.of(recipe or Path(), overrides)
    spec = project.checked().audio
    sources = [found for path in inputs for found in expand(path, listing.audio)]
    targets = [output / f"{name}.npy" for _, name in sources]
    demand_distinct(targets)
    if not overwrite:
        demand_free(targets)
    failed = []
    for (source, _), target in zip(sources, targets, strict=True):
        try:
            mel, frames = mel_file(source, spec, resample)
        except DataError as error:
            failed.append(str(error))
            click.echo(f"error: {error}", err=True)
            continue
        write_atomically(target, mel)
        say(f"{target}: {frames} frames")
    write_atomically(output / FACTS, json.dumps(spec.as_dict(), indent=1))
    if failed:
        raise GansembleError(f"{len(failed)} of {len(sources)} inputs could not be used; the others are in {output}")
