"""iSTFTNet (Kaneko et al. 2022, arXiv 2203.02395): HiFi-GAN with fewer upsamplings and an inverse STFT behind them."""

from collections.abc import Callable

from gansemble import hookimpl


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """Names the parts; nothing is imported until a recipe asks for it."""
    register(
        "generator",
        "istftnet",
        f"{__name__}.generator:IstftNet",
        "transposed convolutions for a part of the hop, an inverse STFT for the rest",
        example={
            "channels": 16,
            "upsample_rates": [8, 8],
            "upsample_kernels": [16, 16],
            "kernels": [3],
            "dilations": [[1, 3]],
        },
    )
