"""HiFi-GAN (Kong, Kim and Bae 2020, arXiv 2010.05646): generator, multi-period and multi-scale discriminators."""

from gansemble import hookimpl

_SMALL = {
    "channels": 16,
    "upsample_rates": [16, 16],
    "upsample_kernels": [32, 32],
    "kernels": [3],
    "dilations": [[1, 3]],
}


@hookimpl
def gansemble_register(register):
    """Names the parts; nothing is imported until a recipe asks for it."""
    here = __name__
    register(
        "generator",
        "hifigan",
        f"{here}.generator:HifiGan",
        "transposed convolutions and multi-receptive-field fusion",
        example=_SMALL,
    )
    register(
        "generator",
        "unit_hifigan",
        f"{here}.units:UnitHifiGan",
        "the same, from codec tokens or other discrete units",
        example=_SMALL | {"codebooks": 2, "size": 16, "dim": 8},
    )
    register(
        "discriminator",
        "multi_period",
        f"{here}.discriminators:MultiPeriod",
        "folds the waveform at prime periods",
        example={"channels": [4, 8], "periods": [2, 3]},
    )
    register(
        "discriminator",
        "multi_scale",
        f"{here}.discriminators:MultiScale",
        "the waveform and two averaged versions of it",
        example={"scales": 2, "width": 0.0625},
    )


@hookimpl
def gansemble_commands(group):
    """Adds ``gansemble import hifigan``."""
    from gansemble_plugins.hifigan.command import command

    group.commands["import"].add_command(command)
