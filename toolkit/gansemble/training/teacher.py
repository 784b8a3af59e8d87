"""The generator of another experiment that teaches: chosen, held against the recipe, and kept in the run's own folder."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from torch import nn

from gansemble.abilities import Growable, Stateful
from gansemble.audio.spec import AudioSpec
from gansemble.contract import DEGRADED
from gansemble.errors import CheckpointError
from gansemble.files import sha256, sync, write_atomically
from gansemble.interfaces import Representation
from gansemble.parts import weights
from gansemble.parts.build import Waveform, generator
from gansemble.recipe import check, fill
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part
from gansemble.recipe.task import NO_SIGNALS, listed
from gansemble.stages.locks import holder
from gansemble.stages.project import TEACHER
from gansemble.training import initialisation
from gansemble.training.checkpoint import Saved, verify
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.teaching import Teaching

log = logging.getLogger(__name__)


class Note(TypedDict):
    """What a run's checkpoints note of its teacher.

    Attributes:
        exp: the experiment's folder, as the recipe gives it.
        choice: which of its checkpoints the recipe asks for.
        checkpoint: the name of that checkpoint.
        files: SHA-256 of the recipe and of the weights that were read, by file name.
    """

    exp: str
    choice: str
    checkpoint: str
    files: dict[str, str]


@dataclass(frozen=True)
class Teacher:
    """A teacher, ready for use.

    Args:
        network: the generator, in eval mode, without gradients.
        saved: the checkpoint, or the copy of it in the run's folder, that it was read from.
        note: what the run's checkpoints note of it.
        recipe: that it was trained with.
    """

    network: nn.Module
    saved: Saved
    note: Note
    recipe: Recipe

    @property
    def teaching(self) -> Teaching:
        """What training steps ask for its output."""
        return Teaching(self.network, self.recipe.generator_contract.reads or frozenset())

    def demand_statistics(self, representation: Representation) -> None:
        """Refuses a teacher whose representation was fitted to other data than the run's: its items mean something else.

        Args:
            representation: the run's, fitted.

        Raises:
            CheckpointError: if the teacher's checkpoint holds other statistics of it.
        """
        if not self.saved.has_state("state") or not isinstance(representation, Stateful):
            return
        theirs = self.saved.parts().get("representation")
        if theirs is not None and not _equal(theirs, representation.state_dict()):
            raise CheckpointError(
                f"teacher.exp: {self.saved.folder}: its representation was fitted to other data, so that what it makes has "
                "another scale; train it on these data, or begin with its statistics: init: {exp: …, networks: [generator]}"
            )

    def keep(self, exp: Path) -> None:
        """Copies recipe, weights and manifest into the run's folder, where a run that goes on finds them.

        Args:
            exp: the run's folder.

        Raises:
            CheckpointError: if a file is no longer what was read from it, or cannot be copied.
        """
        if self.saved.folder == exp / TEACHER:
            return
        try:
            self._copy(exp / TEACHER, exp / f".{TEACHER}.new")
        except OSError as error:
            raise CheckpointError(
                f"{exp / TEACHER}: the teacher could not be copied there ({error}); free space and run the same command"
            ) from error

    def _copy(self, place: Path, fresh: Path) -> None:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for name, digest in self.note["files"].items():
            shutil.copyfile(self.saved.folder / name, fresh / name)
            if sha256(fresh / name) != digest:
                raise CheckpointError(
                    f"{self.saved.folder / name}: was changed while the run began; start it once more"
                )
            sync(fresh / name)
        files = {name: self.saved.manifest["files"][name] for name in self.note["files"]}
        manifest = {**self.saved.manifest, "files": files, "teacher": dict(self.note)}
        write_atomically(fresh / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True))
        sync(fresh)
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
        sync(place.parent)


def load(
    recipe: Recipe, exp: Path, device: torch.device, names: Sequence[str] | None = None, *, anew: bool = True
) -> Teacher | None:
    """The recipe's teacher; None for a recipe without one.

    Args:
        recipe: the run's.
        exp: the run's own folder.
        device: where the teacher is put.
        names: of the classes of the run's data, by index.
        anew: take it from ``teacher.exp``, as a new run does. A run that goes on takes the copy in its own folder; one
            that is damaged, or of another ``teacher`` section, is passed over.

    Raises:
        CheckpointError: if ``teacher.exp`` is no experiment, is the run's own, is being trained, or does not fit; or its
            weights are not finite.
        RecipeError: if the teacher's recipe does not fit the installed toolkit and plugins.
    """
    if recipe.teacher.exp is None:
        return None
    saved = (None if anew else _kept(recipe, exp)) or _source(recipe, exp)
    theirs = check.load(saved.folder / "recipe.yaml", files=False)
    _demand_fits(recipe, theirs, saved, names)
    with torch.random.fork_rng([]):  # its first weights are drawn in vain, and must not move the run's draws
        network = generator(theirs)
    file = "ema.safetensors" if saved.has("ema.safetensors") else "generator.safetensors"
    weights.load(network, saved.network(file.removesuffix(".safetensors")), f"teacher.exp: {saved.folder / file}")
    progress = TrainingSchedule(theirs.plan, 1).progress(max(0, saved.step - 1))
    if progress is not None and isinstance(network, Growable):
        network.set_progress(progress)
    files = {name: str(saved.manifest["files"][name]["sha256"]) for name in ("recipe.yaml", file)}
    known = saved.manifest.get("teacher", {}) if saved.folder == exp / TEACHER else {}
    note: Note = {
        "exp": recipe.teacher.exp,
        "choice": recipe.teacher.checkpoint,
        "checkpoint": known.get("checkpoint", saved.folder.name),
        "files": files,
    }
    return Teacher(network.to(device).eval().requires_grad_(False), saved, note, theirs)


def difference(old: Note | None, new: Note | None) -> str | None:
    """How the teachers of two checkpoints differ, in words; None if they do not, or one has none, as its recipe says."""
    if old is None or new is None or old["files"] == new["files"]:
        return None
    return f"teacher: {_shown(old)} -> {_shown(new)}"


def _shown(note: Note) -> str:
    digests = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(note["files"].items()))
    return f"{note['exp']} at {note['checkpoint']} (sha256 of {digests})"


def _source(recipe: Recipe, exp: Path) -> Saved:
    """The checkpoint that ``teacher`` chooses; refused while its experiment is being trained."""
    assert recipe.teacher.exp is not None
    place = Path(recipe.teacher.exp).resolve()
    if place == exp.resolve():
        raise CheckpointError(f"teacher.exp: {place} is this run's own folder; a teacher is another, finished run")
    owner = holder(place)
    if owner is not None:
        raise CheckpointError(
            f"teacher.exp: {place}: {owner} is training it; wait until it has ended, or give a copy of the folder without "
            f".lock (if that run is dead, remove {place / '.lock'})"
        )
    return initialisation.checkpoint_of(place, recipe.teacher.checkpoint, "teacher.exp")


def _kept(recipe: Recipe, exp: Path) -> Saved | None:
    """The copy in the run's folder; None if there is none of this ``teacher`` section, or it is damaged."""
    if not (exp / TEACHER / "manifest.json").is_file():
        return None
    try:
        saved = verify(exp / TEACHER)
    except CheckpointError as error:
        log.warning("%s; the teacher is read from %s again", error, recipe.teacher.exp)
        return None
    noted = saved.manifest.get("teacher", {})
    wanted = (recipe.teacher.exp, recipe.teacher.checkpoint)
    return saved if (noted.get("exp"), noted.get("choice")) == wanted else None


def _demand_fits(recipe: Recipe, theirs: Recipe, saved: Saved, names: Sequence[str] | None) -> None:
    """Refuses a teacher that hears or makes something else than this recipe's generator."""
    where = f"teacher.exp: {saved.folder}"
    audio = AudioSpec(**saved.manifest["audio"])
    if audio.digest() != recipe.audio.digest():
        changed = "\n  ".join(audio.differences(recipe.audio))
        raise CheckpointError(
            f"{where}: made with another audio specification:\n  {changed}\nuse that one, or another teacher"
        )
    if _representation(theirs) != _representation(recipe):
        raise CheckpointError(
            f"{where}: its representation is {_named(theirs)}, this recipe's {_named(recipe)}; use the same, or another teacher"
        )
    contract, ours = theirs.generator_contract, recipe.generator_contract
    reads, given = contract.reads or frozenset(), ours.reads or frozenset()
    if reads - given:
        raise CheckpointError(
            f"{where}: its generator reads {listed(reads)}, this recipe's {listed(given)}, so that {listed(reads - given)} is "
            "not there; use another teacher"
        )
    if "latent" in reads and (contract.latent, contract.latent_law) != (ours.latent, ours.latent_law):
        raise CheckpointError(
            f"{where}: its generator reads {contract.latent} latent numbers ({contract.latent_law}), this recipe's "
            f"{ours.latent} ({ours.latent_law}); use the same, or another teacher"
        )
    for name in sorted(reads - NO_SIGNALS - {"mel", DEGRADED}):
        each = [fill.part(one.many["features"][name]) for one in (theirs, recipe) if name in one.many["features"]]
        if len(each) != 2 or each[0] != each[1]:
            raise CheckpointError(
                f"{where}: its features.{name} is {each[0]}, this recipe's {each[-1]}; use the same, or another teacher"
            )
    if "label" in reads:
        _demand_classes(recipe, theirs, saved, names)


def _demand_classes(recipe: Recipe, theirs: Recipe, saved: Saved, names: Sequence[str] | None) -> None:
    """Refuses a teacher to which a label stands for another class or pitch."""
    where = f"teacher.exp: {saved.folder}"
    contract, ours = theirs.generator_contract, recipe.generator_contract
    if contract.pitches != ours.pitches:
        raise CheckpointError(
            f"{where}: its generator is built for pitches {contract.pitches}, this recipe's for {ours.pitches}; use the same, "
            "or another teacher"
        )
    count = ours.classes or (len(names) if names else None)
    if None not in (contract.classes, count) and contract.classes != count:
        raise CheckpointError(
            f"{where}: its generator is built for {contract.classes} classes, this recipe's data have {count}; use another "
            "teacher"
        )
    known = saved.manifest.get("classes")
    if known is not None and list(known) != list(names or ()):
        raise CheckpointError(
            f"{where}: it learnt the classes {', '.join(known)}, in this order; those of the packed data are "
            f"{', '.join(names or ()) or 'without names'}; use another teacher, or data of the same classes"
        )


def _representation(recipe: Recipe) -> object:
    """What a recipe says of its representation; None for waveforms, by whatever way."""
    part = recipe.single.get("representation")
    return None if part is None or part.target is Waveform else fill.part(part)


def _named(recipe: Recipe) -> str:
    part: Part | None = recipe.single.get("representation")
    return "none" if part is None else str(fill.part(part))


def _equal(one: object, other: object) -> bool:
    """Whether two states are equal, tensors bit for bit wherever they are."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one.cpu(), other.cpu())
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
