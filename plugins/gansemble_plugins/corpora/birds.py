"""Recordings of birds: Boesman's on xeno-canto, which WaveGAN (Donahue et al., 2019) was trained on, or yours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gansemble.audio import files, listing
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.numbers import BelowOne
from gansemble_plugins.corpora import collection
from gansemble_plugins.corpora.listing import check_shares

MINI_RATE = 16000
MINI_SPLITS = ("train",) * 8 + ("valid",) * 2 + ("test",) * 2
MINI_SECONDS = 2
WHERE = (
    "WaveGAN's 12.2 h of birds are recordings of Peter Boesman (2018) on https://xeno-canto.org, handed round as no archive: which "
    "recordings they were is not published."
)


class Birds:
    """Audio files of bird song: in sub-folders train, valid and test, or all together and split by a hash of the names.

    Xeno-canto gives MP3 files, which are read as they are, WAV and FLAC too; folders below, as of species, may be.

    Args:
        validation: share of the files held out for validation, where there are no folders for it.
        test: share held out for the test, likewise.

    Raises:
        ValueError: if the shares are negative or leave nothing for training.
    """

    licence = "each recording's own, a Creative Commons licence that xeno-canto states beside it"

    def __init__(self, *, validation: BelowOne = 0.1, test: BelowOne = 0.1) -> None:
        check_shares(validation, test)
        self.validation = validation
        self.test = test

    def fetch(self, folder: Path) -> None:
        """Checks that audio files are there; nothing is downloaded, as there is no archive.

        Raises:
            DataError: if they are not, saying where they come from and under which licence.
        """
        collection.expect(folder, WHERE, self.licence, listing.SUFFIXES)

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by path.

        Raises:
            DataError: if the folder is missing or holds no audio file, or if some lie beside train, valid and test.
        """
        return collection.scan(folder, self.validation, self.test, suffixes=listing.SUFFIXES)

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips there are and how they are split."""
        return collection.describe("Birds", self.scan(folder), self.licence)

    def mini(self, folder: Path) -> None:
        """Twelve synthetic songs of 2 s at 16 kHz; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, "birds 1", _write_mini)


def _write_mini(folder: Path) -> None:
    for number, split in enumerate(MINI_SPLITS):
        (folder / split).mkdir(exist_ok=True)
        files.write(folder / split / f"song-{number + 1:02d}.wav", song(number)[np.newaxis], MINI_RATE)


def song(seed: int) -> np.ndarray:
    """Chirps that glide between 2 and 6 kHz over faint noise: float32 [32000], peak about 0.6."""
    draws = np.random.default_rng(seed)
    made = 1e-3 * draws.standard_normal(MINI_SECONDS * MINI_RATE)
    start = 0
    while True:
        length = int(draws.uniform(0.05, 0.2) * MINI_RATE)
        if start + length > len(made):
            return made.astype(np.float32)
        low, high = draws.uniform(2000, 6000, 2)
        pitch = np.linspace(low, high, length) * (1 + 0.03 * np.sin(2 * np.pi * 25 * np.arange(length) / MINI_RATE))
        chirp = np.sin(2 * np.pi * np.cumsum(pitch) / MINI_RATE) * np.hanning(length)
        made[start : start + length] += draws.uniform(0.3, 0.6) * chirp
        start += length + int(draws.uniform(0.03, 0.25) * MINI_RATE)
