"""What a run begins with: weights of another experiment, and parameters that do not learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from torch import nn

from gansemble.audio.spec import AudioSpec
from gansemble.errors import CheckpointError, TrainingError
from gansemble.parts import weights
from gansemble.parts.build import Parts
from gansemble.parts.optimisers import named, shares
from gansemble.recipe.parameter_names import chooses_nothing, chosen
from gansemble.recipe.schema import Recipe
from gansemble.training import demands
from gansemble.training.checkpoint import Saved, Store, verify
from gansemble.training.ema import Ema
from gansemble.training.network_optimiser import NetworkOptimiser
from gansemble.training.state import read_optimisers


class Origin(TypedDict):
    """Where a run's first weights are from, as its checkpoints note it.

    Attributes:
        exp: the folder of the experiment, or of the bundle.
        checkpoint: the name of its checkpoint.
        files: SHA-256 of each file that was read, by its name.
    """

    exp: str
    checkpoint: str
    files: dict[str, str]


def source(recipe: Recipe, exp: Path, names: Sequence[str] | None = None) -> Saved | None:
    """The checkpoint that a new run begins with; None where it begins with random weights.

    Args:
        recipe: the run's.
        exp: the run's own folder.
        names: of the classes of the run's data, by index.

    Raises:
        CheckpointError: if ``init.exp`` is no experiment, is the run's own, has no sound checkpoint, or is of another audio
            specification or other classes.
    """
    if recipe.init.exp is None:
        return None
    place = Path(recipe.init.exp).resolve()
    if place == exp.resolve():
        raise CheckpointError(
            f"init.exp: {place} is this run's own folder; it goes on from there without, or give another --exp"
        )
    saved = checkpoint_of(place, recipe.init.checkpoint, "init.exp")
    demands.same_classes(recipe, saved, names)
    theirs = AudioSpec(**saved.manifest["audio"])
    if theirs.digest() != recipe.audio.digest():
        changed = "\n  ".join(theirs.differences(recipe.audio))
        raise CheckpointError(
            f"init.exp: {saved.folder}: made with another audio specification:\n  {changed}\nuse that one, or another init.exp"
        )
    return saved


def checkpoint_of(place: Path, which: str, key: str) -> Saved:
    """A checkpoint of another experiment.

    Args:
        place: the experiment's folder.
        which: ``last`` or ``best``, by its validation; the last one where none is known to be the best.
        key: of the recipe, for messages.

    Raises:
        CheckpointError: if there is no sound one.
    """
    store = Store(place / "checkpoints")
    saved = store.newest() if place.is_dir() else None
    if saved is None:
        raise CheckpointError(f"{key}: {place}: expected an experiment with checkpoints, found none")
    for name in saved.manifest.get("best", {}) if which == "best" else ():
        if (store.folder / name).is_dir():
            return verify(store.folder / name)
    return saved


def load_networks(recipe: Recipe, saved: Saved | None, parts: Parts) -> Origin | None:
    """Gives the networks, and the representation, what they had in a checkpoint; without one they keep what they have.

    Statistics of a representation are taken with the networks, as these work on what it makes.

    Raises:
        CheckpointError: if a network is not in the checkpoint, of another shape, or holds NaN or Inf.
    """
    if saved is None:
        return None
    read = []
    for name in recipe.init.networks:
        network: nn.Module = parts.generator if name == "generator" else parts.discriminators
        file = "ema" if name == "generator" and recipe.plan.ema is None and saved.has("ema.safetensors") else name
        if not saved.has(f"{file}.safetensors"):
            others = [other for other in recipe.init.networks if other != name]
            raise CheckpointError(f"init.exp: {saved.folder}: has no {name}; set init.networks=[{', '.join(others)}]")
        state = saved.network(file)
        weights.demand_finite(state, f"init.exp: {saved.folder / f'{file}.safetensors'}", network.state_dict())
        try:
            weights.load(network, state, f"{file}.safetensors")
        except CheckpointError as error:
            raise CheckpointError(
                f"init.exp: {saved.folder}: its {name} is not this recipe's ({error}); copy its part from "
                f"{saved.folder / 'recipe.yaml'}, or leave {name} out of init.networks"
            ) from error
        read.append(f"{file}.safetensors")
    if "generator" in recipe.init.networks and saved.has_state("state"):
        known = saved.parts().get("representation")
        part = parts.stateful().get("representation")
        if known is not None and part is not None:
            of_state = saved.state_files("state")
            weights.restore(part, known, f"init.exp: {saved.folder / of_state[0]}: the representation's statistics")
            read += of_state
    files = {name: str(saved.manifest["files"][name]["sha256"]) for name in read}
    return {"exp": str(saved.folder.parents[1]), "checkpoint": saved.folder.name, "files": files}


def load_training(
    recipe: Recipe, saved: Saved | None, networks: Mapping[str, NetworkOptimiser], ema: Ema | None
) -> None:
    """Gives the moving average and, with ``init.optimisers``, the optimisers what they had in a checkpoint, if any.

    Raises:
        CheckpointError: if an optimiser's state is not there, or is of other parameters.
    """
    if saved is None:
        return
    if ema is not None and "generator" in recipe.init.networks and saved.has("ema.safetensors"):
        average = saved.network("ema")
        weights.demand_finite(average, f"init.exp: {saved.folder / 'ema.safetensors'}", ema.state_dict())
        ema.load_state_dict(average)
    for name in recipe.init.networks if recipe.init.optimisers else ():
        each = networks[name]
        if not each.optimisers:
            continue
        if not saved.has_state(f"optimiser-{name}"):
            raise CheckpointError(
                f"init.exp: {saved.folder}: has no optimiser of the {name}; set init.optimisers=false"
            )
        try:
            read_optimisers(saved, name, each)
        except (ValueError, KeyError) as error:
            raise CheckpointError(
                f"init.exp: {saved.folder}: its optimiser of the {name} is not this recipe's ({error}): of another kind, or "
                "of other parameters, as where some are frozen; set init.optimisers=false"
            ) from error


def freeze(recipe: Recipe, parts: Parts) -> None:
    """Takes the parameters that ``init.freeze`` names out of learning; each of the others must have one optimiser.

    Raises:
        TrainingError: if a name is no parameter's beginning, nothing is left to learn of a network with an optimiser, or
            what learns is not shared out among the optimisers.
    """
    everything = {name: parameter for known in named(parts).values() for name, parameter in known.items()}
    for pattern in recipe.init.freeze:
        held = chosen([pattern], everything)
        if not held:
            raise TrainingError(f"init.freeze: {chooses_nothing(pattern, everything)}")
        for name in held:
            everything[name].requires_grad_(False)
    for side in ("generator", "discriminators"):
        own = [parameter for name, parameter in everything.items() if name.split(".")[0] == side]
        if own and side in recipe.many["optimisers"] and not any(parameter.requires_grad for parameter in own):
            raise TrainingError(f"init.freeze: nothing of the {side} is left to learn; leave some out of init.freeze")
    shares(recipe, parts)  # told here, before statistics of the data are measured
