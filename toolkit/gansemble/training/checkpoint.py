"""Checkpoints: a folder written under a temporary name, a manifest of hashes last, then renamed; checked when read.

``checkpoints/step-00012000/`` holds ``*.safetensors`` (networks), ``*.pt`` (everything else, read with
``weights_only=True``), ``recipe.yaml`` and ``manifest.json``. A file that is missing, shorter or altered fails the
manifest, and loading falls back to the checkpoint before.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from gansemble import __version__
from gansemble.errors import CheckpointError
from gansemble.files import alive, sha256, sync, unused, write_atomically

log = logging.getLogger(__name__)
PREFIX = "step-"


@dataclass(frozen=True)
class Saved:
    """A checkpoint on disk whose manifest was verified."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.manifest["step"])

    def network(self, name: str) -> dict[str, torch.Tensor]:
        """The weights of ``generator``, ``discriminators`` or ``ema``."""
        return load_file(self.folder / f"{name}.safetensors")

    def has(self, name: str) -> bool:
        """Whether a file of the checkpoint is called so."""
        return name in self.manifest["files"]

    def state(self, name: str) -> Any:
        """A dictionary saved beside the networks."""
        return torch.load(self.folder / f"{name}.pt", map_location="cpu", weights_only=True)


class Store:
    """The checkpoints of one experiment.

    Args:
        folder: ``exp/<name>/checkpoints``.
        keep: newest ones kept.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = max(1, keep)

    def begin(self, step: int) -> Path:
        """An empty temporary folder for a step's files."""
        temporary = self.folder / f".tmp-{PREFIX}{step:08d}-{socket.gethostname()}-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        return temporary

    def commit(self, temporary: Path, step: int, facts: Mapping[str, object], protected: set[str]) -> Path:
        """Hashes the files, writes the manifest, renames the folder and prunes what is neither newest nor protected."""
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
        """Deletes checkpoints beyond the newest ``keep``; failing to is a warning."""
        names = [path.name for path in self.folders()]
        for name in set(names[: -self.keep]) - protected:
            try:
                shutil.rmtree(self.folder / name)
            except OSError as error:
                log.warning("could not delete the old checkpoint %s: %s", self.folder / name, error)

    def undo(self, step: int) -> None:
        """Sets aside, as ``undone-…``, the checkpoints of steps beyond one that a run went back to; those that were set
        aside before are deleted."""
        for old in self.folder.glob(f"undone-{PREFIX}*"):
            shutil.rmtree(old, ignore_errors=True)
        for folder in self.folders():
            if step_of(folder) > step:
                folder.rename(folder.with_name(f"undone-{folder.name}"))
        sync(self.folder)

    def at(self, step: int) -> Path:
        """The folder of a step's checkpoint."""
        return self.folder / f"{PREFIX}{step:08d}"

    def folders(self) -> list[Path]:
        """Checkpoint folders, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if path.name.startswith(PREFIX) and path.is_dir())

    def clean(self) -> None:
        """Deletes what dead writers on this machine left half-written."""
        for path in self.folder.glob(f".tmp-{PREFIX}*-{socket.gethostname()}-*") if self.folder.is_dir() else ():
            pid = int(path.name.rpartition("-")[2])
            if pid != os.getpid() and not alive(pid):
                shutil.rmtree(path, ignore_errors=True)

    def sound(self, warn: Callable[[str], None] | None = None, quarantine: bool = False) -> Iterator[Saved]:
        """Verified checkpoints, newest first; unsound ones are reported and, with ``quarantine``, set aside as soon as
        a sound one before them is found."""
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
        """The newest sound checkpoint, or None when there is none at all.

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


def step_of(folder: Path) -> int:
    """The step in a checkpoint folder's name."""
    return int(folder.name.removeprefix(PREFIX))


def verify(folder: Path) -> Saved:
    """A checkpoint whose every file has the size and hash its manifest states.

    Raises:
        CheckpointError: naming the file, what was expected and what was found.
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        files = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: missing or unreadable ({type(error).__name__}); the checkpoint is incomplete"
        ) from error
    for name, stated in files.items():
        file = folder / name
        if not file.is_file():
            raise CheckpointError(f"{file}: missing, though the manifest lists it")
        if file.stat().st_size != stated["bytes"]:
            raise CheckpointError(
                f"{file}: expected {stated['bytes']} bytes, got {file.stat().st_size}: it was cut or altered"
            )
        if sha256(file) != stated["sha256"]:
            raise CheckpointError(f"{file}: its sha256 is not the manifest's: it was altered")
    return Saved(folder, manifest)


def save_network(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Writes weights as safetensors, from the CPU and contiguous."""
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, path)


#: What a full disk makes the writers raise.
WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)
