"""Loads a trained generator from its experiment, or from a bundle of it, ready for use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import parametrize

from gansemble.abilities import Fitted, Growable
from gansemble.errors import CheckpointError, GansembleError
from gansemble.inference import given as of_caller
from gansemble.inference.trained import TrainedGenerator
from gansemble.interfaces import Representation
from gansemble.parts import weights
from gansemble.parts.build import Waveform, generator
from gansemble.parts.device import default_device
from gansemble.recipe import check
from gansemble.recipe.construct import construct
from gansemble.recipe.document import RecipeError
from gansemble.recipe.schema import Recipe
from gansemble.training import checkpoint
from gansemble.training.schedule import TrainingSchedule

Warn = Callable[[str], None]


def load(
    exp: str | os.PathLike[str],
    which: str = "best",
    device: str | torch.device | None = None,
    warn: Warn | None = None,
) -> TrainedGenerator:
    """Loads the generator of an experiment or a bundle: the moving average of its weights where there is one.

    Args:
        exp: the folder of the experiment, or of the bundle, whose every file is checked first.
        which: ``best`` for the checkpoint with the best validation score, ``last`` for the newest undamaged one.
        device: where to put it; None takes the GPU where there is one.
        warn: called with a message about damaged checkpoints that were passed over, and about networks that had not
            grown to their full size.

    Raises:
        CheckpointError: if the experiment has no undamaged checkpoint, its weights are not finite or not the generator's, or
            it lacks statistics of its representation.
        BundleError: if a file of a bundle was altered, or it holds others than it says.
        GansembleError: if there is no such folder, or an argument is none of those above.
        RecipeError: if the checkpoint's recipe does not fit the installed toolkit and plugins.
    """
    if not isinstance(exp, str | os.PathLike):
        raise GansembleError(f"exp={exp!r}: expected the path of an experiment's folder")
    if which not in ("best", "last"):
        raise GansembleError(f"which={which!r}: expected 'best' or 'last'")
    if not Path(exp).is_dir():
        what = "is a file" if Path(exp).is_file() else "no such folder"
        raise GansembleError(f"{exp}: {what}; expected an experiment or a bundle, the folder that holds checkpoints/")
    place = default_device() if device is None else of_caller.device(device)
    saved = _saved(Path(exp), which, warn)
    recipe = _recipe(saved.folder / "recipe.yaml")
    network = generator(recipe)
    name = "ema" if saved.has("ema.safetensors") else "generator"
    weights.load(network, saved.network(name), str(saved.folder / f"{name}.safetensors"))
    kept = saved.parts().get("representation") if saved.has_state("state") else None
    representation = _representation(recipe, kept, saved.folder)
    ready = fold(network).eval().requires_grad_(False).to(place)
    if isinstance(representation, nn.Module):
        representation.to(place)
    grown = grow([ready, representation], recipe, saved.step)
    if not grown and warn is not None:
        warn(f"{saved.folder}: the networks were not grown yet at step {saved.step}, so resolutions are missing")
    history = saved.manifest.get("data") or ()
    names = saved.manifest.get("classes") or ()
    return TrainedGenerator(
        ready, representation, recipe, saved.step, saved.folder, history, grown, names, saved.manifest.get("mel")
    )


def recipe_of(exp: Path) -> Recipe:
    """The recipe of an experiment's newest undamaged checkpoint, or of a bundle.

    Raises:
        CheckpointError, BundleError, RecipeError: as :func:`load` does.
    """
    return _recipe(_saved(exp, "last", None).folder / "recipe.yaml")


def _recipe(path: Path) -> Recipe:
    """A checkpoint's recipe.

    Raises:
        CheckpointError: if the file holds no recipe.
        RecipeError: if it does not fit the installed toolkit and plugins.
    """
    try:
        return check.load(path, files=False)  # those of losses may be elsewhere by now
    except RecipeError as error:
        if str(path) in str(error):
            raise
        raise CheckpointError(f"{path}: {error}") from error


def _saved(exp: Path, which: str, warn: Warn | None) -> checkpoint.Saved:
    store = checkpoint.Store(exp / "checkpoints")
    saved = store.newest(warn)
    if saved is None:
        raise CheckpointError(
            f"{exp}: expected an experiment with checkpoints, found none; train it first (run.sh --stage train)"
        )
    if which == "best":
        for name in saved.manifest.get("best", {}):
            if name == saved.folder.name:  # whose files have just been read and hashed
                return saved
            if (store.folder / name).is_dir():
                return checkpoint.verify(store.folder / name)
    return saved


def _representation(recipe: Recipe, state: dict[str, object] | None, source: Path) -> Representation:
    """The recipe's representation with the statistics it was trained with.

    Raises:
        CheckpointError: if it needs statistics and the checkpoint holds none.
    """
    if "representation" not in recipe.single:
        return Waveform()
    made = construct(recipe.single["representation"], recipe)
    if state is not None:
        weights.restore(made, state, f"{source}: the representation's statistics")
    elif isinstance(made, Fitted) and not made.fitted:
        raise CheckpointError(f"{source}: holds no statistics of its representation; train it again")
    return made


def fold(network: nn.Module) -> nn.Module:
    """Replaces every weight normalisation (or other parametrisation) by the weight that it computes.

    The output is unchanged, and synthesis is faster. The network is changed in place, and returned.
    """
    for module in network.modules():
        for name in list(getattr(module, "parametrizations", {})):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return network


def grow(parts: Sequence[object], recipe: Recipe, step: int) -> bool:
    """Brings growing networks to the size that they had after ``step`` training steps.

    Args:
        parts: networks and representation; those that do not grow are left alone.
        recipe: whose plan says how they grow.
        step: number of steps done.

    Returns:
        Whether that is their final size.
    """
    schedule = TrainingSchedule(recipe.plan, 1)  # growth does not depend on the number of clips
    progress = schedule.progress(max(0, step - 1))
    for part in parts:
        if progress is not None and isinstance(part, Growable):
            part.set_progress(progress)
    return schedule.grown(max(0, step - 1))
