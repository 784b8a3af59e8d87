"""The files that ``--input`` stands for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gansemble.errors import DataError


def expand(path: Path, listed: Callable[[Path], list[Path]], kind: str = "audio") -> list[tuple[Path, str]]:
    """The input files that a path stands for: the file itself, or those in a folder.

    Args:
        path: a file or a folder.
        listed: lists the files of a folder.
        kind: of the files, for messages.

    Returns:
        (file, name of its output without suffix); names keep the sub-folders of a folder.

    Raises:
        DataError: if nothing is found.
    """
    if path.is_dir():
        found = listed(path)
        if not found:
            raise DataError(f"{path}: no {kind} file here")
        return [(item, str(item.relative_to(path).with_suffix(""))) for item in found]
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    return [(path, path.stem)]
