"""Corpora that come in numbered folds: one for the test, one for validation, the others for training."""

from __future__ import annotations

from collections.abc import Sequence

from gansemble.data.manifest import Clip
from gansemble.errors import DataError

HELD_OUT = ("validation", "test")


def check_folds(test_fold: int, validation_fold: int, count: int) -> None:
    """Refuses folds that are not there, or are one and the same.

    Raises:
        ValueError: naming them.
    """
    for name, fold in (("test_fold", test_fold), ("validation_fold", validation_fold)):
        if not 1 <= fold <= count:
            raise ValueError(f"{name} must be from 1 to {count}, got {fold}")
    if test_fold == validation_fold:
        raise ValueError(f"test_fold and validation_fold must differ, got {test_fold} for both")


def split_of(fold: int, test_fold: int, validation_fold: int) -> str:
    """The split a fold belongs to."""
    return "test" if fold == test_fold else "validation" if fold == validation_fold else "train"


def demand_training(where: object, clips: Sequence[Clip]) -> None:
    """Refuses classes that nothing is trained on, as a network could only make noise for them.

    Args:
        where: the corpus folder, for the message.
        clips: labelled with ``class``.

    Raises:
        DataError: naming the classes.
    """
    names = sorted({str(clip.labels["class"]) for clip in clips})
    trained = {str(clip.labels["class"]) for clip in clips if clip.split == "train"}
    lacking = [name for name in names if name not in trained]
    if lacking:
        raise DataError(
            f"{where}: {len(lacking)} of {len(names)} classes have no clip for training ({_shown(lacking)}); add clips, or take "
            "these classes out"
        )


def gaps(clips: Sequence[Clip]) -> str:
    """Which classes a held-out split lacks, as the end of a sentence; empty where there are none.

    A split without any clip is not told of: stage prepare says so.
    """
    names = sorted({str(clip.labels["class"]) for clip in clips})
    said = []
    for split in HELD_OUT:
        there = {str(clip.labels["class"]) for clip in clips if clip.split == split}
        lacking = [name for name in names if name not in there] if there else []
        if lacking:
            said.append(f"{split} has no clip of {len(lacking)} of {len(names)} classes ({_shown(lacking)})")
    return "".join(f"; {each}" for each in said)


def _shown(names: Sequence[str]) -> str:
    """The first names, long ones cut: a speaker's is a hash of 128 letters."""
    short = [name if len(name) <= 24 else f"{name[:12]}…" for name in names[:5]]
    return ", ".join(short) + (", …" if len(names) > 5 else "")
