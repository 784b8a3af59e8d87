"""What corpora without lists of their own share: the files, their ids, and a split by hash."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from gansemble.audio import listing
from gansemble.audio.names import as_text, shown
from gansemble.data.manifest import SPLITS, Clip
from gansemble.errors import DataError


def check_shares(validation: float, test: float) -> None:
    """Refuses shares of the clips that are negative or leave nothing for training.

    Raises:
        ValueError: naming both.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise ValueError(f"validation and test must be at least 0 and sum to less than 1, got {validation} and {test}")


def audio_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The audio files below ``folder``, relative to it and sorted, as :func:`gansemble.audio.listing.below` finds them.

    Raises:
        DataError: if the folder is missing or holds none, or a folder below it cannot be listed.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with audio files of yours: name it with --data")
    paths = list(listing.below(folder, suffixes).paths)
    if not paths:
        raise DataError(
            f"{folder}: expected audio files ({' '.join(sorted(suffixes))}) below it, found none; "
            "name another folder with --data"
        )
    return paths


def ids_of(folder: Path, paths: Sequence[Path]) -> list[str]:
    """One id for each path, with ``/`` turned into ``__``; files that differ only in their suffix keep it.

    What is no text on one line is written as :func:`gansemble.audio.names.as_text` does.

    Raises:
        DataError: if two files would have the same id.
    """
    bare = [as_text("__".join(path.with_suffix("").parts)) for path in paths]
    counts = Counter(bare)
    ids = [id_ if counts[id_] == 1 else as_text("__".join(path.parts)) for id_, path in zip(bare, paths, strict=True)]
    twice = [id_ for id_, count in Counter(ids).items() if count > 1]
    if twice:
        both = [shown(path) for id_, path in zip(ids, paths, strict=True) if id_ == twice[0]]
        raise DataError(f"{folder}: {' and '.join(both)} would both be called {twice[0]!r}; rename one")
    return ids


def split_by_hash(ids: Sequence[str], validation: float, test: float = 0.0, minimum: int = 1) -> dict[str, str]:
    """A split for each id that depends on the id alone, but for the few that fill up what is missing.

    Args:
        ids: of the clips.
        validation: share held out for validation.
        test: share held out for the test.
        minimum: at least so many are held out for validation, as far as one is left for training.
    """
    places = {id_: place(id_) for id_ in ids}
    ordered = sorted(ids, key=lambda id_: (places[id_], id_))
    bounds = (("validation", validation), ("test", validation + test), ("train", 2))
    splits = {id_: next(s for s, bound in bounds if place < bound) for id_, place in places.items()}
    # The nearest by hash fill up what is missing: first one for training, then the least for validation.
    if ordered and "train" not in splits.values():
        splits[ordered[-1]] = "train"
    held_out = sum(split == "validation" for split in splits.values())
    lacking = min(minimum, len(ids) - 1) - held_out
    for id_ in [id_ for id_ in ordered if splits[id_] != "validation"][: max(0, lacking)]:
        splits[id_] = "validation"
    return splits


def place(id_: str) -> float:
    """Where the id falls in [0, 1), evenly over ids."""
    name = id_.encode(errors="surrogateescape")  # a file name need not be text
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64


def counted(clips: Iterable[Clip]) -> str:
    """How many clips each split has, in words."""
    counts = Counter(clip.split for clip in clips)
    return ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split])
