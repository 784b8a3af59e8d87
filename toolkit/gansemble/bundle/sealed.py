"""Checks that a bundle is, file by file, what its ``bundle.json`` says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from safetensors import SafetensorError, safe_open

from gansemble.bundle import layout
from gansemble.bundle.layout import FACTS, REMEDY, Facts
from gansemble.errors import BundleError, DataError, first_few
from gansemble.files import sha256
from gansemble.stages import json_files


@dataclass(frozen=True)
class Bundle:
    """A bundle that was found sound.

    Args:
        folder: where it is.
        facts: the content of its ``bundle.json``.
    """

    folder: Path
    facts: Facts

    @property
    def hashes(self) -> Mapping[str, str]:
        """SHA-256 of each file of its checkpoint, by the name of the file."""
        place = f"checkpoints/{self.facts['checkpoint']}/"
        files = self.facts["files"].items()
        return {name.removeprefix(place): each["sha256"] for name, each in files if name.startswith(place)}

    @property
    def bytes(self) -> int:
        """The size of all its files but ``bundle.json``."""
        return sum(each["bytes"] for each in self.facts["files"].values())


def verify(folder: Path) -> Bundle:
    """Checks every file of a bundle: that it is there, is a plain file within the folder, and has the size and hash stated.

    Nothing is executed, and no pickle is opened.

    Raises:
        BundleError: naming the file, what was expected and what was found.
        OSError: if a file cannot be read.
    """
    facts = layout.read(folder)
    there = set(_files(folder))
    extra = sorted(there - set(facts["files"]) - {FACTS})
    if extra:
        kind = " (it may hold programs and was not opened)" if Path(extra[0]).suffix.lower() in layout.PICKLES else ""
        raise BundleError(
            f"{folder / extra[0]}: {FACTS} does not list this file{kind}; nothing else may lie in a bundle: move it away"
        )
    missing = [name for name in facts["files"] if name not in there]
    if missing:
        raise BundleError(f"{folder / missing[0]}: missing, though {FACTS} lists it ({len(missing)} such); {REMEDY}")
    for name, stated in facts["files"].items():
        size = (folder / name).stat().st_size
        if size != stated["bytes"]:
            raise BundleError(
                f"{folder / name}: expected {stated['bytes']:,} bytes, got {size:,}: cut or altered; {REMEDY}"
            )
        found = sha256(folder / name)
        if found != stated["sha256"]:
            raise BundleError(
                f"{folder / name}: altered: expected the sha256 {stated['sha256'][:12]}…, got {found[:12]}…; {REMEDY}"
            )
    _demand_agreement(folder, facts)
    return Bundle(folder, facts)


def _files(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, but foreign ones.

    Raises:
        BundleError: at a link, or at anything else that is no file and no folder.
    """
    for place, folders, names in os.walk(folder, onerror=_raise):
        for name in (*folders, *names):
            path = Path(place) / name
            known = path.relative_to(folder).as_posix()
            if layout.FOREIGN.fullmatch(known) or layout.FOREIGN.fullmatch(f"{known}/"):
                continue
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise BundleError(
                    f"{path}: is a link or a device; a bundle holds its files itself, as gansemble pull and hf download --local-dir "
                    "write them"
                )
            if path.is_file():
                yield known


def _raise(error: OSError) -> None:
    raise error


class _Manifest(TypedDict):
    step: int
    audio_digest: str


def _demand_agreement(folder: Path, facts: Facts) -> None:
    """Refuses a bundle whose checkpoint is not the one that ``bundle.json`` describes."""
    path = folder / "checkpoints" / facts["checkpoint"] / "manifest.json"
    try:
        manifest = json_files.read(path, _Manifest, REMEDY)
    except DataError as error:
        raise BundleError(str(error)) from error
    for key in ("step", "audio_digest"):
        if manifest[key] != facts[key]:  # type: ignore[literal-required]
            raise BundleError(f"{path}: {key} is {manifest[key]!r}, and {FACTS} says {facts[key]!r}; {REMEDY}")  # type: ignore[literal-required]


def demand_weights(bundle: Bundle) -> None:
    """Refuses a bundle with tensors that are no safetensors, or networks with NaN; one tensor at a time is in memory.

    For those who make, push or pull a bundle: where networks are loaded, this and Inf are looked for then.

    Raises:
        BundleError: naming the file and the tensor.
    """
    place = bundle.folder / "checkpoints" / bundle.facts["checkpoint"]
    for name in sorted(bundle.hashes):
        if not name.endswith(".safetensors"):
            continue
        wrong = []
        try:
            with safe_open(place / name, framework="pt") as content:
                for key in content.keys():  # noqa: SIM118  # it is no dictionary
                    tensor = content.get_tensor(key)
                    if tensor.is_floating_point() and bool(torch.isnan(tensor).any()):
                        wrong.append(key)
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise BundleError(f"{place / name}: not readable as safetensors ({error}); {REMEDY}") from error
        if wrong and name in ("generator.safetensors", "discriminators.safetensors", "ema.safetensors"):
            raise BundleError(
                f"{place / name}: {len(wrong)} tensors hold NaN ({first_few(wrong, 3)}); expected finite weights; take another "
                "checkpoint"
            )
