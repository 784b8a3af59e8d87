"""Music super-resolution with spectral flatness loss and HiFi-GAN discriminators (Coldenhoff and Ren 2021, a report of the
course CS-433 at EPFL; its discriminators are those of HiFi-GAN, arXiv 2010.05646): muffled music made bright again."""

from gansemble import hookimpl

_CUTOFF = {"cutoff": 2000.0}


@hookimpl
def gansemble_register(register):
    """Names the parts; nothing is imported until a recipe asks for it."""
    here = __name__
    register(
        "generator",
        "inception_unet",
        f"{here}.generator:InceptionUNet",
        "U-Net of inception blocks that adds to a degraded waveform what it lacks",
        example={"blocks": 3, "widths": [4, 4, 2, 2], "kernels": [3, 5, 7, 9]},
    )
    register("generator", "identity", f"{here}.baselines:Identity", "the degraded waveform as it is")
    register("generator", "sinc_lowpass", f"{here}.baselines:SincLowpass", "nothing above a cutoff", example=_CUTOFF)
    register(
        "generator",
        "band_replication",
        f"{here}.baselines:BandReplication",
        "the band below a cutoff repeated above it",
        example=_CUTOFF,
    )
    register(
        "loss",
        "spectral_flatness",
        f"{here}.flatness:SpectralFlatness",
        "squared difference of spectral flatness, by default weighted by the target's amplitude",
    )
    register(
        "loss",
        "band_stft",
        f"{here}.bands:BandStft",
        "spectral convergence and log magnitude of a frequency band, harmless where the target is silent",
        example={"low": 2000.0},
    )
    register(
        "loss",
        "log_spectral_distance",
        f"{here}.bands:LogSpectralDistance",
        "the log-spectral distance of super-resolution papers, of all frequencies or of a band",
    )
