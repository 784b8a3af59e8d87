"""SpecGAN (Donahue, McAuley and Puckette 2019, arXiv 1802.04208): an image GAN on normalised log spectrograms."""

from gansemble import hookimpl

_SMALL = {"dim": 2, "frames": 32, "bins": 32, "layers": 3}


@hookimpl
def gansemble_register(register):
    """Names the parts; nothing is imported until a recipe asks for it."""
    here = __name__
    register(
        "generator",
        "specgan",
        f"{here}.generator:SpecGan",
        "transposed convolutions from a latent vector to a log spectrogram",
        example=_SMALL | {"latent": 8},
    )
    register(
        "discriminator",
        "specgan",
        f"{here}.critic:SpecGanCritic",
        "strided convolutions over a log spectrogram",
        example=_SMALL,
    )
    register(
        "representation",
        "log_spectrogram",
        f"{here}.representation:LogSpectrogram",
        "log magnitudes normalised for each bin, inverted by Griffin-Lim",
        example={"segment": 8192},
    )
