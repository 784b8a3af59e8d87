"""A trained generator's folded weights in safetensors, and as TorchScript."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gansemble.exporting import metadata
from gansemble.exporting.graph import FRAMES, ITEMS, SAMPLES, NotExportable, call_first, quiet
from gansemble.exporting.parity import Run
from gansemble.exporting.plain import PlainGenerator
from gansemble.exporting.reasons import reason


def save_tensors(network: nn.Module, path: Path, facts: Mapping[str, object], recipe: str) -> None:
    """Writes a network's tensors, with the facts and the recipe's text in the file's header.

    Args:
        network: whose parametrisations are folded.
        path: of the file.
        facts: about the generator.
        recipe: YAML, from which ``gansemble`` builds the network.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    save_file(tensors, path, {metadata.KEY: metadata.text(facts), "recipe": recipe})


def tensors_differ(network: nn.Module, path: Path) -> bool:
    """Whether a file of tensors does not hold those of a network, bit for bit."""
    held, own = load_file(path), network.state_dict()
    return held.keys() != own.keys() or any(not torch.equal(held[name], own[name].cpu()) for name in held)


@torch.no_grad()
def save_script(plain: PlainGenerator, path: Path, facts: Mapping[str, object], who: str) -> None:
    """Writes a traced network, which C++ and Python load by ``torch.jit.load``, with the facts as the extra file ``gansemble``.

    A trace and no script, as scripting refuses much of Python that generators are written in. What a trace takes for a
    constant, such as a length, is found by comparing other lengths.

    Args:
        plain: in eval mode, on the CPU.
        path: of the file.
        facts: about the generator.
        who: the generator, for messages.

    Raises:
        NotExportable: if it cannot be traced.
    """
    length = SAMPLES if plain.inputs.length_name == "samples" else FRAMES
    example = tuple(plain.inputs.example(ITEMS, length).tensors())
    call_first(plain, example, who)
    try:
        with quiet():
            script = torch.jit.trace(plain, example, check_trace=False)
            torch.jit.save(script, str(path), {metadata.KEY: metadata.text(facts)})
    except Exception as error:
        raise NotExportable(f"{who} cannot be written as TorchScript: {reason(error)}") from error


def script_run(path: Path) -> Run:
    """Runs a TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.load(str(path))

    def run(arrays: Sequence[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            found: torch.Tensor = script(*(torch.from_numpy(array) for array in arrays))
        return found.numpy()

    return run
