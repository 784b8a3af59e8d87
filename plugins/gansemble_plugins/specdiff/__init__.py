"""SpecDiff-GAN (arXiv 2402.01753): spectrally shaped diffusion, plain diffusion and a multi-resolution discriminator."""

from collections.abc import Callable

from gansemble import hookimpl


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
