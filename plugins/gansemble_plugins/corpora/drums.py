"""Drum hits: WaveGAN's (Donahue et al., 2019) or yours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gansemble.audio import files
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.errors import DataError
from gansemble.numbers import BelowOne, Classes
from gansemble_plugins.corpora import collection
from gansemble_plugins.corpora.classes import ClassLabels, check_classes, classes_by_folder, labelled, numbered
from gansemble_plugins.corpora.listing import check_shares

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

MINI_RATE = 16000
MINI_SPLITS = ("train",) * 8 + ("valid",) * 2 + ("test",) * 2
WHERE = (
    "WaveGAN's 0.7 h of drum hits were at https://drive.google.com/file/d/1552QqU_MYCaxHK71psNisG4-w9VpUEli (formerly "
    "http://deepyeti.ucsd.edu/cdonahue/wavegan/data/drums.tar.gz), without a checksum."
)
KIND = re.compile(r"[^\W\d_]+")


class Hit(NamedTuple):
    """A kind of synthetic hit: frequency [Hz] falling from ``high`` to ``low``, levels, times of decay [s]."""

    name: str
    high: float
    low: float
    tone: float
    noise: float
    tone_decay: float
    noise_decay: float
    bright: int  # how often the noise is differenced


HITS = (
    Hit("kick", 160, 50, 1.0, 0.05, 0.18, 0.01, 0),
    Hit("snare", 260, 180, 0.5, 0.6, 0.08, 0.12, 1),
    Hit("hat", 900, 800, 0.05, 0.7, 0.02, 0.06, 2),
    Hit("tom", 220, 110, 1.0, 0.08, 0.25, 0.02, 0),
    Hit("clap", 1100, 1000, 0.05, 0.9, 0.03, 0.15, 0),
    Hit("rim", 1700, 1650, 0.8, 0.2, 0.02, 0.01, 1),
    Hit("crash", 600, 590, 0.1, 0.8, 0.4, 0.5, 1),
    Hit("ride", 3100, 3080, 0.4, 0.4, 0.5, 0.4, 2),
)


class Drums:
    """WAV files of drum hits: in sub-folders train, valid and test, or all together and split by a hash of the names.

    Args:
        validation: share of the files held out for validation, where there are no folders for it.
        test: share held out for the test, likewise.
        labels: ``folders``: the classes are the sub-folders, those below train, valid and test where these are
            there; ``names``: the letters a file's name begins with, as ``Kick`` of ``Kick_012.wav``; both numbered
            from 0 in sorted order. ``none``: no labels.
        classes: how many classes there must be; null: any number, and networks are not held against it before
            training. Only with labels.

    Raises:
        ValueError: if the shares are negative or leave nothing for training, or classes are stated without labels.
    """

    licence = collection.NO_LICENCE

    def __init__(
        self,
        *,
        validation: BelowOne = 0.1,
        test: BelowOne = 0.1,
        labels: Literal["none", "folders", "names"] = "none",
        classes: Classes | None = None,
    ) -> None:
        check_shares(validation, test)
        check_classes(labels, classes)
        self.validation = validation
        self.test = test
        self.labels = labels
        self.classes = classes

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Gives labels where folders or names tell them; makes no statement about the sample rate."""
        return labelled(parameters)

    def fetch(self, folder: Path) -> None:
        """Checks that WAV files are there; nothing is downloaded, as no link with a checksum is published.

        Raises:
            DataError: if they are not, saying where they come from and under which licence.
        """
        collection.expect(folder, WHERE, self.licence)

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by path.

        Raises:
            DataError: if the folder is missing or holds no WAV file, if some lie beside train, valid and test, or
                if the classes are not there or not as many as stated.
        """
        label = {
            "none": None,
            "folders": lambda paths: classes_by_folder(folder, paths, self.classes),
            "names": lambda paths: self._by_name(folder, paths),
        }[self.labels]
        return collection.scan(folder, self.validation, self.test, label)

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips there are and how they are split."""
        return collection.describe("Drums", self.scan(folder), self.licence)

    def _by_name(self, folder: Path, paths: list[Path]) -> ClassLabels:
        kinds = [KIND.match(path.name) for path in paths]
        nameless = [str(path) for path, kind in zip(paths, kinds, strict=True) if kind is None]
        if nameless:
            raise DataError(
                f"{folder}: the name of {nameless[0]} does not begin with the letters of a class, which "
                "corpus.labels=names asks for; rename it, or set corpus.labels"
            )
        return numbered(folder, [kind[0] for kind in kinds if kind], self.classes)

    def mini(self, folder: Path) -> None:
        """Twelve synthetic hits of 1 s at 16 kHz of each kind (kick, snare, hat); a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else, or more than eight classes are stated.
        """
        kinds = self.classes or 3
        if kinds > len(HITS):
            raise DataError(f"{folder}: the mini corpus of drums has {len(HITS)} kinds at most, not {kinds} classes")
        where = "folders" if self.labels == "folders" else "names"
        build(folder, f"drums 1, {kinds} kinds by {where}", lambda made: _write_mini(made, HITS[:kinds], where))


def _write_mini(folder: Path, hits: tuple[Hit, ...], where: str) -> None:
    for kind, hit in enumerate(hits):
        for number, split in enumerate(MINI_SPLITS):
            name = f"{hit.name}-{number:03d}.wav"
            path = folder / split / hit.name / name if where == "folders" else folder / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write(path, strike(hit, (kind, number)), MINI_RATE)


def strike(hit: Hit, seed: tuple[int, ...]) -> np.ndarray:
    """One hit, float32 [16000], peak 0.7; ``seed`` varies pitch and decay by a quarter."""
    draws = np.random.default_rng(seed)
    time = np.arange(MINI_RATE) / MINI_RATE
    pitch, length = draws.uniform(0.8, 1.25, 2)
    frequency = pitch * (hit.low + (hit.high - hit.low) * np.exp(-time / 0.03))
    tone = hit.tone * np.sin(2 * np.pi * np.cumsum(frequency) / MINI_RATE) * np.exp(-time / (length * hit.tone_decay))
    noise = np.diff(draws.standard_normal(MINI_RATE + hit.bright), hit.bright)
    noise *= hit.noise / 2**hit.bright * np.exp(-time / (length * hit.noise_decay))
    made = (tone + 0.5 * noise) * np.minimum(1, time / 0.001)
    made *= 0.7 / np.abs(made).max()
    return (made + 5e-4 * draws.standard_normal(MINI_RATE)).astype(np.float32)
