"""BigGAN (Brock, Donahue and Simonyan 2019, arXiv 1809.11096), SA-GAN before it (Zhang et al. 2019), and the BigGAN
modified for spectrograms of "Conditioning Trick for Training Stable GANs" (Esmaeilpour et al. 2020): residual networks
with attention that make and judge pictures."""

from gansemble import hookimpl

_SMALL = {"resolution": 32, "channels": 4, "classes": 3}


@hookimpl
def gansemble_register(register):
    """Names the parts; nothing is imported until a recipe asks for it."""
    here = __name__
    for name, target, what, example in (
        ("sagan", "SaGan", "SA-GAN: classes choose each batch norm's gain, attention", _SMALL | {"latent": 8}),
        ("biggan", "BigGan", "BigGAN: one shared embedding of classes, and chunks of z for each block", _SMALL),
        (
            "modified_biggan",
            "ModifiedBigGan",
            "BigGAN modified for spectrograms, tables 5 and 6 of the conditioning trick's paper",
            _SMALL | {"resolution": 64},
        ),
    ):
        register("generator", name, f"{here}.generators:{target}", what, example=example)
        judged = {key: value for key, value in example.items() if key != "latent"}
        register(
            "discriminator",
            name,
            f"{here}.discriminators:{target}Discriminator",
            f"the discriminator of {name}: residual blocks, attention, projection on classes",
            example=judged,
        )
