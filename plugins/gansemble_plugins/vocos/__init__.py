"""Vocos (Siuzdak 2023, arXiv 2306.00814): ConvNeXt at frame rate with an inverse-STFT head, and its discriminator."""

from collections.abc import Callable
from typing import Any

from gansemble import hookimpl


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """Names the parts; nothing is imported until a recipe asks for it."""
    register(
        "generator",
        "vocos",
        f"{__name__}.generator:Vocos",
        "ConvNeXt at frame rate, inverse-STFT head",
        example={"dim": 16, "hidden": 32, "blocks": 2},
    )
    register(
        "generator",
        "griffin_lim",
        f"{__name__}.griffin_lim:GriffinLim",
        "Griffin-Lim from the mel spectrogram, which learns nothing: a baseline",
        example={"rounds": 2},
    )
    register(
        "discriminator",
        "multi_resolution_bands",
        f"{__name__}.discriminators:MultiResolutionBands",
        "multi-resolution discriminator over complex spectrograms in five bands (Vocos, DAC)",
        example={"windows": [128, 64], "channels": 4},
    )


@hookimpl
def gansemble_commands(group: Any) -> None:
    """Adds ``gansemble import vocos``."""
    from gansemble_plugins.vocos.command import command

    group.commands["import"].add_command(command)
