"""Neural source-filter vocoding with harmonics of the F0 (Wang, Takaki and Yamagishi 2019, arXiv 1904.12088)."""

from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    """Names the parts; nothing is imported until a recipe asks for it."""
    register(
        "generator",
        "hnsf",
        f"{__name__}.generator:HarmonicSourceFilter",
        "an upsampling network fed with harmonics of the F0 and noise",
        example={"channels": 16, "upsample_rates": [8, 8, 4], "upsample_kernels": [16, 16, 8]},
    )
