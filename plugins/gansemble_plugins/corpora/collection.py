"""Collections handed round without lists: audio files in folders train, valid and test, or all together."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from gansemble.data.manifest import Clip
from gansemble.errors import DataError
from gansemble_plugins.corpora.classes import ClassLabels
from gansemble_plugins.corpora.listing import audio_below, counted, ids_of, split_by_hash

SUFFIXES = frozenset({".wav"})
SPLIT_FOLDERS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}
NO_LICENCE = "none stated for WaveGAN's: treat its files as all rights reserved"


def expect(folder: Path, where: str, licence: str, suffixes: Collection[str] = SUFFIXES) -> None:
    """Checks that audio files are there, for collections that cannot be downloaded.

    Raises:
        DataError: if they are not, saying ``where`` they come from and under which licence.
    """
    try:
        audio_below(folder, suffixes)
    except DataError as error:
        kind = "WAV" if suffixes == SUFFIXES else "audio"
        raise DataError(
            f"{folder}: no {kind} files here. {where} Put them there, in sub-folders train, valid and test or all "
            f"together, or name a folder of yours with --data. Licence: {licence}"
        ) from error


def scan(
    folder: Path,
    validation: float,
    test: float,
    label: Callable[[list[Path]], ClassLabels] | None = None,
    suffixes: Collection[str] = SUFFIXES,
) -> list[Clip]:
    """The clips, sorted by path.

    Args:
        folder: of the collection.
        validation: share held out for validation where no folders tell the split.
        test: share held out for the test, likewise.
        label: makes the labels from the paths, which are below the splits' folders where these are there.
        suffixes: of the files that count, in small letters.

    Raises:
        DataError: if the folder is missing or holds no such file, or some lie beside train, valid and test.
    """
    paths = audio_below(folder, suffixes)
    ids = ids_of(folder, paths)
    below = paths
    if by_folder(paths):
        beside = [str(path) for path in paths if _top(path) not in SPLIT_FOLDERS]
        if beside:
            raise DataError(
                f"{folder}: {beside[0]} (with {len(beside) - 1} others) lies beside train, valid and test; "
                "move it into one of them"
            )
        splits = {id_: SPLIT_FOLDERS[_top(path)] for id_, path in zip(ids, paths, strict=True)}
        below = [Path(*path.parts[1:]) for path in paths]
    else:
        splits = split_by_hash(ids, validation, test)
    labels = label(below) if label else [{} for _ in paths]
    return [Clip(id_, path.as_posix(), splits[id_], each) for id_, path, each in zip(ids, paths, labels, strict=True)]


def describe(name: str, clips: list[Clip], licence: str) -> str:
    """One sentence: how many clips there are and how they are split."""
    how = "its own folders" if by_folder([Path(clip.path) for clip in clips]) else "a hash of the names"
    return f"{name}, {counted(clips)} clips by {how}; licence: {licence}."


def by_folder(paths: list[Path]) -> bool:
    """Whether files lie in folders named after splits."""
    return any(_top(path) in SPLIT_FOLDERS for path in paths)


def _top(path: Path) -> str:
    return path.parts[0] if len(path.parts) > 1 else ""
