"""Walks through a folder and all below it, following links safely. Imports no torch.

Finding the files of a corpus and noticing that they have changed must agree on what belongs to it: both use this.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.audio.names import shown
from gansemble.errors import DataError

#: A device's number and a file's number on it, which tell files and folders apart whatever leads to them.
Identity = tuple[int, int]


@dataclass(frozen=True)
class Walk:
    """What lies below a folder; paths are relative to it, with forward slashes, and sorted.

    Args:
        files: regular files and links to such files.
        links: those of ``files`` that are links, with the identity of the file each leads to.
        passed_over: paths by reason: ``hidden file``, ``hidden folder``, ``link to nothing``, ``folder again``, as
            it was walked through under another path or holds the first folder, ``unreadable folder``, ``not regular`` as are
            pipes and devices.
    """

    files: Sequence[str]
    links: Mapping[str, Identity]
    passed_over: Mapping[str, Sequence[str]]


def walk(folder: Path, strict: bool = True) -> Walk:
    """Lists everything below a folder.

    What lies in the folder itself comes first, then what links lead to, in the order of the links' names. Each folder is
    walked through once, so that links in a circle come to an end.

    Args:
        folder: to begin with; may be a link.
        strict: raise an error for folders that cannot be listed; else pass them over.

    Raises:
        DataError: if a folder cannot be listed, naming it and why.
    """
    files: list[str] = []
    links: dict[str, Identity] = {}
    passed: dict[str, list[str]] = {}
    seen = _holding(folder)
    linked = [""]
    while linked:
        # Sorted, so that which of two links to one folder is followed does not depend on the file system.
        linked.sort(key=order, reverse=True)
        folders = [linked.pop()]
        while folders:
            prefix = folders.pop()
            if not _is_new(folder, prefix, seen):
                passed.setdefault("folder again", []).append(prefix[:-1])
                continue
            entries = _entries(folder, prefix, strict)
            if entries is None:
                passed.setdefault("unreadable folder", []).append(prefix[:-1])
                continue
            for entry in entries:
                name = prefix + entry.name
                kind, identity = _kind(entry)
                if kind == "folder":
                    (folders if identity is None else linked).append(f"{name}/")
                elif kind != "file":
                    passed.setdefault(kind, []).append(name)
                else:
                    files.append(name)
                    links |= {} if identity is None else {name: identity}
    passed = {reason: sorted(names, key=order) for reason, names in passed.items()}
    return Walk(sorted(files, key=order), links, passed)


def order(name: str) -> list[str]:
    """The key that sorts paths as ``pathlib`` does: part by part."""
    return name.split("/")


def is_hidden(name: str) -> bool:
    """Whether files and folders of that name are passed over: those of the system, which nobody puts there as data."""
    return (
        name.startswith(".") or name == "lost+found"
    )  # at the root of a disk, where only the administrator may read it


def _holding(folder: Path) -> set[Identity]:
    """The folders above the one where the walk begins: a link to one of them would lead back to it."""
    found = set()
    for above in Path(os.path.realpath(folder)).parents:  # unlike resolve(), it does not fail at a circle of links
        try:
            facts = above.stat()
        except OSError:
            continue
        found.add((facts.st_dev, facts.st_ino))
    return found


def _is_new(folder: Path, prefix: str, seen: set[Identity]) -> bool:
    """Whether a folder was not walked through before; from now on, it was."""
    try:
        facts = os.stat(f"{folder}/{prefix}")  # noqa: PTH116  path objects are slow for many files
    except OSError:
        return True  # listing it will say why
    identity = (facts.st_dev, facts.st_ino)
    known = identity in seen
    seen.add(identity)
    return not known


def _entries(folder: Path, prefix: str, strict: bool) -> list[os.DirEntry[str]] | None:
    """What a folder holds; None where it cannot be listed and ``strict`` is off."""
    try:
        with os.scandir(f"{folder}/{prefix}") as entries:
            return list(entries)
    except OSError as error:
        if not strict:
            return None
        raise DataError(
            f"{shown((folder / prefix) if prefix else folder)}: this folder cannot be listed ({error.strerror}), so files "
            "may be missing; permit reading it, or move it away"
        ) from error


def _kind(entry: os.DirEntry[str]) -> tuple[str, Identity | None]:
    """``file`` or ``folder``, or the reason for which an entry is passed over; and what a link leads to."""
    if is_hidden(entry.name):
        return ("hidden folder" if entry.is_dir(follow_symlinks=False) else "hidden file"), None
    if not entry.is_symlink():
        if entry.is_file(follow_symlinks=False):
            return "file", None
        return ("folder" if entry.is_dir(follow_symlinks=False) else "not regular"), None
    try:
        facts = entry.stat()
    except OSError:
        return "link to nothing", None
    kind = "file" if stat.S_ISREG(facts.st_mode) else "folder" if stat.S_ISDIR(facts.st_mode) else "not regular"
    return kind, (facts.st_dev, facts.st_ino)
