"""``gansemble import bigvgan``: published checkpoints become an experiment, to synthesise with or to fine-tune."""

from __future__ import annotations

from pathlib import Path

import click

from gansemble.cli.examples import epilog
from gansemble.cli.options import PATH, NamedPath

FILE = NamedPath(exists=True, dir_okay=False)


@click.command(
    "bigvgan",
    epilog=epilog("gansemble import bigvgan --generator bigvgan_generator.pt --config config.json --exp exp/published"),
)
@click.option(
    "--generator", "generator_file", type=FILE, required=True, help="The published bigvgan_generator.pt or g_… file."
)
@click.option(
    "--discriminators",
    "discriminator_file",
    type=FILE,
    help="The published bigvgan_discriminator_optimizer.pt or do_… file, for fine-tuning.",
)
@click.option("--config", type=FILE, required=True, help="The published config.json.")
@click.option("--exp", type=PATH, required=True, help="Experiment folder to make.")
def command(generator_file: Path, discriminator_file: Path | None, config: Path, exp: Path) -> None:
    """Import a checkpoint in the published BigVGAN format, of the first or the second release."""
    from gansemble_plugins.bigvgan import published

    recipe = published.write_experiment(generator_file, discriminator_file, config, exp)
    click.echo(f"{exp}: ready; synthesise with gansemble synthesise --exp {exp} --input FILES --output DIR")
    click.echo(
        f"fine-tune with gansemble train {recipe} --exp {exp} --data CORPUS after stages 0 to 2, with plan.steps set"
    )
