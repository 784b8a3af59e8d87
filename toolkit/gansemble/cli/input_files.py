"""The files that ``--input`` stands for, and refusals of outputs that would be written over something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gansemble.errors import DataError, GansembleError, first_few

#: Files that a message names.
SHOWN = 3


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


def demand_distinct(targets: Sequence[Path]) -> None:
    """Refuses outputs of which two would be one file.

    Raises:
        GansembleError: naming the first.
    """
    places = [target.resolve() for target in targets]
    twice = sorted({place for place in places if places.count(place) > 1})
    if twice:
        shown = next(target for target in targets if target.resolve() == twice[0])
        raise GansembleError(
            f"several inputs would be written to {shown}; give one folder that holds them, or run once for each"
        )


def demand_free(targets: Sequence[Path]) -> None:
    """Refuses outputs that are there already.

    Raises:
        GansembleError: naming some of them.
    """
    there = [str(target) for target in targets if target.exists()]
    if there:
        raise GansembleError(
            f"{len(there)} of {len(targets)} outputs are there already ({first_few(there, SHOWN)}); nothing was written. Give another "
            "--output, or --overwrite"
        )
