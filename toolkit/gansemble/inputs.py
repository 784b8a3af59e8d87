"""Files and folders as constructor parameters of parts: they must be there, and it is their content that counts.

A parameter annotated ``File`` or ``Folder`` takes a path in a recipe. A relative one begins where the command is, as that of
``init.exp`` does; for a ``run.sh`` that is the recipe's folder. The part is given the absolute path. A filled recipe holds it
as ``/place/weights.pt#sha256=…``, so that a run that goes on, or a stage, notices a content that has changed; the same may be
written in a recipe to demand a certain content. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gansemble.files import sha256

if TYPE_CHECKING:
    from pathlib import Path as _Path
else:
    _Path = type(Path())  # the class of this system's paths: Path itself cannot be inherited from before Python 3.12

#: What stands between a path and the digest of its content.
MARK = "#sha256="


class _Input(_Path):
    """An absolute path whose content counts.

    Attributes:
        stated: the SHA-256 that the recipe demands of its content; None if it demands none.
    """

    stated: str | None = None

    def with_segments(self, *segments: str | os.PathLike[str]) -> Path:
        """What is made of it, such as its parent, is a plain path (from Python 3.12 on)."""
        return Path(*segments)

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), str(self), self.stated)


class File(_Input):
    """A file that a part reads when it is built, such as pretrained weights: an absolute path.

    Attributes:
        stated: the SHA-256 that the recipe demands of its content; None if it demands none.
    """


class Folder(_Input):
    """A folder of files that a part reads when it is built: an absolute path. Names and contents of all files below count.

    Attributes:
        stated: the SHA-256 that the recipe demands of its content; None if it demands none.
    """


Input = File | Folder
INPUTS = (File, Folder)
Kind = TypeVar("Kind", bound=Input)


def _again(kind: type[Kind], path: str, stated: str | None) -> Kind:
    made = kind(path)
    made.stated = stated
    return made


def read(kind: type[Kind], text: str) -> Kind:
    """The file or folder that a recipe names.

    Args:
        kind: :class:`File` or :class:`Folder`.
        text: its path, absolute or relative to where the command is, with or without ``#sha256=…``.
    """
    path, mark, stated = text.rpartition(MARK)
    return _again(kind, str(Path(path if mark else text).absolute()), stated if mark else None)


def held(value: object) -> Iterator[tuple[tuple[str | int, ...], Input]]:
    """Yields (keys and indices that lead there, file or folder) of all that a value holds, in lists, mappings and dataclasses."""
    if isinstance(value, INPUTS):
        yield (), value
        return
    items: list[tuple[str | int, object]] = []
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    for key, item in items:
        for place, found in held(item):
            yield (key, *place), found


def fault(given: Input) -> str | None:
    """Why a file or folder cannot be used, as it is at this moment; None if it can."""
    kind = "file" if isinstance(given, File) else "folder"
    if not given.exists():
        return f"no such {kind}: {given}; a relative path begins where the command is, {Path.cwd()}"
    if given.is_dir() != (kind == "folder"):
        other = "folder" if kind == "file" else "file"
        return f"expected a {kind}, but {given} is a {other}"
    try:
        if given.stated is None:
            if not os.access(given, os.R_OK):
                return f"{given} cannot be read: permission denied"
        elif digest(given) != given.stated:
            return f"the content of {given} is not what is demanded: its SHA-256 is {digest(given)}, expected {given.stated}"
    except OSError as error:
        return f"{given} cannot be read: {error.strerror or error}"
    return None


def digest(given: Path) -> str:
    """The SHA-256 of a file's content; of a folder, that of the names and contents of all files below it.

    Files are read once in a process, and again only if their size or their time has changed.

    Raises:
        OSError: if it cannot be read.
    """
    if not given.is_dir():
        about = given.stat()
        return _of_content(str(given), about.st_size, about.st_mtime_ns)
    whole = hashlib.sha256()
    for path in sorted(path for path in Path(given).rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(given).as_posix()}\0{digest(path)}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=65536)
def _of_content(path: str, size: int, changed: int) -> str:
    return sha256(Path(path))


def identity(given: Input) -> str:
    """A file or folder with the digest of its content, as a filled recipe holds it: ``/place/weights.pt#sha256=…``.

    Where the recipe demands a digest it is that one; without one, of what is not there it is the path alone.
    """
    if given.stated is not None:
        return f"{given}{MARK}{given.stated}"
    return f"{given}{MARK}{digest(given)}" if given.exists() else str(given)


def content(value: object) -> object:
    """A value of a filled recipe with files and folders reduced to their digests, for comparison: wherever they lie."""
    if isinstance(value, str) and MARK in value:
        return value[value.rindex(MARK) :]
    return [content(item) for item in value] if isinstance(value, list) else value


def changed(noted: Mapping[str, str]) -> dict[str, tuple[object, object]]:
    """Those of the noted files and folders whose content is another now; what is gone counts as unchanged.

    Args:
        noted: by recipe key, what :func:`identity` gave.

    Returns:
        By recipe key, (before, now), each as the name and the digest's beginning, to be shown.
    """
    found: dict[str, tuple[object, object]] = {}
    for key, text in noted.items():
        path, _, before = text.rpartition(MARK)
        if path and Path(path).exists() and (now := digest(Path(path))) != before:
            found[key] = (f"{Path(path).name} (sha256 {before[:12]})", f"{Path(path).name} (sha256 {now[:12]})")
    return found
