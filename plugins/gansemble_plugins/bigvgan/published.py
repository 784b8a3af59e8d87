"""Reading the published format: config.json, a generator's file, and one of discriminators and optimisers.

Networks, layers and their order are called here as there, so that only the names of weight norm are translated. What the
published modules also save and ours computes anew, filters and constant-Q kernels, is compared or left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gansemble.data.text_files import json_object
from gansemble.errors import CheckpointError, GansembleError
from gansemble.parts.weight_norm import load_into, read
from gansemble_plugins.bigvgan.activations import TAPS, low_pass

NEEDED = (
    "resblock",
    "upsample_rates",
    "upsample_kernel_sizes",
    "upsample_initial_channel",
    "resblock_kernel_sizes",
    "resblock_dilation_sizes",
    "activation",
    "snake_logscale",
    "num_mels",
    "n_fft",
    "hop_size",
    "win_size",
    "sampling_rate",
    "fmin",
    "fmax",
)
#: Beginnings of what is saved of constant-Q transforms, resamplers and spectrograms, which are computed here.
COMPUTED = (".cqt_transform.", ".resample.", ".spec_fn.")
#: Entries of a file of discriminators. The second is called so whichever discriminator it is.
DISCRIMINATORS = ("mpd", "mrd")
RESOLUTIONS = [[1024, 120, 600], [2048, 240, 1200], [512, 50, 240]]


def recipe_of(config: Mapping[str, Any], discriminators: list[str]) -> dict[str, Any]:
    """A recipe that says what a published config.json says.

    Args:
        config: what the file holds.
        discriminators: those there are weights of, some of ``mpd`` and ``mrd``.

    Raises:
        GansembleError: if keys are missing, or there is no such part here.
    """
    missing = [key for key in NEEDED if key not in config]
    if missing:
        raise GansembleError(f"config.json: expected a BigVGAN configuration, but it lacks {', '.join(missing)}")
    top = config.get("fmax_for_loss")
    if top not in (None, config["fmax"]):
        raise GansembleError(f"config.json: fmax_for_loss must be null or fmax {config['fmax']}, got {top}")
    if config.get("use_spectral_norm") or config.get("mrd_use_spectral_norm"):
        raise GansembleError("config.json: use_spectral_norm must be false, as in all released models, got true")
    rate = {
        "lr": config.get("learning_rate", 1e-4),
        "betas": [config.get("adam_b1", 0.8), config.get("adam_b2", 0.99)],
        "decay": config.get("lr_decay", 0.9999996),
        "decay_every": 1,
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
        "generator": _generator(config),
        "discriminators": {name: _discriminator(name, config) for name in discriminators},
        "objective": {"use": "lsgan"},
        "losses": _losses(config, top is None)
        | ({"features": {"use": "feature_matching", "weight": 2}} if discriminators else {}),
        "metrics": {"mel_distance": {"use": "mel_distance"}, "pesq": {"use": "pesq"}, "stoi": {"use": "stoi"}},
        "plan": {
            "steps": 5_000_000,
            "batch_size": config.get("batch_size", 32),
            "segment": config.get("segment_size", 8192),
            "clip": float(config.get("clip_grad_norm", 1000.0)),
        },
        "optimisers": {"generator": {"use": "adamw", **rate}}
        | ({"discriminators": {"use": "adamw", **rate}} if discriminators else {}),
    }


def _generator(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "use": "bigvgan",
        "channels": config["upsample_initial_channel"],
        "upsample_rates": config["upsample_rates"],
        "upsample_kernels": config["upsample_kernel_sizes"],
        "kernels": config["resblock_kernel_sizes"],
        "dilations": config["resblock_dilation_sizes"],
        "residual": str(config["resblock"]),
        "activation": config["activation"],
        "log_scale": config["snake_logscale"],
        "final_bias": config.get("use_bias_at_final", True),
        "final": "tanh" if config.get("use_tanh_at_final", True) else "clamp",
    }


def _losses(config: Mapping[str, Any], full_band: bool) -> dict[str, Any]:
    weight = config.get("lambda_melloss", 45)
    if config.get("use_multiscale_melloss"):
        return {"mel": {"use": "multi_scale_mel", "weight": weight}}
    return {"mel": {"use": "mel_l1", "weight": weight, "full_band": full_band}}


def _discriminator(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a discriminator of the published file is here."""
    width = config.get("discriminator_channel_mult", 1)
    if name == "mpd":
        channels = [int(full * width) for full in (32, 128, 512, 1024)]
        return {"use": "multi_period", "periods": config.get("mpd_reshapes", [2, 3, 5, 7, 11]), "channels": channels}
    if config.get("use_mbd_instead_of_mrd"):
        return {"use": "multi_resolution_bands", "windows": config.get("mbd_fft_sizes", [2048, 1024, 512])}
    if not config.get("use_cqtd_instead_of_mrd"):
        narrow = int(32 * config.get("mrd_channel_mult", width))
        return {"use": "multi_resolution", "resolutions": config.get("resolutions", RESOLUTIONS), "channels": narrow}
    octaves = config.get("cqtd_n_octaves", [9, 9, 9])
    fixed = {"cqtd_filters_scale": 1, "cqtd_in_channels": 1, "cqtd_out_channels": 1}
    odd = {key: config[key] for key, value in fixed.items() if config.get(key, value) != value}
    if odd or len(set(octaves)) != 1:
        raise GansembleError(
            f"config.json: expected {', '.join(f'{key} {value}' for key, value in fixed.items())} and one number of "
            f"cqtd_n_octaves, as in all released models, got {odd or octaves}"
        )
    return {
        "use": "multi_scale_sub_band_cqt",
        "hops": config.get("cqtd_hop_lengths", [512, 256, 256]),
        "octaves": octaves[0],
        "bins": config.get("cqtd_bins_per_octaves", [24, 36, 48]),
        "channels": min(config.get("cqtd_filters", 32), config.get("cqtd_max_filters", 1024)),
        "dilations": config.get("cqtd_dilations", [1, 2, 4]),
        "normalise": config.get("cqtd_normalize_volume", False),
    }


def learnt(state: object, source: str) -> object:
    """Published tensors without those that are computed here.

    Raises:
        CheckpointError: if a filter of the activations is not the one that is computed here.
    """
    if not isinstance(state, Mapping):
        return state  # refused, in words, where it is loaded
    kept, filters = {}, {}
    for name, tensor in state.items():
        if str(name).endswith((".upsample.filter", ".lowpass.filter")) and isinstance(tensor, Tensor):
            filters[name] = tensor
        elif not any(part in f".{name}" for part in COMPUTED):
            kept[name] = tensor
    for name, tensor in filters.items():
        if tensor.numel() != TAPS or not torch.allclose(tensor.flatten().double(), low_pass(), atol=1e-5, rtol=0):
            raise CheckpointError(
                f"{source}: {name} must be the {TAPS} taps of the published low-pass filter, got {tensor.numel()} others"
            )
    return kept


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
        state = found.get("generator", found)
        load_into(parts.generator, learnt(state, str(generator_file)), str(generator_file))  # type: ignore[arg-type]
        for name in names:
            source = f"{discriminator_file} ({name})"
            load_into(parts.discriminators.parts[name], learnt(judges[name], source), source)  # type: ignore[arg-type]
    return exp / "recipe.yaml"
