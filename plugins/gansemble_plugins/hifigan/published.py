"""Reading the published checkpoint format: config.json, ``g_…`` (generator) and ``do_…`` (discriminators, optimisers).

The format keeps weight norm as ``weight_g`` and ``weight_v``; torch's parametrisation calls them ``original0`` and
``original1``. Module names are the same here as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gansemble.data.text_files import json_object
from gansemble.errors import CheckpointError, GansembleError
from gansemble.parts import weights

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


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> ours."""
    renamed = {}
    for name, tensor in state.items():
        for old, new in (
            ("weight_g", "parametrizations.weight.original0"),
            ("weight_v", "parametrizations.weight.original1"),
        ):
            name = name.removesuffix(old) + new if name.endswith("." + old) else name
        renamed[_spectral(name)] = tensor
    return renamed


def _spectral(name: str) -> str:
    """Spectral norm's old names -> the parametrisation's."""
    for old, new in (
        ("weight_orig", "parametrizations.weight.original"),
        ("weight_u", "parametrizations.weight.0._u"),
        ("weight_v_sn", "parametrizations.weight.0._v"),
    ):
        if name.endswith("." + old):
            return name.removesuffix(old) + new
    return name


def load_into(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Loads published weights, with weight norm or folded.

    Raises:
        CheckpointError: naming the tensors that do not fit, or hold NaN or Inf.
    """
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        odd = state if not isinstance(state, Mapping) else next(t for t in state.values() if not isinstance(t, Tensor))
        raise CheckpointError(f"{source}: expected tensors by name, got a {type(odd).__name__}")
    state = weights.without_prefix(state)
    weights.demand_finite(state, source)
    spectral = {name.rpartition(".")[0] for name in state if name.endswith(".weight_orig")}
    # Spectral norm also calls its second vector weight_v; it is told apart by the weight_orig beside it.
    marked = {
        f"{name}_sn" if name.endswith(".weight_v") and name.rpartition(".")[0] in spectral else name: t
        for name, t in state.items()
    }
    renamed = translate(marked)
    own = network.state_dict()
    if not any(".parametrizations." in name for name in renamed):
        renamed = _unfold(renamed, own)
    wrong = [name for name in own if name not in renamed or renamed[name].shape != own[name].shape]
    extra = [name for name in renamed if name not in own]
    if wrong or extra:
        listed = ", ".join([*wrong[:4], *extra[:4]])
        raise CheckpointError(
            f"{source}: {len(wrong)} tensors missing or of another shape, {len(extra)} unknown (such as {listed}); is it this config's?"
        )
    weights.load(network, renamed, source)


def _unfold(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Folded weights as weight norm's magnitude and direction."""
    result = {}
    for name, tensor in state.items():
        magnitude = name.removesuffix("weight") + "parametrizations.weight.original0"
        if name.endswith(".weight") and magnitude in own:
            result[magnitude] = torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.dim())), keepdim=True)
            # A filter of zeros has no direction; any will do, as its magnitude is zero.
            result[name.removesuffix("weight") + "parametrizations.weight.original1"] = torch.where(
                result[magnitude] == 0, torch.ones_like(tensor), tensor
            )
        else:
            result[name] = tensor
    return result


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of damaged files torch and pickle raise errors of many kinds
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path}: not readable as a checkpoint of plain tensors ({said})") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, got a {type(content).__name__}")
    return content


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
    found = _read(generator_file)
    judges = _read(discriminator_file) if discriminator_file else {}
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
