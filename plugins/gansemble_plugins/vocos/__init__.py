"""Vocos (Siuzdak 2023, arXiv 2306.00814): ConvNeXt at frame rate with an inverse-STFT head."""

from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    """Names the part; nothing is imported until a recipe asks for it."""
    register(
        "generator",
        "vocos",
        f"{__name__}.generator:Vocos",
        "ConvNeXt at frame rate, inverse-STFT head",
        example={"dim": 16, "hidden": 32, "blocks": 2},
    )
