"""TIMIT (Garofolo et al., 1993): 630 speakers of American English, ten sentences each, 16 kHz mono."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile

from gansemble.audio import listing
from gansemble.audio.names import as_text, shown
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.errors import DataError
from gansemble.numbers import BelowOne
from gansemble_plugins.corpora.listing import check_shares, counted, split_by_hash
from gansemble_plugins.corpora.sentences import spoken_sentences

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 16000
WAV = frozenset({".wav"})
FILES = {"train": 4620, "test": 1680}
WHERE = "TIMIT is sold by the Linguistic Data Consortium: https://catalog.ldc.upenn.edu/LDC93S1"
MINI_SPEAKERS = {"train": ("FCJF0", "MDAC0", "FDAW0"), "test": ("FAKS0", "MDAB0")}
MINI_SENTENCES = ("SA1", "SA2", "SI648", "SX37", "SX127", "SX217")


class TIMIT:
    """``TRAIN/DR1/FCJF0/SA1.WAV`` and so on, in capital or small letters: sentences, labelled with the speaker.

    ``TEST/`` is the test set, and of ``TRAIN/`` a share of the speakers is for validation: no speaker is in two splits. The
    files may be NIST SPHERE, as the disc has them, or RIFF; SPHERE with packed samples (shorten, wavpack) is not decoded.
    A clip's id is ``{speaker}_{sentence}``.

    Args:
        validation: share of the speakers of ``TRAIN/`` that a hash of their names holds out; one at least.
        dialect_sentences: whether SA1 and SA2 are used, two sentences that every speaker reads, the test's too.

    Raises:
        ValueError: if ``validation`` is negative or leaves nothing for training.
    """

    licence = "the Linguistic Data Consortium's agreement: not free"

    def __init__(self, *, validation: BelowOne = 0.05, dialect_sentences: bool = True) -> None:
        check_shares(validation, 0.0)
        self.validation = validation
        self.dialect_sentences = dialect_sentences

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Published at 16 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}))

    def fetch(self, folder: Path) -> None:
        """Checks that the training speakers are there; nothing is downloaded, as the corpus is sold.

        Raises:
            DataError: if they are not, saying where they come from.
        """
        if "train" not in _parts(folder):
            raise DataError(
                f"{folder}: expected {_LAYOUT}. {WHERE}, or name a folder with --data. Licence: {self.licence}"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, those of ``TRAIN/`` first, sorted by region, speaker and sentence.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, a file lies elsewhere than in a speaker's folder, or a speaker
                is in both parts.
        """
        parts = _parts(folder)
        if "train" not in parts:
            found = "no such folder" if not folder.is_dir() else "found no TRAIN/"
            raise DataError(f"{folder}: expected {_LAYOUT}, {found}; {_advice(folder)}")
        clips: list[Clip] = []
        splits: dict[str, str] = {}
        for part in [each for each in FILES if each in parts]:
            spoken = _spoken(folder, parts[part])
            if not spoken and part == "train":
                raise DataError(
                    f"{folder}: expected {_LAYOUT}, found no WAV file in {parts[part]}/; copy the disc again"
                )
            both = sorted(set(splits) & set(spoken))
            if both:
                raise DataError(f"{folder}: speaker {both[0]} is in TRAIN/ and in TEST/; take one of them out")
            splits |= (
                split_by_hash(sorted(spoken), self.validation) if part == "train" else dict.fromkeys(spoken, "test")
            )
            for speaker, sentences in spoken.items():
                clips += [
                    Clip(f"{speaker}_{sentence}", path, splits[speaker], {"speaker": speaker})
                    for sentence, path in sentences.items()
                    if self.dialect_sentences or sentence not in ("SA1", "SA2")
                ]
        return clips

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips and speakers there are, and how they are split."""
        clips = self.scan(folder)
        counts = {
            split: len({c.labels["speaker"] for c in clips if c.split == split})
            for split in ("train", "validation", "test")
        }
        speakers = f"{counts['train']} speakers for training, {counts['validation']} for validation and {counts['test']} for the test"
        sa = "" if self.dialect_sentences else ", without SA1 and SA2"
        whole = sum(FILES.values()) - (0 if self.dialect_sentences else 2 * 630)
        part = "" if len(clips) == whole else f" in part ({len(clips):,} of {whole:,} files there)"
        return f"TIMIT{part}{sa}, {counted(clips)} clips: {speakers}."

    def mini(self, folder: Path) -> None:
        """Six short sentences by each of five voices of eSpeak NG in NIST SPHERE files; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else, or eSpeak NG is missing.
        """
        build(folder, "timit 1", _write_mini)


_LAYOUT = "TIMIT's layout (TRAIN/DR1/{speaker}/{sentence}.WAV and TEST/DR1/…)"


def _parts(folder: Path) -> dict[str, str]:
    """The folders' own names of train and test, whatever case they are in."""
    return {each.name.lower(): each.name for each in sorted(folder.glob("*/")) if each.name.lower() in FILES}


def _spoken(folder: Path, part: str) -> dict[str, dict[str, str]]:
    """The path of each sentence of each speaker of a part, sorted; names in capital letters.

    Raises:
        DataError: if a file lies elsewhere.
    """
    spoken: dict[str, dict[str, str]] = defaultdict(dict)
    for path in listing.below(folder / part, WAV).paths:
        if len(path.parts) != 3:
            raise DataError(
                f"{folder}: {part}/{shown(path)} lies in no speaker's folder; expected {part}/DR1/{{speaker}}/{{sentence}}.WAV; keep "
                "the folders of the disc"
            )
        speaker, sentence = as_text(path.parts[1]).upper(), as_text(path.stem).upper()
        # Some copies have a RIFF file SA1.WAV.wav beside SA1.WAV: the same sound, of which the first is taken.
        spoken[speaker].setdefault(sentence.removesuffix(".WAV"), f"{part}/{path.as_posix()}")
    return spoken


def _advice(folder: Path) -> str:
    """What to do where no speaker is found."""
    if folder.is_dir():
        if folder.name.lower() in FILES:
            return f"did you mean the folder above it (--data {folder.absolute().parent})?"
        below = [each for each in sorted(folder.glob("*/")) if "train" in _parts(each)]
        if below:
            return f"did you mean {below[0].name}/ inside it (--data {below[0]})?"
    return f"{WHERE}, or name another folder with --data"


def _write_mini(folder: Path) -> None:
    speakers = [(part.upper(), speaker) for part, those in MINI_SPEAKERS.items() for speaker in those]
    said = spoken_sentences(len(speakers) * len(MINI_SENTENCES), RATE)
    for number, audio in enumerate(said):
        sentence, voice = divmod(number, len(speakers))  # the voices speak in turn
        part, speaker = speakers[voice]
        place = folder / part / "DR1" / speaker
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{MINI_SENTENCES[sentence]}.WAV"
        soundfile.write(str(path), 0.9 * audio, RATE, format="NIST", subtype="PCM_16")
