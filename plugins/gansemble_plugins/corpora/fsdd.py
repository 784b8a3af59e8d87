"""The Free Spoken Digit Dataset: ten digits, 50 takes of each by every speaker, 8 kHz."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from gansemble.audio import files, listing
from gansemble.audio.names import as_text
from gansemble.data.manifest import Clip
from gansemble.data.mini import VOICES, build
from gansemble.errors import DataError
from gansemble.numbers import Range
from gansemble_plugins.corpora.digits import WORDS, placed, spoken, takes
from gansemble_plugins.corpora.listing import counted

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 8000
WAV = frozenset({".wav"})
TEST_TAKES = range(5)
MINI_TAKES = range(3, 11)  # of the test's, the default validation's, and four for training
NAME = re.compile(r"([0-9])_(.+)_([0-9]+)")


class FSDD:
    """``recordings/{digit}_{speaker}_{take}.wav``, labelled with the digit and the speaker.

    The test set is the official one: takes 0 to 4 of each digit by each speaker.

    Args:
        validation_takes: which of the other takes are for validation; the rest is for training.

    Raises:
        ValueError: if one of them is of the test set or negative.
    """

    licence = "CC BY-SA 4.0"
    url = "https://github.com/Jakobovski/free-spoken-digit-dataset"

    def __init__(
        self, *, validation_takes: tuple[Annotated[int, Range(at_least=0, at_most=1000)], ...] = (5, 6)
    ) -> None:
        wrong = [take for take in validation_takes if take < len(TEST_TAKES)]
        if wrong:
            raise ValueError(f"validation_takes must be 5 or more, as 0 to 4 are the test set; got {wrong[0]}")
        self.validation_takes = frozenset(validation_takes)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Ten classes at 8 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}), gives=frozenset({"labels"}), classes=len(WORDS))

    def fetch(self, folder: Path) -> None:
        """Checks that the layout is there; there is no archive with a published checksum to download.

        Raises:
            DataError: if it is not, saying how to get it.
        """
        if not (folder / "recordings").is_dir():
            raise DataError(
                f"{folder}: expected {_LAYOUT}; no archive of it has a published checksum, so get it yourself: "
                f"git clone {self.url} DIR, then name it with --data DIR ({self.licence})"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by name.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, or a WAV file has another name.
        """
        if not (folder / "recordings").is_dir():
            advice = "name another folder with --data, or run stage fetch, which says where it comes from"
            if any(NAME.fullmatch(name) for name in listing.inside(folder, WAV)):
                advice = f"did you mean the folder above it (--data {folder.absolute().parent})?"
            raise DataError(f"{folder}: expected {_LAYOUT}, found no recordings/; {advice}")
        clips = [
            self._clip(folder / "recordings" / path) for path in listing.inside(folder / "recordings", WAV).values()
        ]
        if not clips:
            raise DataError(f"{folder}: expected {_LAYOUT}, found no WAV file; name another folder with --data")
        return clips

    def _clip(self, path: Path) -> Clip:
        found = NAME.fullmatch(path.stem)
        if not found:
            raise DataError(f"{path}: expected a name as {{digit}}_{{speaker}}_{{take}}.wav, such as 7_jackson_32.wav")
        digit, speaker, take = int(found[1]), as_text(found[2]), int(found[3])
        split = "test" if take in TEST_TAKES else "validation" if take in self.validation_takes else "train"
        return Clip(as_text(path.stem), f"recordings/{path.name}", split, {"label": digit, "speaker": speaker})

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips and speakers there are and how they are split."""
        clips = self.scan(folder)
        speakers = {clip.labels["speaker"] for clip in clips}
        return (
            f"FSDD, {counted(clips)} clips of {len(speakers)} speakers: takes 0 to 4 are the official test set, "
            f"takes {', '.join(map(str, sorted(self.validation_takes))) or 'none'} for validation."
        )

    def mini(self, folder: Path) -> None:
        """Takes 3 to 10 of ten digits by two voices of eSpeak NG, 0.3 to 0.6 s; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else, or eSpeak NG is missing.
        """
        build(folder, "fsdd 1", _write_mini)


_LAYOUT = "the Free Spoken Digit Dataset's layout (recordings/{digit}_{speaker}_{take}.wav)"


def _write_mini(folder: Path) -> None:
    (folder / "recordings").mkdir()
    speakers = ("alba", "bruno")
    voices = [take for voice in VOICES[: len(speakers)] for take in takes(voice, len(MINI_TAKES))]
    for digit, words in enumerate(spoken(voices, RATE)):
        for index, word in enumerate(words):
            speaker, take = speakers[index // len(MINI_TAKES)], MINI_TAKES[index % len(MINI_TAKES)]
            samples = int(np.clip(len(word), 0.3 * RATE, 0.6 * RATE))
            audio = placed(word, samples, 0, (digit, index))
            files.write(folder / "recordings" / f"{digit}_{speaker}_{take}.wav", audio, RATE)
