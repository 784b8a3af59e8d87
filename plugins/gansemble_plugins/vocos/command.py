"""``gansemble import vocos``: a published checkpoint becomes an experiment, to synthesise with or to fine-tune."""

from __future__ import annotations

from pathlib import Path

import click

from gansemble.cli.examples import epilog
from gansemble.cli.options import PATH, NamedPath

FILE = NamedPath(exists=True, dir_okay=False)


@click.command(
    "vocos",
    epilog=epilog("gansemble import vocos --generator pytorch_model.bin --config config.yaml --exp exp/published"),
)
@click.option(
    "--generator",
    "generator_file",
    type=FILE,
    required=True,
    help="The published pytorch_model.bin, or a .safetensors of it.",
)
@click.option("--config", type=FILE, required=True, help="The published config.yaml.")
@click.option("--exp", type=PATH, required=True, help="Experiment folder to make.")
def command(generator_file: Path, config: Path, exp: Path) -> None:
    """Import a checkpoint in the published Vocos format, of the kind that reads mel spectrograms."""
    from gansemble_plugins.vocos import published

    recipe = published.write_experiment(generator_file, config, exp)
    click.echo(f"{exp}: ready; synthesise with gansemble synthesise --exp {exp} --input FILES --output DIR")
    click.echo("its mel spectrograms are those of gansemble mels --exp, in HTK's filters: other vocoders' sound wrong")
    click.echo(
        f"fine-tune with gansemble train {recipe} --exp {exp} --data CORPUS after stages 0 to 2, with plan.steps set"
    )
