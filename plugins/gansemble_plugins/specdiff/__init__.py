"""SpecDiff-GAN (arXiv 2402.01753): spectrally shaped diffusion, plain diffusion and a multi-resolution discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gansemble import hookimpl

if TYPE_CHECKING:
    from gansemble.cli import PluginTarget


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """Names this plugin's parts."""
    register(
        "noise_injector",
        "spectral_diffusion",
        f"{__name__}.injector:SpectralDiffusion",
        "forward diffusion of adapting length, noise shaped by the inverse envelope (SpecDiff-GAN)",
        example={"schedule": {"t_max": 20, "kwav": 0.1}},
    )
    register(
        "noise_injector",
        "diffusion",
        f"{__name__}.diffusion:Diffusion",
        "white forward diffusion with adaptive length (StandardDiff-GAN, Diffusion-GAN)",
        example={"schedule": {"t_max": 20}},
    )
    register(
        "discriminator",
        "multi_resolution",
        f"{__name__}.discriminators:MultiResolution",
        "convolutions over linear magnitude spectrograms at several resolutions (UnivNet, SpecDiff-GAN)",
        example={"resolutions": [[256, 32, 128], [128, 16, 64]], "channels": 4},
    )


@hookimpl
def gansemble_commands(group: PluginTarget) -> None:
    """Adds ``gansemble specdiff noise``."""
    from gansemble_plugins.specdiff import command

    group.add_command(command.group)
