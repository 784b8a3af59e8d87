"""Checkpoints: folders that are written completely or not at all, and verified when they are read.

The files of a checkpoint are written into a folder with a temporary name; last of all come a manifest with the size and
hash of each file, and the renaming of the folder.

``checkpoints/step-00012000/`` holds ``*.safetensors`` (networks), ``*.pt`` (everything else, read with
``weights_only=True``; in a bundle, pairs of ``*.json`` and ``*.safetensors``), ``recipe.yaml`` and ``manifest.json``. A
checkpoint is sound if every file has the size and hash that the manifest states, and a bundle's if the whole bundle is. Loading falls back from one that is not to the newest sound one before it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gansemble import __version__
from gansemble.bundle import layout, plain, sealed
from gansemble.data.trained_on import TrainedData
from gansemble.errors import CheckpointError, DataError, GansembleError
from gansemble.files import alive, give_usual_mode, sha256, sync, unused, write_atomically
from gansemble.parts.plain import read_plain
from gansemble.stages import json_files

log = logging.getLogger(__name__)
#: What is said of a checkpoint whose manifest cannot be relied on.
INCOMPLETE = "the checkpoint is incomplete"
PREFIX = "step-"
#: What to do about a checkpoint's file that cannot be read.
RESTORE = "copy the experiment again, or take another checkpoint (remove this one's folder)"
#: Suffixes of the files that a checkpoint is made of; others in its folder are not ours.
WRITTEN = (".pt", ".safetensors", ".yaml")


@dataclass(frozen=True)
class Saved:
    """A checkpoint on disk that was found sound.

    Args:
        folder: of the checkpoint.
        manifest: content of its ``manifest.json``: the step, versions, scores, and the size and hash of each file.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def step(self) -> int:
        """The number of training steps that were done when it was written."""
        return int(self.manifest["step"])

    def network(self, name: str) -> dict[str, torch.Tensor]:
        """The weights of ``generator``, ``discriminators`` or ``ema`` (the generator's moving average), on the CPU.

        Raises:
            CheckpointError: if the file cannot be read.
        """
        path = self.folder / f"{name}.safetensors"
        try:
            return load_file(path)
        except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
            raise CheckpointError(f"{path}: not readable as weights ({error}); {RESTORE}") from error

    def has(self, name: str) -> bool:
        """Whether the checkpoint has a file of this name, suffix included."""
        return name in self.manifest["files"]

    def has_state(self, name: str) -> bool:
        """Whether the checkpoint has a state of this name, in either form."""
        return bool(self.state_files(name))

    def state_files(self, name: str) -> list[str]:
        """The names of the files that a state is in: ``<name>.pt``, or in a bundle ``<name>.json`` and its tensors; may be empty."""
        forms = ([f"{name}.pt"], [f"{name}.json", f"{name}.safetensors"])
        return next((found for form in forms if (found := [file for file in form if self.has(file)])), [])

    def state(self, name: str) -> Any:
        """The content of ``<name>.pt``, or in a bundle of ``<name>.json`` and its tensors, with tensors on the CPU.

        Raises:
            CheckpointError: if it is damaged, or holds anything but plain tensors and containers.
        """
        try:
            if f"{name}.json" in self.state_files(name):
                return plain.read(self.folder, name, RESTORE)
            return read_plain(self.folder / f"{name}.pt", "take another checkpoint, and ask who made this one")
        except GansembleError as error:
            raise CheckpointError(str(error)) from error

    def parts(self) -> Mapping[str, Any]:
        """What parts other than networks knew, by recipe path.

        Raises:
            CheckpointError: if ``state.pt`` cannot be read, or holds something else.
        """
        found = self.state("state")
        parts = found.get("parts") if isinstance(found, Mapping) else None
        if not isinstance(parts, Mapping):
            file = (self.state_files("state") or ["state.pt"])[0]
            raise CheckpointError(f"{self.folder / file}: holds no parts by name; {RESTORE}")
        return parts


class Store:
    """Writes, prunes and finds the checkpoints of one experiment.

    Args:
        folder: ``exp/<name>/checkpoints``.
        keep: number of newest checkpoints that are kept, at least one.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = max(1, keep)

    def begin(self, step: int) -> Path:
        """Creates an empty temporary folder for the files of a step's checkpoint."""
        temporary = self.folder / f".tmp-{PREFIX}{step:08d}-{socket.gethostname()}-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        return temporary

    def commit(self, temporary: Path, step: int, facts: Mapping[str, object], protected: set[str]) -> Path:
        """Turns a temporary folder into a checkpoint, and prunes older ones.

        The files are hashed and flushed to disk, the manifest is written, and the folder is renamed. An earlier
        checkpoint of the same step is replaced.

        Args:
            temporary: folder of :meth:`begin` with all files written.
            step: number of steps done.
            facts: further entries of the manifest.
            protected: names of checkpoint folders that are not pruned.

        Returns:
            The checkpoint's folder.
        """
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(temporary.iterdir())
        }
        for name in files:
            sync(temporary / name)
        manifest = {
            "step": step,
            "gansemble": __version__,
            "torch": torch.__version__,
            **facts,
            "files": files,
        }
        write_atomically(temporary / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True))
        sync(temporary)
        final = self.folder / f"{PREFIX}{step:08d}"
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        sync(self.folder)
        self.prune(protected | {final.name})
        return final

    def prune(self, protected: set[str]) -> None:
        """Deletes all checkpoints but the newest ``keep`` and those whose folder names are ``protected``.

        One that cannot be deleted is left there with a warning.
        """
        names = [path.name for path in self.folders()]
        for name in set(names[: -self.keep]) - protected:
            try:
                shutil.rmtree(self.folder / name)
            except OSError as error:
                log.warning("could not delete the old checkpoint %s: %s", self.folder / name, error)

    def undo(self, step: int) -> None:
        """Renames the checkpoints of later steps to ``undone-…``, after a run went back to ``step``.

        A resumed run then does not take one of them for the newest. Those renamed in an earlier call are deleted.
        """
        for old in self.folder.glob(f"undone-{PREFIX}*"):
            shutil.rmtree(old, ignore_errors=True)
        for folder in self.folders():
            if step_of(folder) > step:
                folder.rename(folder.with_name(f"undone-{folder.name}"))
        sync(self.folder)

    def at(self, step: int) -> Path:
        """The folder that a step's checkpoint has, or would have."""
        return self.folder / f"{PREFIX}{step:08d}"

    def folders(self) -> list[Path]:
        """Checkpoint folders, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(
            path for path in self.folder.iterdir() if re.fullmatch(rf"{PREFIX}[0-9]+", path.name) and path.is_dir()
        )

    def clean(self) -> None:
        """Deletes temporary folders of processes of this machine that ended before their checkpoint was complete."""
        for path in self.folder.glob(f".tmp-{PREFIX}*-{socket.gethostname()}-*") if self.folder.is_dir() else ():
            _, _, owner = path.name.removeprefix(f".tmp-{PREFIX}").partition("-")
            machine, _, pid = owner.rpartition("-")
            # Another machine's name may contain this one's.
            if machine == socket.gethostname() and not alive(int(pid)):
                shutil.rmtree(path, ignore_errors=True)

    def sound(self, warn: Callable[[str], None] | None = None, quarantine: bool = False) -> Iterator[Saved]:
        """Yields the sound checkpoints, newest first; that of a bundle.

        Args:
            warn: called with a message about each checkpoint that is not sound.
            quarantine: rename those to ``corrupt-…``, as soon as a sound one older than them is found.

        Raises:
            BundleError: if this is a bundle's, and anything of the bundle is not what it says.
        """
        if layout.is_bundle(self.folder.parent):
            found = sealed.verify(self.folder.parent)
            yield verify(self.folder / found.facts["checkpoint"], found.hashes)
            return
        unsound: list[Path] = []
        for folder in reversed(self.folders()):
            try:
                saved = verify(folder)
            except CheckpointError as error:
                if warn:
                    warn(f"{error}; falling back to the checkpoint before it")
                unsound.append(folder)
                continue
            while quarantine and unsound:
                bad = unsound.pop()
                bad.rename(unused(bad.with_name(f"corrupt-{bad.name}")))
            yield saved

    def newest(self, warn: Callable[[str], None] | None = None, quarantine: bool = False) -> Saved | None:
        """The newest sound checkpoint, or None if there are no checkpoints.

        Args:
            warn: called with a message about each checkpoint that is not sound.
            quarantine: rename those that are newer than the one returned to ``corrupt-…``.

        Raises:
            CheckpointError: if there are checkpoints and none is sound.
        """
        there = bool(self.folders())
        found = next(self.sound(warn, quarantine), None)
        if found is None and there:
            raise CheckpointError(
                f"{self.folder}: no checkpoint here is sound; restore one, or train again with --force"
            )
        return found


def demand_new(exp: Path) -> None:
    """Refuses a folder for a new experiment that holds anything.

    Raises:
        CheckpointError: naming what is there.
    """
    if Store(exp / "checkpoints").folders():
        raise CheckpointError(f"{exp}: already holds checkpoints; import into another --exp")
    if os.path.lexists(exp) and (not exp.is_dir() or any(exp.iterdir())):
        what = f"holds {min(exp.iterdir()).name}" if exp.is_dir() else "is no folder"
        raise CheckpointError(f"{exp}: {what}; import into another --exp, one that is new or empty")


def step_of(folder: Path) -> int:
    """The step in a checkpoint folder's name."""
    return int(folder.name.removeprefix(PREFIX))


class _File(TypedDict):
    bytes: int
    sha256: str


class _Promised(TypedDict):
    """The entries of a checkpoint's manifest that its use relies on; there are others."""

    step: int
    files: dict[str, _File]
    audio: NotRequired[dict[str, object]]
    best: NotRequired[dict[str, float]]
    world: NotRequired[int]
    data: NotRequired[list[TrainedData] | None]
    classes: NotRequired[list[str] | None]
    mel: NotRequired[dict[str, object] | None]
    init: NotRequired[dict[str, object] | None]
    teacher: NotRequired[dict[str, object] | None]
    name: NotRequired[str]


def verify(folder: Path, hashes: Mapping[str, str] | None = None) -> Saved:
    """Checks that every file of a checkpoint has the size and hash that its manifest states.

    Args:
        folder: of the checkpoint.
        hashes: of files that have just been hashed, by name; they are not read again.

    Raises:
        CheckpointError: if the manifest cannot be read, or a file is missing, cut or altered; it names the file.
    """
    manifest = _manifest(folder)
    files = manifest["files"]
    unlisted = [each.name for each in folder.iterdir() if each.suffix in WRITTEN and each.name not in files]
    if unlisted:
        raise CheckpointError(
            f"{folder / 'manifest.json'}: damaged (it does not list {', '.join(sorted(unlisted))}); {INCOMPLETE}"
        )
    for name, stated in files.items():
        file = folder / name
        if not file.is_file():
            raise CheckpointError(f"{file}: missing, though the manifest lists it")
        if file.stat().st_size != stated["bytes"]:
            raise CheckpointError(
                f"{file}: expected {stated['bytes']} bytes, got {file.stat().st_size}: it was cut or altered"
            )
        if ((hashes or {}).get(name) or sha256(file)) != stated["sha256"]:
            raise CheckpointError(f"{file}: its sha256 is not the manifest's: it was altered")
    return Saved(folder, manifest)


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint, whose fields have the types that readers rely on."""
    path = folder / "manifest.json"
    try:
        manifest = json_files.read(path, dict[str, Any], INCOMPLETE)
        promised = json_files.checked(manifest, _Promised)
    except DataError as error:
        raise CheckpointError(str(error)) from error
    except ValueError as error:
        raise CheckpointError(f"{path}: damaged ({error}); {INCOMPLETE}") from error
    odd = [f"files.{name}" for name in promised["files"] if Path(name).name != name]
    odd += [f"best.{name}" for name in promised.get("best", {}) if not re.fullmatch(rf"{PREFIX}[0-9]+", name)]
    odd += ["step"] if promised["step"] < 0 else []
    if odd:
        raise CheckpointError(f"{path}: damaged ({', '.join(odd)}); {INCOMPLETE}")
    return manifest


def save_network(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Writes a network's state as a safetensors file, from contiguous copies on the CPU."""
    # Copies, because safetensors refuses tensors that share memory.
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, path)
    give_usual_mode(path)  # safetensors makes it readable by its owner alone


#: What the writers of checkpoints raise when the disk is full.
WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)
