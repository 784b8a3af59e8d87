"""The files that ``--input`` stands for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from gansemble.audio import listing
from gansemble.cli.terminal import say
from gansemble.errors import DataError


def expand(path: Path, suffixes: Collection[str] = listing.SUFFIXES, kind: str = "audio") -> list[tuple[Path, str]]:
    """The input files that a path stands for: the file itself, or those in a folder; says what a folder holds besides.

    Args:
        path: a file or a folder.
        suffixes: of the files of a folder, such as ``.wav``.
        kind: of the files, for messages.

    Returns:
        (file, name of its output without suffix); names keep the sub-folders of a folder. Links that repeat a file are
        inputs as well, as each is known by its own name.

    Raises:
        DataError: if nothing is found, or a folder cannot be listed.
    """
    if path.is_dir():
        found = listing.below(path, suffixes)
        names = found.with_links
        for line in listing.told(found, [name.as_posix() for name in names], "inputs"):
            say(f"{path}: {line}")
        if not names:
            raise DataError(f"{path}: no {kind} file here")
        return [(path / name, str(name.with_suffix(""))) for name in names]
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    return [(path, path.stem)]
