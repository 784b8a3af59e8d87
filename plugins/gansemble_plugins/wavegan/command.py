"""``gansemble import wavegan``: published weights become an experiment, to synthesise with or to fine-tune."""

from __future__ import annotations

from pathlib import Path

import click

from gansemble.cli.examples import epilog
from gansemble.cli.options import PATH, NamedPath


@click.command(
    "wavegan",
    epilog=epilog(
        "gansemble import wavegan --weights drums/", "gansemble import wavegan --weights drums/ --exp exp/drums"
    ),
)
@click.option(
    "--weights",
    type=NamedPath(exists=True, file_okay=False),
    required=True,
    help="Folder with manifest.json and one raw float32 file for each variable.",
)
@click.option(
    "--exp",
    type=PATH,
    help="Experiment folder to make; else exp/NAME, named after the weights' folder.",
)
@click.option("--length", type=click.IntRange(1, 2**31), help="Segment [samples], where the layers do not tell.")
@click.option(
    "--sample-rate", type=click.IntRange(1, 1_000_000), default=16000, show_default=True, help="Of the audio [Hz]."
)
def command(weights: Path, exp: Path | None, length: int | None, sample_rate: int) -> None:
    """Import weights in the released WaveGAN's raw format, such as those of its drum demonstration."""
    from gansemble_plugins.wavegan import published

    target = exp or Path("exp") / weights.resolve().name
    recipe = published.write_experiment(weights, target, length, sample_rate)
    click.echo(f"{target}: ready; make clips with gansemble sample --exp {target} --output DIR, or fine-tune with")
    click.echo(f"gansemble train {recipe} --exp {target} --data CORPUS after stages 0 to 2, with plan.steps set")
