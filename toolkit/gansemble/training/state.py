"""Collects and restores the state of a run: networks, optimisers, other parts, counters and random states."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gansemble.errors import CheckpointError
from gansemble.parts.build import Parts
from gansemble.training.checkpoint import Saved, save_network
from gansemble.training.ema import Ema
from gansemble.training.network_optimiser import NetworkOptimiser

log = logging.getLogger(__name__)


def rng() -> dict[str, object]:
    """This process's random states of torch, Python, numpy and the current GPU.

    Given as plain containers and tensors, which ``torch.load(weights_only=True)`` can read.
    """
    name, keys, position, gauss, cached = np.random.get_state(legacy=True)
    state: dict[str, object] = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, gauss, cached],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_rng(state: Mapping[str, Any]) -> None:
    """Sets this process's random states to what :func:`rng` gave."""
    torch.set_rng_state(state["torch"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def write(
    folder: Path,
    parts: Parts,
    networks: Mapping[str, NetworkOptimiser],
    ema: Ema | None,
    counters: Mapping[str, object],
    adaptation: Mapping[str, object],
) -> None:
    """Writes the state that is the same on every process into the temporary folder of a checkpoint.

    Args:
        folder: temporary folder of the checkpoint.
        parts: the recipe's parts.
        networks: both sides with their optimisers and gradient scalers.
        ema: moving average of the generator's weights, or None.
        counters: where the run is.
        adaptation: statistics of adaptive parts.
    """
    save_network(folder / "generator.safetensors", parts.generator.state_dict())
    if list(parts.discriminators.parameters()):
        save_network(folder / "discriminators.safetensors", parts.discriminators.state_dict())
    if ema is not None:
        save_network(folder / "ema.safetensors", ema.state_dict())
    for name, each in networks.items():
        if each.optimisers:
            saved = {
                "optimisers": {own: made.state_dict() for own, made in each.optimisers.items()},
                "parameters": {own: _groups(each, own) for own in each.optimisers},
                "scaler": each.scaler.state_dict(),
            }
            torch.save(saved, folder / f"optimiser-{name}.pt")
    stateful = {name: part.state_dict() for name, part in parts.stateful().items()}
    kept = {"counters": dict(counters), "parts": stateful, "adaptation": dict(adaptation), "marks": dict(parts.marks)}
    torch.save(kept, folder / "state.pt")


def read(
    saved: Saved, parts: Parts, networks: Mapping[str, NetworkOptimiser], ema: Ema | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Restores networks, moving average, optimisers and stateful parts from a checkpoint.

    Optimisers get their state back, but keep the settings of the present recipe, such as the learning rate. A moving
    average that the checkpoint lacks begins with its generator. A part that has changed, or is measured on other data,
    begins anew.

    Args:
        saved: the checkpoint.
        parts, networks, ema: what is restored in place.

    Returns:
        (the counters, the statistics of adaptive parts), which are not restored here.

    Raises:
        CheckpointError: if the networks' shapes are not the recipe's.
    """
    try:
        parts.generator.load_state_dict(saved.network("generator"))
        if saved.has("discriminators.safetensors"):
            parts.discriminators.load_state_dict(saved.network("discriminators"))
    except RuntimeError as error:
        raise CheckpointError(
            f"{saved.folder}: its networks are not this recipe's ({error}); train in another --exp"
        ) from error
    if ema is not None:
        ema.load_state_dict(saved.network("ema" if saved.has("ema.safetensors") else "generator"))
    for name, each in networks.items():
        if saved.has_state(f"optimiser-{name}"):
            try:
                read_optimisers(saved, name, each)
            except (ValueError, KeyError) as error:
                raise CheckpointError(
                    f"{saved.folder}: its optimisers of the {name} are not this recipe's ({error}); put the recipe's optimisers "
                    "back, or begin another --exp with init.exp and init.optimisers=false"
                ) from error
    state = saved.state("state")
    marks = state.get("marks", {})
    for name, part in parts.stateful().items():
        if name not in state["parts"]:
            continue
        if name in parts.marks and marks.get(name) != parts.marks[name]:
            log.info("%s has changed, or what it is measured on, and begins anew", name)
            continue
        part.load_state_dict(state["parts"][name])
    return state["counters"], state["adaptation"]


def _groups(network: NetworkOptimiser, name: str) -> list[list[str]]:
    """The names of the parameters in each group of an optimiser, as the network's file has them."""
    names = {id(parameter): own for own, parameter in network.network.named_parameters()}
    return [[names[id(each)] for each in group["params"]] for group in network.optimisers[name].param_groups]


def read_optimisers(saved: Saved, side: str, network: NetworkOptimiser) -> None:
    """Restores a side's optimisers and gradient scaler; their settings, such as the learning rate, stay the recipe's.

    Args:
        saved: a checkpoint that has them.
        side: ``generator`` or ``discriminators``.
        network: whose optimisers they are; one without is left alone.

    Raises:
        ValueError: if the optimisers are others, or of other parameters.
    """
    if not network.optimisers:
        return
    state = saved.state(f"optimiser-{side}")
    # A side had one optimiser, of its name, before there could be several.
    states, parameters = state.get("optimisers") or {side: state["optimiser"]}, state.get("parameters", {})
    if states.keys() != network.optimisers.keys():
        raise ValueError(f"it has {', '.join(states)}, this recipe {', '.join(network.optimisers)}")
    for name in network.optimisers:
        ours = _groups(network, name)
        if parameters.get(name, ours) != ours:
            before, now = ({own for group in groups for own in group} for groups in (parameters[name], ours))
            which = ", ".join(sorted(before ^ now)[:3]) or "in other groups"
            raise ValueError(f"{name} is of other parameters: {which}")
    for name, optimiser in network.optimisers.items():
        settings = [{key: value for key, value in group.items() if key != "params"} for group in optimiser.param_groups]
        optimiser.load_state_dict(states[name])
        for group, own in zip(optimiser.param_groups, settings, strict=True):
            group.update(own)  # the recipe's, which --allow-change may change
    network.scaler.load_state_dict(state["scaler"])
