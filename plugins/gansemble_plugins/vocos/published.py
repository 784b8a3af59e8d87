"""Reading the published format: config.yaml, which names modules and their parameters, and one file of weights.

The published network is centred: frame k stands around sample k * hop, where ours stands around k * hop + hop / 2. From the
same frames both make the same samples, ours with hop / 2 more in front and behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gansemble.audio.features import hann, mel_basis
from gansemble.audio.spec import AudioSpec
from gansemble.errors import CheckpointError, GansembleError
from gansemble.parts.weight_norm import load_into, read
from gansemble.recipe import document

#: Section -> the class that it must name, and the keys that it must have.
CLASSES = {
    "feature_extractor": ("MelSpectrogramFeatures", ("sample_rate", "n_fft", "hop_length", "n_mels")),
    "backbone": ("VocosBackbone", ("input_channels", "dim", "intermediate_dim", "num_layers")),
    "head": ("ISTFTHead", ("dim", "n_fft", "hop_length")),
}
#: Further keys, and the values at which they are what the network here does; None stands for any.
FURTHER: dict[str, dict[str, tuple[object, ...] | None]] = {
    "feature_extractor": {"padding": ("center", "same")},
    "backbone": {"layer_scale_init_value": None, "adanorm_num_embeddings": (None,)},
    "head": {"padding": ("center", "same")},
}
#: Beginnings and parts of the published names -> ours, in this order.
NAMES = (
    ("backbone.convnext.", "blocks."),
    ("backbone.final_layer_norm.", "final_norm."),
    ("backbone.", ""),
    ("head.out.", "head."),
    (".dwconv.", ".depthwise."),
    (".pwconv1.", ".expand."),
    (".pwconv2.", ".contract_back."),
    (".gamma", ".scale"),
)
WINDOWS = ("feature_extractor.mel_spec.spectrogram.window", "head.istft.window")
FILTERS = "feature_extractor.mel_spec.mel_scale.fb"


def settings(config: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """The parameters of each section of a published config.yaml.

    Args:
        config: what the file holds.
        source: the file, for messages.

    Raises:
        GansembleError: naming the key and its value, if a section is missing, names another class, lacks a parameter, or
            has one that no network here has.
    """
    found: dict[str, dict[str, Any]] = {}
    for section, (wanted, needed) in CLASSES.items():
        given = config.get(section)
        if not isinstance(given, Mapping) or "class_path" not in given:
            raise GansembleError(
                f"{source}: {section}: expected class_path and init_args, as in a published Vocos' config.yaml"
            )
        name = str(given["class_path"])
        if name.rpartition(".")[2] != wanted:
            raise GansembleError(
                f"{source}: {section}.class_path is {name}, expected vocos.….{wanted}: only the networks that read mel spectrograms "
                "and invert a Fourier transform can be imported"
            )
        values = dict(given.get("init_args") or {})
        for key in needed:
            if type(values.get(key)) is not int:
                raise GansembleError(
                    f"{source}: {section}.init_args.{key}: expected a whole number, got {values.get(key, 'none')}"
                )
        for key, value in values.items():
            allowed = FURTHER[section].get(key, ()) if key not in needed else None
            if allowed is not None and value not in allowed:
                meant = f"expected {' or '.join(map(str, allowed))}" if allowed else "no network here has such a key"
                raise GansembleError(f"{source}: {section}.init_args.{key} is {value}: {meant}")
        found[section] = values
    _demand_one_size(found, source)
    return found


def _demand_one_size(found: Mapping[str, Mapping[str, Any]], source: str) -> None:
    """Refuses sections that do not fit together."""
    mel, trunk, head = found["feature_extractor"], found["backbone"], found["head"]
    for one, other, first, second in (
        (
            "backbone.init_args.input_channels",
            "feature_extractor.init_args.n_mels",
            trunk["input_channels"],
            mel["n_mels"],
        ),
        ("head.init_args.dim", "backbone.init_args.dim", head["dim"], trunk["dim"]),
        ("head.init_args.n_fft", "feature_extractor.init_args.n_fft", head["n_fft"], mel["n_fft"]),
        ("head.init_args.hop_length", "feature_extractor.init_args.hop_length", head["hop_length"], mel["hop_length"]),
        ("head's padding", "feature_extractor's padding", head.get("padding", "same"), mel.get("padding", "center")),
    ):
        if first != second:
            raise GansembleError(f"{source}: {one} is {first}, and {other} {second}: expected the same")


def recipe_of(config: Mapping[str, Any], source: str = "config.yaml") -> dict[str, Any]:
    """A recipe that says what a published config.yaml says.

    The file says nothing of training; optimiser and mel loss are those of the published configuration of the mel network.

    Raises:
        GansembleError: as :func:`settings` does.
    """
    found = settings(config, source)
    mel, trunk = found["feature_extractor"], found["backbone"]
    return {
        "name": "imported",
        "audio": {
            "sample_rate": mel["sample_rate"],
            "n_fft": mel["n_fft"],
            "hop": mel["hop_length"],
            "window": mel["n_fft"],
            "mels": mel["n_mels"],
            "fmin": 0,
            "fmax": None,
            "log_floor": 1e-7,
            "power_floor": 1e-18,  # the published magnitudes have none; this is far below the logarithm's
            "mel_filters": "htk",
        },
        "corpus": {"use": "folder"},
        "generator": {
            "use": "vocos",
            "dim": trunk["dim"],
            "hidden": trunk["intermediate_dim"],
            "blocks": trunk["num_layers"],
        },
        "objective": {"use": "hinge"},
        "losses": {"mel": {"use": "mel_l1", "weight": 45}},
        "metrics": {"mel_distance": {"use": "mel_distance"}, "pesq": {"use": "pesq"}, "stoi": {"use": "stoi"}},
        "plan": {"steps": 1_000_000, "batch_size": 16, "segment": 64 * mel["hop_length"]},
        "optimisers": {
            "generator": {"use": "adamw", "lr": 5e-4, "betas": [0.8, 0.9], "decay": 1.0, "cosine": True},
        },
    }


def renamed(state: Mapping[str, Tensor], audio: AudioSpec, source: str) -> dict[str, Tensor]:
    """Published weights by our names, without windows and mel filters, which are computed here.

    Args:
        state: tensors by their published names.
        audio: the specification that the configuration says.
        source: of the weights, for messages.

    Raises:
        CheckpointError: if a window or the mel filters are others than the ones that are computed here.
    """
    kept: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name in WINDOWS:
            _demand_equal(name, tensor, hann(audio.n_fft, torch.device("cpu"), torch.float32), source)
        elif name == FILTERS:
            _demand_equal(name, tensor, mel_basis(audio, torch.device("cpu"), torch.float32).T, source)
        else:
            for theirs, ours in NAMES:
                name = ours + name.removeprefix(theirs) if name.startswith(theirs) else name
                name = name.replace(theirs, ours) if theirs.startswith(".") else name
            kept[name] = tensor
    return kept


def _demand_equal(name: str, tensor: object, own: Tensor, source: str) -> None:
    if (
        not isinstance(tensor, Tensor)
        or tensor.shape != own.shape
        or not torch.allclose(tensor.float(), own, atol=1e-5, rtol=0)
    ):
        what = f"{list(tensor.shape)} others" if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
        raise CheckpointError(
            f"{source}: {name} must be the {list(own.shape)} numbers that the configuration's spectrogram has, got {what}; is it "
            "this config's?"
        )


def _weights(path: Path) -> Mapping[str, Any]:
    """The tensors of a file, by their published names.

    Raises:
        CheckpointError: if it cannot be read, or holds anything but plain data.
    """
    if path.suffix != ".safetensors":
        return read(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as safetensors ({error})") from error


def write_experiment(generator_file: Path, config_file: Path, exp: Path) -> Path:
    """Makes an experiment at step 0 with the published weights; returns its recipe file.

    Raises:
        CheckpointError: if the folder holds anything already, or the weights are not finite or do not fit the configuration.
        GansembleError: if the configuration cannot be read, or describes a network that cannot be imported.
    """
    from gansemble.training import checkpoint
    from gansemble.training.imported import imported

    checkpoint.demand_new(exp)  # before anything is read
    config = document.read(config_file).value
    if not isinstance(config, Mapping):
        raise GansembleError(f"{config_file}: expected a Vocos configuration, got a {type(config).__name__}")
    recipe = recipe_of(config, str(config_file))
    state = _weights(generator_file)
    with imported(exp, recipe, f"{config_file}: describes") as parts:
        load_into(
            parts.generator, renamed(state, AudioSpec(**recipe["audio"]), str(generator_file)), str(generator_file)
        )
    return exp / "recipe.yaml"
