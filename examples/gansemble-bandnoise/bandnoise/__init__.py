"""Noise within a band at the discriminators' input, a loss on envelopes, and a metric of a band's energy."""

from collections.abc import Callable
from typing import Any

from gansemble import hookimpl


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """Names the parts; nothing is imported until a recipe asks for it."""
    here = __name__
    register(
        "noise_injector", "band_noise", f"{here}.injector:BandNoise", "Gaussian noise within a band, at a fixed SNR"
    )
    register("loss", "envelope", f"{here}.loss:Envelope", "L1 of upper and lower envelopes", example={"window": 256})
    register("metric", "band_energy", f"{here}.metric:BandEnergy", "difference of energy within a band [dB]")


@hookimpl
def gansemble_check_recipe(recipe: Any) -> list[tuple[str, str]]:
    """Bands that the recipe's sample rate does not have."""
    from bandnoise import band

    found = []
    for part in recipe.parts():
        if part.entry.plugin == "bandnoise" and part.kind in ("noise_injector", "metric"):
            low, high = (part.arguments.get(key, default) for key, default in band.DEFAULTS.items())
            for key, message in band.faults(low, high, recipe.audio.sample_rate):
                found.append((".".join(map(str, (*part.path, key))), message))
    return found


@hookimpl
def gansemble_commands(group: Any) -> None:
    """Adds ``gansemble bandnoise-curve``."""
    from bandnoise.command import command

    group.add_command(command)
