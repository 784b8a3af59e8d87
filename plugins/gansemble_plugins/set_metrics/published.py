"""Published weights of embedders: found on this machine, or downloaded and held against their SHA-256."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gansemble import inputs
from gansemble.data.download import download
from gansemble.errors import DataError, GansembleError


@dataclass(frozen=True)
class Published:
    """A file of weights that its authors publish.

    Args:
        url: where it is.
        sha256: of its content.
        size: of it [bytes].
        name: of the file.
    """

    url: str
    sha256: str
    size: int
    name: str


def cache() -> Path:
    """Where downloaded weights are kept: ``gansemble/weights`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gansemble" / "weights"


def fetched(published: Published) -> Path:
    """The file of published weights: where it was kept before, where torch's hub keeps it, or downloaded now.

    Raises:
        GansembleError: if it is nowhere and cannot be downloaded, or is not as published.
    """
    hub = Path(torch.hub.get_dir()) / "checkpoints" / published.name
    place = cache() / published.name
    found = place if place.exists() or not hub.exists() else hub
    try:
        return download(published.url, found, sha256=published.sha256, size=published.size, attempts=1)
    except DataError as error:
        raise GansembleError(
            f"{error}\nWithout a network, fetch {published.url} ({published.size / 1e6:.0f} MB, SHA-256 "
            f"{published.sha256}) elsewhere and put it at {place}, or name the file in the recipe: weights: PATH"
        ) from error
    except OSError as error:
        raise GansembleError(
            f"{place}: cannot be written ({error.strerror or error}); name a file: weights: PATH"
        ) from error


def load(network: nn.Module, path: Path, ignored: tuple[str, ...] = ()) -> str:
    """Loads weights into a network, without running any code that the file may hold.

    Args:
        network: whose weights they are; it may be on torch's meta device.
        path: of a state dict saved by torch, by itself or as ``model`` of a mapping, or of safetensors.
        ignored: beginnings of names in it that are not the network's.

    Returns:
        The SHA-256 of the file.

    Raises:
        GansembleError: if the file cannot be read, or lacks a tensor or holds one of another name or shape.
    """
    state = _state(path)
    own = network.state_dict()
    chosen = {name: value for name, value in state.items() if name in own or not name.startswith(ignored)}
    missing, unknown = sorted(own.keys() - chosen.keys()), sorted(chosen.keys() - own.keys())
    shapes = [name for name in own.keys() & chosen.keys() if own[name].shape != chosen[name].shape]
    for what, names in (("lacks", missing), ("holds the unknown", unknown), ("has another shape of", sorted(shapes))):
        if names:
            shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
            raise GansembleError(f"{path}: {what} {shown}; expected the weights of {type(network).__name__}")
    odd = next((name for name, value in chosen.items() if not bool(torch.isfinite(value).all())), None)
    if odd is not None:
        raise GansembleError(f"{path}: {odd} holds NaN or Inf; fetch the file again")
    # Assigned, not copied, as the network may be one that holds no numbers yet.
    kept = {name: value.to(own[name].dtype) for name, value in chosen.items()}
    network.load_state_dict(kept, assign=True)
    return inputs.digest(path)


def _state(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except Exception as error:  # its own class of errors, and those of the file system
            raise GansembleError(f"{path}: cannot be read as safetensors ({error})") from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise GansembleError(
            f"{path}: cannot be read as weights saved by torch ({type(error).__name__}: {str(error).splitlines()[0]}); "
            "expected a state dict that torch.load(…, weights_only=True) accepts"
        ) from error
    found = found.get("model", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise GansembleError(f"{path}: expected a state dict, tensors by name, got {type(found).__name__}")
    return found
