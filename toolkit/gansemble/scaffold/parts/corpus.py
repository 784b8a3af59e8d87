"""A corpus: where audio comes from and how it is split."""

from pathlib import Path

import numpy as np

from gansemble.audio import files, listing
from gansemble.audio.names import as_text
from gansemble.data import text_files
from gansemble.data.manifest import Clip
from gansemble.errors import DataError


class AcmeCorpus:
    """A folder ``wavs/`` of WAV files beside ``validation.txt``.

    That file lists the file names of the validation clips, one a line; the other clips are for training.

    Args:
        rate: sample rate of the mini corpus [Hz].
    """

    def __init__(self, *, rate: int = 22050) -> None:
        self.rate = rate

    def fetch(self, folder: Path) -> None:
        """Downloads nothing, but says where the audio has to be.

        Raises:
            DataError: if it is not there.
        """
        if not (folder / "wavs").is_dir():
            raise DataError(f"{folder}: expected a folder wavs/ with WAV files; copy them there, or give --data DIR")

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by file name, each with its split.

        Raises:
            DataError: if the folder holds no WAV files where they are expected.
        """
        paths = listing.inside(folder / "wavs", {".wav"})
        if not paths:
            raise DataError(f"{folder}: expected WAV files in {folder.name}/wavs, found none")
        held_out = {line.text.strip() for line in text_files.lines(folder / "validation.txt")}
        return [
            Clip(as_text(name), f"wavs/{path.name}", "validation" if path.name in held_out else "train")
            for name, path in paths.items()
        ]

    def mini(self, folder: Path) -> None:
        """Writes eight falling tones of 1.5 s each in the corpus' layout: small, and made without a network."""
        time = np.arange(int(1.5 * self.rate)) / self.rate
        (folder / "wavs").mkdir(parents=True, exist_ok=True)
        for index in range(8):
            # The integral of a frequency that falls in proportion to 1 - 0.4 time.
            phase = 2 * np.pi * (200 + 40 * index) * (time - 0.2 * time**2)
            tone = sum(np.sin(k * phase) / k for k in range(1, 6)) * 0.2 * np.exp(-time)
            files.write(folder / "wavs" / f"tone-{index}.wav", np.asarray(tone, np.float32), self.rate, "pcm16")
        (folder / "validation.txt").write_text("tone-3.wav\ntone-6.wav\n")
