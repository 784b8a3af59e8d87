"""Weights under the names of torch's former weight norm and spectral norm, as many published checkpoints hold them.

The former weight norm keeps ``weight_g`` and ``weight_v``; its parametrisation calls them ``original0`` and ``original1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gansemble.errors import CheckpointError
from gansemble.parts import weights


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The former names -> those of parametrisations."""
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
    """Loads weights that torch's former weight norm or spectral norm has named, or folded ones, into a network of the present norms.

    Args:
        network: whose weights they are; its modules have the names that they have in the file.
        state: tensors by name.
        source: of the weights, such as a file, for messages.

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


def read(path: Path) -> Mapping[str, Any]:
    """A file of plain tensors, as ``torch.save`` wrote it.

    Raises:
        CheckpointError: if it cannot be read, holds anything but plain data, or is no dictionary.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of damaged files torch and pickle raise errors of many kinds
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path}: not readable as a checkpoint of plain tensors ({said})") from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, got a {type(content).__name__}")
    return content
