"""Recordings that were cut into several files: all cuts of one go into the same split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gansemble.audio.names import as_text
from gansemble.errors import DataError
from gansemble_plugins.corpora.listing import split_by_hash


def recordings_by_folder(folder: Path, paths: Sequence[Path], classes: bool = False) -> list[str]:
    """The recording each file is a cut of: the folder it lies in, with ``/`` turned into ``__``.

    Args:
        folder: the corpus folder, for messages.
        paths: of the files, relative to where the recordings' folders lie.
        classes: whether the uppermost folders are classes, so that the recordings' must lie below them.

    Raises:
        DataError: if a file lies in no folder of a recording.
    """
    outside = [str(path) for path in paths if len(path.parts) < (3 if classes else 2)]
    if outside:
        layout = "class/recording/cut.wav, as its labels are folders" if classes else "recording/cut.wav"
        raise DataError(
            f"{folder}: {outside[0]} lies in no folder of a recording (with {len(outside) - 1} others), but folders "
            f"are the recordings (corpus.recording is folder); expected {layout}"
        )
    return [as_text("__".join(path.parent.parts)) for path in paths]


def split_by_recording(recordings: Sequence[str], validation: float, test: float, minimum: int) -> list[str]:
    """The split of each file from a hash of its recording's name; shares and ``minimum`` count recordings."""
    splits = split_by_hash(sorted(set(recordings)), validation, test, minimum)
    return [splits[recording] for recording in recordings]
