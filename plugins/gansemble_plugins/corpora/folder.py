"""Any folder of audio files, split by a hash of their names."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gansemble.audio import files
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.errors import DataError

MINI_PITCHES = (48, 52, 55, 60, 64, 67, 72, 76)


class Folder:
    """Every audio file below a folder; its id is its path with ``/`` turned into ``__``, without the suffix.

    A file's split depends on its id alone, so that adding files moves no other file to another split (but
    for the few that ``minimum_validation`` asks for).

    Args:
        validation: share of the files held out for validation.
        test: share held out for the test.
        minimum_validation: at least so many are held out for validation, as far as one is left for training.
        extensions: suffixes that count as audio, of those soundfile reads; empty: all of them.
        mini_rate: sample rate of the mini corpus [Hz].

    Raises:
        ValueError: if the shares are negative or leave nothing for training, or a suffix is not one of an
            audio file.
    """

    licence = "the files' own"

    def __init__(
        self,
        *,
        validation: float = 0.05,
        test: float = 0.0,
        minimum_validation: int = 1,
        extensions: Sequence[str] = (),
        mini_rate: int = 22050,
    ) -> None:
        if min(validation, test) < 0 or validation + test >= 1:
            raise ValueError(
                f"validation and test must be at least 0 and sum to less than 1, got {validation} and {test}"
            )
        if minimum_validation < 0:
            raise ValueError(f"minimum_validation must be at least 0, got {minimum_validation}")
        self.suffixes = {"." + each.lower().lstrip(".") for each in extensions} or set(files.SUFFIXES)
        if not self.suffixes <= files.SUFFIXES:
            raise ValueError(f"extensions must be among {sorted(files.SUFFIXES)}, got {list(extensions)}")
        self.validation = validation
        self.test = test
        self.minimum_validation = minimum_validation
        self.mini_rate = mini_rate

    def fetch(self, folder: Path) -> None:
        """Nothing to download: checks that the folder is there.

        Raises:
            DataError: if it is not.
        """
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; expected one with audio files of yours: name it with --data")

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by path.

        Raises:
            DataError: if the folder is missing, holds no audio, or two files would have the same id.
        """
        self.fetch(folder)
        found = [path for path in files.find(folder) if path.suffix.lower() in self.suffixes]
        paths = [path.relative_to(folder) for path in found if path.is_file()]
        if not paths:
            raise DataError(
                f"{folder}: expected audio files ({' '.join(sorted(self.suffixes))}) below it, found none; "
                "name another folder with --data"
            )
        splits = self._splits(ids := _ids(folder, paths))
        return [Clip(id_, path.as_posix(), splits[id_]) for id_, path in zip(ids, paths, strict=True)]

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips there are and how they are split."""
        counts = Counter(clip.split for clip in self.scan(folder))
        listed = ", ".join(f"{counts[split]} {split}" for split in ("train", "validation", "test") if counts[split])
        return f"A folder of {counts.total()} audio files, split by a hash of their names: {listed}."

    def mini(self, folder: Path) -> None:
        """Eight notes of one second; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, f"notes 1 at {self.mini_rate} Hz", self._write_mini)

    def _splits(self, ids: Sequence[str]) -> dict[str, str]:
        places = {id_: _place(id_) for id_ in ids}
        ordered = sorted(ids, key=lambda id_: (places[id_], id_))
        bounds = (("validation", self.validation), ("test", self.validation + self.test), ("train", 2))
        splits = {id_: next(s for s, bound in bounds if place < bound) for id_, place in places.items()}
        # The nearest by hash fill up what is missing: first one for training, then the least for validation.
        if "train" not in splits.values():
            splits[ordered[-1]] = "train"
        held_out = sum(split == "validation" for split in splits.values())
        lacking = min(self.minimum_validation, len(ids) - 1) - held_out
        for id_ in [id_ for id_ in ordered if splits[id_] != "validation"][: max(0, lacking)]:
            splits[id_] = "validation"
        return splits

    def _write_mini(self, folder: Path) -> None:
        for pitch, note in zip(MINI_PITCHES, notes(MINI_PITCHES, sample_rate=self.mini_rate), strict=True):
            files.write(folder / f"note-{pitch:03d}.wav", note, self.mini_rate)


def _place(id_: str) -> float:
    """Where the id falls in [0, 1), evenly over ids."""
    name = id_.encode(errors="surrogateescape")  # a file name need not be text
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") / 2**64


def _ids(folder: Path, paths: Sequence[Path]) -> list[str]:
    """One id for each path; files that differ only in their suffix keep it."""
    bare = ["__".join(path.with_suffix("").parts) for path in paths]
    counts = Counter(bare)
    ids = [id_ if counts[id_] == 1 else "__".join(path.parts) for id_, path in zip(bare, paths, strict=True)]
    twice = [id_ for id_, count in Counter(ids).items() if count > 1]
    if twice:
        both = [str(path) for id_, path in zip(ids, paths, strict=True) if id_ == twice[0]]
        raise DataError(f"{folder}: {' and '.join(both)} would both be called {twice[0]!r}; rename one")
    return ids
