"""BigVGAN (Lee et al. 2023, arXiv 2206.04658, and its second release): anti-aliased periodic activations, CQT discriminator."""

from collections.abc import Callable
from typing import Any

from gansemble import hookimpl

_SMALL = {
    "channels": 16,
    "upsample_rates": [16, 16],
    "upsample_kernels": [32, 32],
    "kernels": [3],
    "dilations": [[1, 3]],
}


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """Names the parts; nothing is imported until a recipe asks for it."""
    register(
        "generator",
        "bigvgan",
        f"{__name__}.generator:BigVgan",
        "transposed convolutions, and periodic activations at twice the rate between low-pass filters",
        example=_SMALL,
    )
    register(
        "discriminator",
        "multi_scale_sub_band_cqt",
        f"{__name__}.discriminators:MultiScaleSubBandCqt",
        "constant-Q transforms at several resolutions, octave by octave (Gu et al. 2023, BigVGAN-v2)",
        example={"hops": [64, 32], "octaves": 6, "bins": [6, 8], "channels": 4, "lowest": 65.4},
    )


@hookimpl
def gansemble_commands(group: Any) -> None:
    """Adds ``gansemble import bigvgan``."""
    from gansemble_plugins.bigvgan.command import command

    group.commands["import"].add_command(command)
