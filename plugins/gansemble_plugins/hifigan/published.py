"""Reading the published checkpoint format: config.json, ``g_…`` (generator) and ``do_…`` (discriminators, optimisers).

The format keeps weight norm as ``weight_g`` and ``weight_v``; torch's parametrisation calls them ``original0`` and
``original1``. Module names are the same here as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gansemble.data.text_files import json_object
from gansemble.errors import CheckpointError, GansembleError
from gansemble.parts.weight_norm import load_into, read

#: Entries of a ``do_…`` file -> the discriminator part and its name in the recipe.
DISCRIMINATORS = {"mpd": "multi_period", "msd": "multi_scale", "mrd": "multi_resolution"}
NEEDED = (
    "resblock",
    "upsample_rates",
    "upsample_kernel_sizes",
    "upsample_initial_channel",
    "resblock_kernel_sizes",
    "resblock_dilation_sizes",
    "num_mels",
    "n_fft",
    "hop_size",
    "win_size",
    "sampling_rate",
    "fmin",
    "fmax",
)


def recipe_of(config: Mapping[str, Any], discriminators: list[str]) -> dict[str, Any]:
    """A recipe that says what a published config.json says.

    Raises:
        GansembleError: if keys are missing.
    """
    missing = [key for key in NEEDED if key not in config]
    if missing:
        raise GansembleError(f"config.json: expected a HiFi-GAN configuration, but it lacks {', '.join(missing)}")
    top = config.get("fmax_for_loss")
    if top not in (None, config["fmax"]):
        raise GansembleError(f"config.json: fmax_for_loss must be null or fmax {config['fmax']}, got {top}")
    rate = {
        "lr": config.get("learning_rate", 2e-4),
        "betas": [config.get("adam_b1", 0.8), config.get("adam_b2", 0.99)],
        "decay": config.get("lr_decay", 0.999),
    }
    return {
        "name": "imported",
        "audio": {
            "sample_rate": config["sampling_rate"],
            "n_fft": config["n_fft"],
            "hop": config["hop_size"],
            "window": config["win_size"],
            "mels": config["num_mels"],
            "fmin": config["fmin"],
            "fmax": config["fmax"],
        },
        "corpus": {"use": "folder"},
        "generator": {
            "use": "hifigan",
            "channels": config["upsample_initial_channel"],
            "upsample_rates": config["upsample_rates"],
            "upsample_kernels": config["upsample_kernel_sizes"],
            "kernels": config["resblock_kernel_sizes"],
            "dilations": config["resblock_dilation_sizes"],
            "residual": str(config["resblock"]),
        },
        "discriminators": {name: _discriminator(name, config) for name in discriminators},
        "objective": {"use": "lsgan"},
        "losses": {"mel": {"use": "mel_l1", "weight": 45, "full_band": top is None}}
        | ({"features": {"use": "feature_matching", "weight": 2}} if discriminators else {}),
        "metrics": {"mel_distance": {"use": "mel_distance"}, "pesq": {"use": "pesq"}, "stoi": {"use": "stoi"}},
        "plan": {
            "steps": 1_000_000,
            "batch_size": config.get("batch_size", 16),
            "segment": config.get("segment_size", 8192),
        },
        "optimisers": {"generator": {"use": "adamw", **rate}}
        | ({"discriminators": {"use": "adamw", **rate}} if discriminators else {}),
    }


def _discriminator(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = {"use": DISCRIMINATORS[name]}
    if name == "mrd" and "resolutions" in config:
        part["resolutions"] = config["resolutions"]
    return part


def write_experiment(generator_file: Path, discriminator_file: Path | None, config_file: Path, exp: Path) -> Path:
    """Makes an experiment at step 0 with the published weights; returns its recipe file.

    Raises:
        CheckpointError: if the folder holds anything already, or the weights are not finite or do not fit the configuration.
        GansembleError: if the configuration cannot be read, or describes no such network.
    """
    from gansemble.training import checkpoint
    from gansemble.training.imported import imported

    checkpoint.demand_new(exp)  # before anything is read
    config = json_object(config_file)
    found = read(generator_file)
    judges = read(discriminator_file) if discriminator_file else {}
    names = [name for name in DISCRIMINATORS if name in judges]
    if discriminator_file and not names:
        raise CheckpointError(
            f"{discriminator_file}: expected entries {', '.join(DISCRIMINATORS)}, got {', '.join(map(str, judges))}"
        )
    with imported(exp, recipe_of(config, names), f"{config_file}: describes") as parts:
        load_into(parts.generator, found.get("generator", found), str(generator_file))
        for name in names:
            load_into(parts.discriminators.parts[name], judges[name], f"{discriminator_file} ({name})")
    return exp / "recipe.yaml"
