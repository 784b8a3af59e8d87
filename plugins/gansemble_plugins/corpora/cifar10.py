"""CIFAR-10 (Krizhevsky, 2009) as sound: 60,000 pictures of ten classes, each a clip of its 3,072 values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from gansemble.data.download import Progress, fetch_archive
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.errors import DataError
from gansemble.numbers import BelowOne
from gansemble.stages import json_files
from gansemble_plugins.corpora import pictures
from gansemble_plugins.corpora.folds import demand_training, gaps
from gansemble_plugins.corpora.listing import check_shares, counted
from gansemble_plugins.corpora.pictures import BATCHES, CLASSES, CLIPS, LABELS, RATE, TEST_BATCH
from gansemble_plugins.corpora.strata import stratified

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

FOLDER = "cifar-10-batches-bin"
ALL = {"train": 50_000, "test": 10_000}


class _Noted(TypedDict):
    """What the clips' folder notes of them: the names of the classes, and the label of each clip by batch."""

    classes: list[str]
    labels: dict[str, list[int]]


class Cifar10:
    """Pictures of 32 x 32 RGB pixels, so that a network of pictures is trained by the same loop as one of sounds.

    A clip is one picture: its red, green and blue values, each row by row, value / 127.5 - 1, at a nominal rate of
    3,072 Hz, which makes a picture a second. Representation ``pixels`` makes pictures of clips again. Stage fetch turns
    the binary version's batches into WAV files of 16 bit in ``clips/``, where 8-bit values survive exactly; that takes
    about 370 MB. ``plan.segment`` is 3072, ``plan.crop`` start, and levels must not be normalised.

    Args:
        validation: share of each class's training pictures that a hash of their places holds out; ``test_batch.bin`` is
            the test set.

    Raises:
        ValueError: if ``validation`` is negative or leaves nothing for training.
    """

    licence = "none stated; its page asks that Krizhevsky's report of 2009 is cited"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    archive_bytes = 170_052_171

    def __init__(self, *, validation: BelowOne = 0.1) -> None:
        check_shares(validation, 0.0)
        self.validation = validation

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Ten classes at 3,072 samples a second."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}), gives=frozenset({"labels"}), classes=CLASSES)

    def fetch(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Downloads the archive (170 MB) beside ``folder`` and unpacks it, unless batches are there already, and turns
        them into clips, unless these were made from the same batches.

        Raises:
            DataError: if ``folder`` holds something else, the download or the archive is not as published, or a batch
                holds no pictures.
        """
        source = _source(folder)
        if source is None and (folder / CLIPS / LABELS).is_file():
            return  # the batches were deleted, and nothing else is made from them
        if source is None:
            fetch_archive(
                self.url,
                folder,
                layout=_LAYOUT,
                sha256=self.sha256,
                size=self.archive_bytes,
                max_bytes=1 << 28,
                max_files=100,
                progress=progress,
            )
            source = _source(folder)
        if source is None:
            raise DataError(f"{folder}: unpacked, but found no {_LAYOUT}; name another folder with --data")
        pictures.convert(source, folder / CLIPS)

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, batch by batch and picture by picture; the labels were noted when the clips were made.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, or its batches were not turned into clips yet.
        """
        names, labels = _noted(folder)
        train = {_id(batch, number): names[label] for batch in BATCHES for number, label in enumerate(labels[batch])}
        splits = stratified(list(train), list(train.values()), self.validation, 0.0)
        clips = [
            Clip(
                _id(batch, number),
                f"{CLIPS}/{pictures.clip_path(batch, number)}",
                "test" if batch == TEST_BATCH else splits[_id(batch, number)],
                {"label": label, "class": names[label]},
            )
            for batch in (*BATCHES, TEST_BATCH)
            for number, label in enumerate(labels[batch])
        ]
        demand_training(folder, clips)
        return clips

    def describe(self, folder: Path) -> str:
        """One sentence: how many pictures there are and how they are split."""
        clips = self.scan(folder)
        test = sum(clip.split == "test" for clip in clips)
        whole = {"train": len(clips) - test, "test": test} == ALL
        part = "" if whole else f" in part ({len(clips):,} of {sum(ALL.values()):,} pictures there)"
        return f"CIFAR-10{part}, {counted(clips)} pictures, one a clip: its own test batch{gaps(clips)}."

    def mini(self, folder: Path) -> None:
        """120 synthetic pictures of ten classes, discs, stripes and so on, 20 in each batch, and their clips; a second
        call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, "cifar10 1", _write_mini)


_LAYOUT = f"CIFAR-10's binary version ({FOLDER}/data_batch_1.bin to data_batch_5.bin, test_batch.bin, batches.meta.txt)"


def _id(batch: str, number: int) -> str:
    return f"{batch}-{number:05d}"


def _source(folder: Path) -> Path | None:
    """Where the batches lie: in the archive's folder, or in the corpus folder itself."""
    found = [place for place in (folder / FOLDER, folder) if any(place.glob("*_batch*.bin"))]
    return found[0] if found else None


def _noted(folder: Path) -> tuple[list[str], Mapping[str, list[int]]]:
    """(names of the classes, labels by batch) of the clips."""
    path = folder / CLIPS / LABELS
    if not path.is_file():
        if _source(folder) is not None:
            raise DataError(f"{folder}: its batches were not turned into clips yet; run stage fetch, which does so")
        found = "no such folder" if not folder.is_dir() else "found no batch"
        raise DataError(
            f"{folder}: expected {_LAYOUT}, {found}; run stage fetch into a new folder, or name another with --data"
        )
    try:
        noted = json_files.read(path, _Noted, f"delete {path.parent} and run stage fetch")
        names, labels = noted["classes"], noted["labels"]
        sound = isinstance(names, list) and all(isinstance(name, str) for name in names)
        sound = sound and all(
            isinstance(label, int) and 0 <= label < len(names) for b in (*BATCHES, TEST_BATCH) for label in labels[b]
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); delete {path.parent} and run stage fetch") from error
    if not sound:
        raise DataError(f"{path}: damaged; delete {path.parent} and run stage fetch")
    return names, labels


def _write_mini(folder: Path) -> None:
    pictures.write_mini(folder / FOLDER)
    pictures.convert(folder / FOLDER, folder / CLIPS)
