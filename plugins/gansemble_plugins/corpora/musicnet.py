"""MusicNet (Thickstun, Harchaoui and Kakade, 2017): 330 recordings of classical music, 44.1 kHz."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gansemble.audio import files, listing
from gansemble.audio.names import as_text, shown
from gansemble.data import tables
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.errors import DataError
from gansemble.numbers import BelowOne, Classes
from gansemble_plugins.corpora.classes import ClassLabels, check_classes, labelled, numbered
from gansemble_plugins.corpora.listing import check_shares, counted, split_by_hash
from gansemble_plugins.corpora.synthetic import melody

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 44100
WAV = frozenset({".wav"})
RECORDINGS = {"train": 320, "test": 10}
TABLE = "musicnet_metadata.csv"
WHERE = (
    "musicnet.tar.gz and musicnet_metadata.csv are at https://zenodo.org/records/5120004, without a published sha256: unpack "
    "the archive, and put the table beside train_data/"
)
MINI_COMPOSERS = ("Bach", "Mozart")
MINI_RECORDINGS = {"train": 6, "test": 2}
MINI_STEP, MINI_STEPS = 0.25, 6  # [s], and how many make a recording


class MusicNet:
    """``train_data/{number}.wav`` and ``test_data/{number}.wav``: recordings of several minutes.

    The recordings of ``test_data/`` are the test set. The notes of ``train_labels/`` and ``test_labels/`` are not read.

    Args:
        validation: share of the recordings of ``train_data/`` that a hash of their numbers holds out; one at least.
        labels: ``composer`` or ``ensemble``: the classes are what ``musicnet_metadata.csv`` says, numbered from 0 in sorted order;
            ``none``: no labels, and the table need not be there.
        classes: how many classes there must be; null: any number. Only with labels.

    Raises:
        ValueError: if ``validation`` is negative or leaves nothing for training, or classes are stated without labels.
    """

    licence = "the recordings' own: see musicnet_metadata.csv and https://zenodo.org/records/5120004"

    def __init__(
        self,
        *,
        validation: BelowOne = 0.05,
        labels: Literal["none", "composer", "ensemble"] = "none",
        classes: Classes | None = None,
    ) -> None:
        check_shares(validation, 0.0)
        check_classes(labels, classes)
        self.validation = validation
        self.labels = labels
        self.classes = classes

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Published at 44.1 kHz; gives labels where the table tells them."""
        from dataclasses import replace

        return replace(labelled(parameters), sample_rates=frozenset({RATE}))

    def fetch(self, folder: Path) -> None:
        """Checks that recordings are there; nothing is downloaded, as no sha256 is published.

        Raises:
            DataError: if they are not, saying where they come from.
        """
        if not listing.inside(folder / "train_data", WAV):
            raise DataError(
                f"{folder}: expected {_LAYOUT}. {WHERE}, or name a folder with --data. Licence: {self.licence}"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, those of ``train_data/`` first, sorted by name.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, a recording is in both folders, or labels are asked for
                and the table is missing, lacks a recording or does not name the classes stated.
        """
        train, test = (listing.inside(folder / f"{part}_data", WAV) for part in RECORDINGS)
        if not train:
            found = "no such folder" if not folder.is_dir() else "found no WAV file in train_data/"
            raise DataError(f"{folder}: expected {_LAYOUT}, {found}; {_advice(folder)}")
        both = sorted(set(train) & set(test))
        if both:
            raise DataError(f"{folder}: {both[0]} is in train_data/ and in test_data/; take one of them out")
        splits = split_by_hash([as_text(name) for name in train], self.validation)
        paths = {as_text(name): f"train_data/{path.name}" for name, path in train.items()}
        paths |= {as_text(name): f"test_data/{path.name}" for name, path in test.items()}
        labels = self._labels(folder, list(paths))
        return [Clip(id_, paths[id_], splits.get(id_, "test"), each) for id_, each in zip(paths, labels, strict=True)]

    def _labels(self, folder: Path, ids: list[str]) -> ClassLabels:
        if self.labels == "none":
            return [{} for _ in ids]
        table = folder / TABLE
        if not table.is_file():
            raise DataError(
                f"{table}: no such file, but corpus.labels is {self.labels}; get it from https://zenodo.org/records/5120004, or set "
                "corpus.labels=none"
            )
        named = {row.text("id"): row.text(self.labels) for row in tables.read(table, ("id", self.labels))}
        absent = [id_ for id_ in ids if id_ not in named]
        if absent:
            raise DataError(
                f"{table}: has no line for {shown(absent[0])} ({len(absent)} are without one); get the table again"
            )
        return numbered(folder, [named[id_] for id_ in ids], self.classes)

    def describe(self, folder: Path) -> str:
        """One sentence: how many recordings there are and how they are split and labelled."""
        clips = self.scan(folder)
        whole = sum(RECORDINGS.values())
        part = "" if len(clips) >= whole else f" in part ({len(clips)} of {whole} recordings there)"
        classes = len({clip.labels["class"] for clip in clips if "class" in clip.labels})
        named = f"; {classes} classes by {self.labels}" if classes else ""
        return f"MusicNet{part}, {counted(clips)} recordings: test_data is the test set{named}."

    def mini(self, folder: Path) -> None:
        """Eight synthetic pieces of 1.5 s with a table of two composers; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, "musicnet 1", _write_mini)


_LAYOUT = "MusicNet's layout (train_data/*.wav and test_data/*.wav)"


def _advice(folder: Path) -> str:
    """What to do where no recording is found."""
    if folder.name in ("train_data", "test_data") and folder.is_dir():
        return f"did you mean the folder above it (--data {folder.absolute().parent})?"
    below = folder / "musicnet"
    if (below / "train_data").is_dir():
        return f"did you mean musicnet/ inside it (--data {below})?"
    if (folder / "musicnet.npz").is_file() or (folder / "musicnet.h5").is_file():
        return f"its musicnet.npz or musicnet.h5 is another form of the corpus, which is not read; {WHERE}"
    return f"{WHERE}, or name another folder with --data"


def _write_mini(folder: Path) -> None:
    lines = ["id,composer,composition,movement,ensemble\n"]
    number = 1000
    for part, count in MINI_RECORDINGS.items():
        (folder / f"{part}_data").mkdir()
        for place in range(count):
            number += 1
            which = place % len(MINI_COMPOSERS)
            bank = notes((48, 52, 55, 60, 64, 67), sample_rate=RATE, seconds=MINI_STEP, seed=which)
            played = melody(bank, MINI_STEPS, (number,))
            files.write(folder / f"{part}_data" / f"{number}.wav", played[np.newaxis], RATE)
            lines.append(f"{number},{MINI_COMPOSERS[which]},Synthetic No {number},1. Moderato,Solo Piano\n")
    (folder / TABLE).write_text("".join(lines), encoding="utf-8")
