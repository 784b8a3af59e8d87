"""WaveGAN (Donahue, McAuley and Puckette 2019, arXiv 1802.04208): waveforms from latent vectors, and their critic."""

from gansemble import hookimpl

_SMALL = {"segment": 1024, "dim": 2}


@hookimpl
def gansemble_register(register):
    """Names the parts; nothing is imported until a recipe asks for it."""
    here = __name__
    register(
        "generator",
        "wavegan",
        f"{here}.generator:WaveGan",
        "transposed convolutions from a latent vector to a whole segment",
        example=_SMALL | {"latent": 8},
    )
    register(
        "discriminator",
        "wavegan",
        f"{here}.critic:WaveGanCritic",
        "strided convolutions over a whole segment, with phase shuffle",
        example=_SMALL,
    )


@hookimpl
def gansemble_commands(group):
    """Adds ``gansemble import wavegan``."""
    from gansemble_plugins.wavegan.command import command

    group.commands["import"].add_command(command)
