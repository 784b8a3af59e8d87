"""GANSynth (Engel et al. 2019, arXiv 1902.08710): notes as images of log magnitude and instantaneous frequency."""

from collections.abc import Callable

from gansemble import hookimpl

#: Four blocks of few channels, for images of 16 x 128.
SMALL = {"blocks": 4, "fmap_base": 64, "fmap_max": 8, "pitches": [60, 63]}


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """Names this plugin's parts."""
    for name, target, summary in (
        ("phase", "PhaseSpectrogram", "log magnitude and phase"),
        ("instantaneous_frequency", "InstantaneousFrequency", "log magnitude and instantaneous frequency"),
        ("mel_instantaneous_frequency", "MelInstantaneousFrequency", "log mel power and mel instantaneous frequency"),
    ):
        register(
            "representation",
            name,
            f"{__name__}.representations:{target}",
            f"{summary} as an image of two channels (GANSynth)",
            example={"segment": 4096},
        )
    register(
        "generator",
        "gansynth",
        f"{__name__}.generator:GanSynth",
        "latent vector and pitch to spectral images, growing block by block",
        example=SMALL | {"latent": 8},
    )
    register(
        "discriminator",
        "gansynth",
        f"{__name__}.discriminator:GanSynthDiscriminator",
        "the generator's mirror image, with minibatch deviation and a pitch classifier",
        example=SMALL,
    )
    register(
        "regulariser",
        "auxiliary_classifier",
        f"{__name__}.terms:AuxiliaryClassifier",
        "cross-entropy of a discriminator's class logits (AC-GAN)",
    )
    register(
        "regulariser",
        "consistency",
        f"{__name__}.terms:Consistency",
        "how far a generated spectrogram is from that of the audio it decodes to",
    )
