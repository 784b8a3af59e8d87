"""``mels``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.each_file import EachFile
from gansemble.cli.input_files import expand
from gansemble.cli.made_files import Job, MadeFiles, demand_apart
from gansemble.cli.options import PATH, overwrite_option, set_option, writable_folder
from gansemble.cli.terminal import say
from gansemble.errors import GansembleError
from gansemble.stages import Project
from gansemble.stages.project import RECORD

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe

#: File in the output folder that says how its spectrograms were computed.
FACTS = "mels.json"
#: Record of the files that were made there.
MADE = "mels-made.json"


@click.command()
@click.argument("recipe", type=PATH, required=False)
@set_option
@click.option("--exp", type=PATH, help="Take the recipe of this experiment, or bundle.")
@click.option("--input", "inputs", type=PATH, multiple=True, required=True, help="Audio files, or folders of them.")
@click.option("--output", type=PATH, required=True, help="Folder to write them in, named like the inputs.")
@overwrite_option
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
    (k + 1) * hop; a file of T samples has T / hop frames, rounded down. A file that this command has made already is left
    as it is; any other file that is there is refused.
    """
    from gansemble.files import staged_file, write_atomically
    from gansemble.inference.vocoding import mel_file

    if (recipe is None) == (exp is None):
        raise click.UsageError("give RECIPE or --exp")
    checked = _recipe_of(exp) if exp is not None else Project.of(recipe or Path(), overrides).checked()
    spec, policies = checked.audio, checked.data
    sources = [found for path in inputs for found in expand(path)]
    jobs = [Job(source, output / f"{name}.npy") for source, name in sources]
    demand_apart(jobs)  # they may lie beside the audio: spectrograms are no inputs of the next run
    writable_folder(output)
    _demand_same_scale(output, spec.as_dict(), overwrite)
    made = MadeFiles(output, MADE)
    todo, there = made.make(jobs, overwrite, lambda job: spec.as_dict())
    for target in there:
        say(f"{target}: is there already, made of the same input; --overwrite makes it again")
    write_atomically(output / FACTS, json.dumps(spec.as_dict(), indent=1))
    with contextlib.closing(made), EachFile(len(jobs), "made", output, len(there), "spectrograms") as each:
        for job in todo:
            with each.file(job.source):
                mel, frames = mel_file(job.source, spec, resample or policies.rate == "resample", policies.channels)
                with staged_file(job.target, overwrite, made.complete(job, {"frames": frames})) as temporary:
                    temporary.write_bytes(mel)
                say(f"{job.target}: {frames} frames")


def _recipe_of(exp: Path) -> Recipe:
    """The recipe that an experiment was started with; of a bundle, or of imported weights, that of the checkpoint."""
    if (exp / RECORD).exists() or not (exp / "checkpoints").is_dir():
        return Project.recall(exp).checked()
    from gansemble.inference.loading import recipe_of

    return recipe_of(exp)


def _demand_same_scale(output: Path, audio: Mapping[str, object], overwrite: bool) -> None:
    """Refuses a folder of spectrograms that were computed otherwise: what its facts say would be wrong for some."""
    path = output / FACTS
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError):
        known = None
    if known != audio and not overwrite:
        raise GansembleError(
            f"{path}: says that the spectrograms in this folder were computed otherwise than this recipe does; give another "
            "--output, or --overwrite"
        )
