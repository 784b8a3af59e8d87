"""Labels from the names of folders and files, for corpora that bring no list of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansemble.audio.names import as_text
from gansemble.errors import DataError

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

ClassLabels = list[dict[str, int | str]]


def check_classes(labels: str, classes: int | None) -> None:
    """Refuses a number of classes that cannot be, or without labels.

    Raises:
        ValueError: saying what to set.
    """
    if classes is not None and labels == "none":
        raise ValueError(f"classes is {classes}, but labels is none: say where the labels come from, as folders")
    if classes is not None and classes < 1:
        raise ValueError(f"classes must be at least 1, got {classes}")


def labelled(parameters: dict[str, Any]) -> CorpusContract:
    """The contract of a corpus whose parameters ``labels`` and ``classes`` say what its labels are."""
    from gansemble.contract import CorpusContract

    named = parameters["labels"] != "none"
    return CorpusContract(
        gives=frozenset({"labels"}) if named else frozenset(),
        classes=parameters["classes"] if named else None,
        because={"gives": "labels", "classes": "classes"},
    )


def classes_by_folder(folder: Path, paths: Sequence[Path], stated: int | None) -> ClassLabels:
    """Labels of each path: ``class`` is the sub-folder it begins with, ``label`` its place in sorted order.

    Args:
        folder: the corpus folder, for messages.
        paths: of the files, each below a sub-folder.
        stated: how many classes there must be; None: any number.

    Raises:
        DataError: if a file lies in no sub-folder, or there are more or fewer classes than stated.
    """
    outside = [str(path) for path in paths if len(path.parts) == 1]
    if outside:
        raise DataError(
            f"{folder}: {outside[0]} lies in no sub-folder (with {len(outside) - 1} others), but sub-folders are the "
            "classes (corpus.labels is folders); move each file into one"
        )
    return numbered(folder, [as_text(path.parts[0]) for path in paths], stated)


def numbered(folder: Path, names: Sequence[str], stated: int | None) -> ClassLabels:
    """Labels for each clip's class name: ``label``, its place among the sorted names, and ``class``, the name.

    Raises:
        DataError: if there are more or fewer classes than ``stated``.
    """
    known = sorted(set(names))
    if stated is not None and len(known) != stated:
        named = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        raise DataError(
            f"{folder}: expected {stated} classes (corpus.classes), found {len(known)}: {named}; "
            "state their number, or name another folder with --data"
        )
    index = {name: place for place, name in enumerate(known)}
    return [{"label": index[name], "class": name} for name in names]
