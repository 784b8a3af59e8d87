"""Reading published weights: a folder with manifest.json and one raw little-endian float32 file for each variable.

Names are TensorFlow's: ``G/z_project/dense``, ``G/upconv_0/conv2d_transpose`` (``conv1d`` with nearest-neighbour
upsampling), ``G/pp_filt/conv1d``; ``D/downconv_0/conv1d``, ``D/output/dense``. Kernels are laid out
[taps, channels made, channels read] in transposed convolutions, in which a first axis of 1 may stand, [taps, channels
read, channels made] in others and [read, made] in dense layers; no kernel is reversed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.data.text_files import json_object
from gansemble.errors import CheckpointError, DataError
from gansemble.parts import weights

PROJECT, POST = "G/z_project/dense", "G/pp_filt/conv1d/kernel"
UP = re.compile(r"G/upconv_(\d+)/(conv2d_transpose|conv1d)/(kernel|bias)")
DOWN = re.compile(r"D/downconv_(\d+)/conv1d/(kernel|bias)")
_PARTS = {"kernel": "weight", "bias": "bias"}
#: Published models by their number of layers.
LENGTHS = {5: (16384,), 6: (32768, 65536)}


def read(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a folder, by name.

    Raises:
        CheckpointError: if there is no manifest, or a file is missing or not of its size.
    """
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json_object(path)
        listed = {name: (str(entry["filename"]), tuple(map(int, entry["shape"]))) for name, entry in manifest.items()}
    except (DataError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            f"{path}: expected a JSON object of names, each with filename and shape ({type(error).__name__}: {error})"
        ) from error
    arrays = {}
    for name, (file, shape) in listed.items():
        if Path(file).name != file or any(size < 1 for size in shape):
            raise CheckpointError(f"{path}: {name} must name a file beside it and a shape, got {file!r}, {list(shape)}")
        try:
            data = (folder / file).read_bytes()
        except OSError as error:
            raise CheckpointError(f"{folder / file}: {name} is not readable ({error})") from error
        expected = 4 * int(np.prod(shape))
        if len(data) != expected:
            raise CheckpointError(
                f"{folder / file}: {name} {list(shape)} must have {expected} bytes of float32, got {len(data)}"
            )
        arrays[name] = np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float32)
    return arrays


def generator_state(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The generator's state dict from arrays in TensorFlow's layout; names outside ``G/`` are passed over.

    Raises:
        CheckpointError: naming arrays that are missing, unknown or of another rank.
    """
    given = {name: array for name, array in arrays.items() if name.startswith("G/")}
    found = [match for name in given if (match := UP.fullmatch(name))]
    kind = found[0][2] if found else "conv2d_transpose"
    layers = 1 + max((int(match[1]) for match in found), default=0)
    wanted = {f"{PROJECT}/kernel": "project.weight", f"{PROJECT}/bias": "project.bias"}
    for index in range(layers):
        wanted |= {f"G/upconv_{index}/{kind}/kernel": f"layers.{index}.weight"}
        wanted |= {f"G/upconv_{index}/{kind}/bias": f"layers.{index}.bias"}
    if POST in given:
        wanted[POST] = "post.weight"
    return _translated(given, wanted)


def critic_state(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The critic's state dict from arrays in TensorFlow's layout; names outside ``D/`` are passed over.

    Raises:
        CheckpointError: naming arrays that are missing, unknown or of another rank.
    """
    given = {name: array for name, array in arrays.items() if name.startswith("D/")}
    found = [match for name in given if (match := DOWN.fullmatch(name))]
    wanted = {"D/output/dense/kernel": "output.weight", "D/output/dense/bias": "output.bias"}
    for index in range(1 + max((int(match[1]) for match in found), default=0)):
        wanted |= {f"D/downconv_{index}/conv1d/{part}": f"layers.{index}.{ours}" for part, ours in _PARTS.items()}
    return _translated(given, wanted)


def _translated(given: Mapping[str, np.ndarray], wanted: Mapping[str, str]) -> dict[str, Tensor]:
    """Arrays by our names, in our layout."""
    missing, extra = [name for name in wanted if name not in given], [name for name in given if name not in wanted]
    if missing or extra:
        raise CheckpointError(
            f"expected WaveGAN's variables: missing {', '.join(missing[:4]) or 'none'}; unknown {', '.join(extra[:4]) or 'none'}"
        )
    return {ours: _relaid(name, given[name]) for name, ours in wanted.items()}


def _relaid(name: str, array: np.ndarray) -> Tensor:
    """One array in torch's layout."""
    layer, _, part = name.rpartition("/")
    transposed = layer.endswith("conv2d_transpose")
    if part == "kernel" and transposed and array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    rank = 1 if part == "bias" else 2 if layer.endswith("dense") else 3
    if array.ndim != rank:
        raise CheckpointError(f"{name}: expected {rank} axes, got shape {list(array.shape)}")
    # Transposed: [taps, made, read] -> [read, made, taps]. Others: [taps, read, made] -> [made, read, taps].
    return torch.from_numpy(np.ascontiguousarray(array.T, dtype=np.float32))


def parameters_of(state: Mapping[str, Tensor], nearest: bool, length: int | None = None) -> dict[str, Any]:
    """The generator's constructor parameters that a state dict needs, with ``segment``.

    Strides leave no trace in weights: five layers make 16384 samples, six 32768 or 65536, which ``length`` decides.
    Channels double from layer to layer, at most to 32 d, as in all published models.

    Raises:
        CheckpointError: if the shapes do not follow from each other, or the length is not known.
    """
    layers = sum(name.startswith("layers.") and name.endswith(".weight") for name in state)
    lengths = LENGTHS.get(layers, ())
    if length is None and len(lengths) != 1:
        known = " or ".join(map(str, lengths)) or "any"
        raise CheckpointError(
            f"{layers} layers may make segments of several lengths ({known}); say which with --length"
        )
    kernels = [state[f"layers.{index}.weight"] for index in range(layers)]
    reads = [kernel.shape[1 if nearest else 0] for kernel in kernels]
    units, latent = state["project.weight"].shape
    parameters: dict[str, Any] = {"segment": length or lengths[0], "dim": reads[-1], "latent": latent}
    parameters |= {"kernel": kernels[0].shape[2], "base": units // reads[0]}
    parameters |= {"channels": kernels[-1].shape[0 if nearest else 1], "upsample": "nearest" if nearest else "zeros"}
    return parameters | {"post_filter": state["post.weight"].shape[-1] if "post.weight" in state else 0}


def recipe_of(parameters: Mapping[str, Any], sample_rate: int) -> dict[str, Any]:
    """A recipe with this generator, a critic to match and the released code's schedule.

    200,000 generator steps, each after five critic steps with batches and latent vectors of their own.
    """
    generator = {name: value for name, value in parameters.items() if name != "segment"}
    critic = {name: parameters[name] for name in ("dim", "kernel", "base", "channels")}
    rate = {"use": "adam", "lr": 1e-4, "betas": [0.5, 0.9], "epsilon_form": "tensorflow"}
    spec = AudioSpec(sample_rate=sample_rate, fmax=None)
    return {
        "name": "imported",
        "audio": spec.as_dict(),
        "corpus": {"use": "folder"},
        "data": {"normalise": None, "short": "pad"},
        "generator": {"use": "wavegan", **generator},
        "discriminators": {"critic": {"use": "wavegan", **critic}},
        "objective": {"use": "wgan"},
        "regularisers": {"gradient_penalty": {"use": "gradient_penalty", "weight": 10}},
        "plan": {"steps": 1_000_000, "batch_size": 64, "segment": parameters["segment"]}
        | {"generator_every": 5, "fresh_fake": True},
        "validation": {"metrics": []},
        "optimisers": {"generator": rate, "discriminators": dict(rate)},
    }


def write_experiment(folder: Path, exp: Path, length: int | None = None, sample_rate: int = 16000) -> Path:
    """Makes an experiment at step 0 with the published generator and, where there is none, a new critic; returns its
    recipe file.

    Raises:
        CheckpointError: if the experiment's folder holds anything already, or the weights are not finite or not WaveGAN's.
        GansembleError: if no network can be built of them.
    """
    from gansemble.training import checkpoint
    from gansemble.training.imported import imported

    checkpoint.demand_new(exp)  # before anything is read
    arrays = read(folder)
    try:
        state = generator_state(arrays)
        judge = critic_state(arrays) if any(name.startswith("D/") for name in arrays) else None
        parameters = parameters_of(state, any(name.startswith("G/upconv_0/conv1d/") for name in arrays), length)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    if parameters.get("channels", 1) != 1:
        raise CheckpointError(
            f"{folder}: makes {parameters['channels']} channels; recipes, and so experiments, are of one. "
            "gansemble_plugins.wavegan.published.generator_state reads the weights for use from Python"
        )
    with imported(exp, recipe_of(parameters, sample_rate), f"{folder}: holds the weights of") as parts:
        weights.load(parts.generator, state, f"{folder} (generator)")
        if judge is not None:
            weights.load(parts.discriminators.parts["critic"], judge, f"{folder} (critic)")
    return exp / "recipe.yaml"
