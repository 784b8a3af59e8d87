"""Piano recordings: WaveGAN's (Donahue et al., 2019) or yours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gansemble.audio import files
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.numbers import BelowOne
from gansemble_plugins.corpora import collection
from gansemble_plugins.corpora.listing import check_shares

MINI_RATE = 16000
MINI_SPLITS = ("train",) * 5 + ("valid",) * 2 + ("test",)
WHERE = (
    "WaveGAN's 0.3 h of Bach were at http://deepyeti.ucsd.edu/cdonahue/wavegan/data/mancini_piano.tar.gz; this and the "
    "later Google Drive link are dead."
)
SCALE = (48, 50, 52, 55, 57, 60, 62, 64, 67, 69, 72)


class Piano:
    """WAV files of piano music: in sub-folders train, valid and test, or all together and split by a hash of the names.

    Args:
        validation: share of the files held out for validation, where there are no folders for it.
        test: share held out for the test, likewise.

    Raises:
        ValueError: if the shares are negative or leave nothing for training.
    """

    licence = collection.NO_LICENCE

    def __init__(self, *, validation: BelowOne = 0.1, test: BelowOne = 0.1) -> None:
        check_shares(validation, test)
        self.validation = validation
        self.test = test

    def fetch(self, folder: Path) -> None:
        """Checks that WAV files are there; nothing is downloaded, as the links are dead.

        Raises:
            DataError: if they are not, saying where they came from and under which licence.
        """
        collection.expect(folder, WHERE, self.licence)

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by path.

        Raises:
            DataError: if the folder is missing or holds no WAV file, or if some lie beside train, valid and test.
        """
        return collection.scan(folder, self.validation, self.test)

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips there are and how they are split."""
        return collection.describe("Piano", self.scan(folder), self.licence)

    def mini(self, folder: Path) -> None:
        """Eight synthetic phrases of 5 s at 16 kHz; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, "piano 1", _write_mini)


def _write_mini(folder: Path) -> None:
    for number, split in enumerate(MINI_SPLITS):
        (folder / split).mkdir(exist_ok=True)
        melody = [SCALE[step] for step in np.random.default_rng(number).integers(len(SCALE), size=10)]
        phrase = np.concatenate(notes(melody, sample_rate=MINI_RATE, seconds=0.5, seed=number))
        files.write(folder / split / f"phrase-{number + 1:02d}.wav", phrase, MINI_RATE)
