"""Makes a bundle of an experiment: one checkpoint with what was scored, heard and promised of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gansemble import __version__
from gansemble.bundle import layout, plain, sealed
from gansemble.bundle.layout import FACTS, Facts, ListedFile
from gansemble.bundle.sealed import Bundle
from gansemble.data.download import staged
from gansemble.errors import BundleError, CheckpointError
from gansemble.evaluation import account as accounts
from gansemble.evaluation.account import Account
from gansemble.files import near_path, sha256, write_atomically
from gansemble.publishing import contents
from gansemble.recipe import check
from gansemble.recipe.schema import Recipe
from gansemble.stages import json_files
from gansemble.stages.project import packed_folder
from gansemble.training.checkpoint import Saved
from gansemble.training.initialisation import checkpoint_of

#: What can be left out of a bundle.
Part = Literal["discriminators", "optimisers", "scores", "samples"]
Say = Callable[[str], object]
#: Beginnings of the names of a checkpoint's files, by what they are of.
_OF = {"discriminators": ("discriminators.", "optimiser-discriminators."), "optimisers": ("optimiser-", "rng-")}
#: Files of a checkpoint -> what ``holds`` calls them.
_HELD = {
    "generator.safetensors": "generator",
    "discriminators.safetensors": "discriminators",
    "ema.safetensors": "average of the generator",
    "optimiser-generator.json": "optimisers",
    "optimiser-discriminators.json": "optimisers",
    "state.json": "training state",
}


@dataclass(frozen=True)
class BundleOptions:
    """What goes into a bundle.

    Args:
        checkpoint: ``best`` by its validation score, or ``last``.
        without: what is left out.
        licence: of the model, as its owner states it, such as ``cc-by-4.0``; None is not stated.
        data_licence: of the training data, in words; None takes what the recipe's corpus states.
        samples: how many generated clips are put in, at most.
    """

    checkpoint: Literal["best", "last"] = "best"
    without: Collection[Part] = ()
    licence: str | None = None
    data_licence: str | None = None
    samples: int = 4


def make(exp: Path, output: Path, options: BundleOptions, say: Say = lambda text: None) -> Bundle:
    """Makes a bundle of an experiment; it appears as a whole, or not at all.

    Args:
        exp: the experiment's folder, which is only read.
        output: the bundle's folder, which must be new or empty.
        options: what goes into it.
        say: called with a line about what is left out, and about folders of this machine that the recipe names.

    Returns:
        The bundle, verified.

    Raises:
        CheckpointError: if the experiment has no sound checkpoint.
        RecipeError: if the checkpoint's recipe does not fit the installed toolkit and plugins.
        BundleError: if the folder is taken, or something cannot be held by a bundle, such as weights with NaN.
        OSError: if it cannot be written.
    """
    _demand_places(exp, output)
    saved = checkpoint_of(exp.resolve(), options.checkpoint, "EXP")
    recipe = check.load(saved.folder / "recipe.yaml", files=False)
    account = accounts.read(exp, saved.folder.name, packed_folder(exp), recipe.task)
    for line in contents.places_named(saved.folder / "recipe.yaml"):
        say(f"note: the recipe in the bundle names a place of this machine: {line}")
    with staged(output) as place:
        _checkpoint(saved, place / "checkpoints" / saved.folder.name, options.without)
        summary = contents.scores(exp, saved.step, place, say) if "scores" not in options.without else None
        heard = (
            contents.samples(exp, saved.folder.name, place, options.samples, say)
            if "samples" not in options.without
            else 0
        )
        json_files.write(place / "fidelity.json", contents.fidelity(recipe))
        holds = _holds(saved.folder.name, place, summary is not None, heard)
        facts = _facts(saved, recipe, account, options, holds)
        card = contents.card(account, recipe, options.licence, facts["data"]["licence"], summary, holds)
        write_atomically(place / "README.md", card)
        seal(place, facts)
        sealed.demand_weights(sealed.verify(place))
    return Bundle(output, layout.read(output))


def seal(place: Path, facts: Facts) -> None:
    """Writes ``bundle.json``, with the size and hash of every other file that lies in the folder.

    Raises:
        OSError: if a file cannot be read, or ``bundle.json`` not be written.
    """
    files: dict[str, ListedFile] = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.is_file() and name != FACTS:
            files[name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    json_files.write(place / FACTS, {**facts, "files": files})


def _demand_places(exp: Path, output: Path) -> None:
    if layout.is_bundle(exp):
        raise BundleError(f"{exp}: is a bundle already; push it, or make another of its experiment")
    if not exp.is_dir():
        raise BundleError(
            f"{exp}: no such folder{near_path(exp)}; expected an experiment, the folder that holds checkpoints/"
        )
    demand_free(output)
    if output.resolve().is_relative_to(exp.resolve()):
        raise BundleError(f"--output {output}: lies in the experiment {exp}; give a folder outside of it")


def demand_free(output: Path) -> None:
    """Refuses a folder for a bundle that holds anything.

    Raises:
        BundleError: saying what is there.
    """
    if output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir()))):
        what = f"holds {min(output.iterdir()).name}" if output.is_dir() else "is no folder"
        raise BundleError(f"--output {output}: {what}; give a folder that is new or empty")


def _checkpoint(saved: Saved, place: Path, without: Collection[str]) -> None:
    """Writes a checkpoint's files into a bundle: weights as they are, all other state as JSON and safetensors."""
    place.mkdir(parents=True)
    left_out = tuple(prefix for part in without for prefix in _OF.get(part, ()))
    for name, stated in saved.manifest["files"].items():
        if name.startswith(left_out) and left_out:
            continue
        if name.endswith(".pt"):
            plain.write(
                place, name.removesuffix(".pt"), saved.state(name.removesuffix(".pt")), str(saved.folder / name)
            )
            continue
        shutil.copyfile(saved.folder / name, place / name)
        if sha256(place / name) != stated["sha256"]:
            raise CheckpointError(f"{saved.folder / name}: was changed while the bundle was made; make it once more")
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(place.iterdir())}
    best = {name: score for name, score in saved.manifest.get("best", {}).items() if name == saved.folder.name}
    manifest = {**_without_places(saved.manifest), "files": files, "best": best}
    write_atomically(place / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True))


def _without_places(manifest: Mapping[str, object]) -> dict[str, object]:
    """A manifest that names no folder of this machine: of a first experiment and a teacher only the folder's name is kept."""
    noted = {key: value for key in ("init", "teacher") if isinstance(value := manifest.get(key), dict)}
    return {**manifest, **{key: {**value, "exp": Path(str(value.get("exp", ""))).name} for key, value in noted.items()}}


def _holds(checkpoint: str, place: Path, scored: bool, heard: int) -> list[str]:
    there = {path.name for path in (place / "checkpoints" / checkpoint).iterdir()}
    found = {what for name, what in _HELD.items() if name in there} | {"recipe", "fidelity"}
    return sorted(found | ({"scores"} if scored else set()) | ({"samples"} if heard else set()))


def _facts(saved: Saved, recipe: Recipe, account: Account, options: BundleOptions, holds: list[str]) -> Facts:
    return {
        "format": layout.FORMAT,
        "version": layout.VERSION,
        "gansemble": __version__,
        "name": account.name,
        "task": str(recipe.task),
        "checkpoint": saved.folder.name,
        "step": saved.step,
        "audio": recipe.audio.as_dict(),
        "audio_digest": recipe.audio.digest(),
        "holds": holds,
        "parameters": dict(account.parameters or {}),
        "licence": options.licence,
        "data": contents.training_data(recipe, account, options.data_licence),
        "plugins": contents.plugins(recipe),
        "files": {},
    }
