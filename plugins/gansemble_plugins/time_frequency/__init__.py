"""Pictures of sound for image networks: magnitudes of a wavelet or a short-time Fourier transform, as in "Conditioning Trick
for Training Stable GANs" (Esmaeilpour et al. 2020)."""

from gansemble import hookimpl

_RATE = {"audio": {"sample_rate": 16000}, "segment": 8192, "size": 64}


@hookimpl
def gansemble_register(register):
    """Names the parts; nothing is imported until a recipe asks for it."""
    here = __name__
    register(
        "representation",
        "cwt",
        f"{here}.cwt:Cwt",
        "magnitudes of a Morlet wavelet transform as a picture",
        example=_RATE | {"scales": 64},
    )
    register(
        "representation",
        "stft_image",
        f"{here}.stft:StftImage",
        "magnitudes of a short-time Fourier transform as a picture",
        example=_RATE | {"n_fft": 512, "hop": 128},
    )
