"""VCTK 0.92 (Yamagishi et al., 2019): 110 speakers of English, 48 kHz, with the split of NU-Wave 2 and AP-BWE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import soundfile

from gansemble.audio import listing
from gansemble.audio.names import as_text
from gansemble.data.download import Progress, fetch_archive
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.errors import DataError
from gansemble.numbers import BelowOne
from gansemble_plugins.corpora.listing import check_shares, counted, split_by_hash
from gansemble_plugins.corpora.synthetic import beat, melody

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 48000
FLAC = frozenset({".flac"})
AUDIO = "wav48_silence_trimmed"
LEFT_OUT = frozenset({"p280", "p315"})
#: The last 8 of the other 108 in the order of their names, as AP-BWE's test.txt lists them.
TEST_SPEAKERS = frozenset({"p360", "p361", "p362", "p363", "p364", "p374", "p376", "s5"})
TRAIN_SPEAKERS = 100
NAME = re.compile(r"(.+)_([0-9]+)_mic[12]")
MINI_SPEAKERS = {"p225": 57, "p226": 45, "p227": 43, "p360": 47, "s5": 59}  # their lowest pitch [MIDI number]
MINI_CLIPS, MINI_STEP, MINI_STEPS = 4, 0.2, 4  # of each speaker; [s]; syllables of a clip


class VCTK48:
    """``wav48_silence_trimmed/{speaker}/{speaker}_{sentence}_{mic}.flac``: sentences, labelled with the speaker, mono.

    The speakers p280 and p315 are left out, p360 to p364, p374, p376 and s5 are the test set, and the other 100 are
    for training and validation. Validation is a share of the training speakers' clips, so it knows their voices and
    the test does not. A clip's id is ``{speaker}_{sentence}``, and its split is the same for both microphones. The
    files are mono: ``data.channels`` need not be said.

    Args:
        mic: of the two microphones.
        validation: share of the training speakers' clips that a hash of their ids holds out; one at least.

    Raises:
        ValueError: if ``validation`` is negative or leaves nothing for training.
    """

    licence = "CC BY 4.0"
    url = "https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip"
    sha256 = "f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c"
    archive_bytes = 11_747_302_977

    def __init__(self, *, mic: Literal["mic1", "mic2"] = "mic1", validation: BelowOne = 0.01) -> None:
        check_shares(validation, 0.0)
        self.mic = mic
        self.validation = validation

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Published at 48 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}))

    def fetch(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Downloads the archive (11.7 GB) beside ``folder`` and unpacks it, unless the layout is there already.

        Raises:
            DataError: if ``folder`` holds something else, or the download or the archive is not as published.
        """
        if (folder / AUDIO).is_dir():
            return
        # The archive has no top folder.
        fetch_archive(
            self.url,
            folder,
            layout=_LAYOUT,
            sha256=self.sha256,
            size=self.archive_bytes,
            max_bytes=24 << 30,
            max_files=200_000,
            progress=progress,
        )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips of one microphone, sorted by speaker and sentence.

        Raises:
            DataError: if ``folder`` is missing, has not the layout or holds no clip of the microphone, or a FLAC file
                has another name.
        """
        if not (folder / AUDIO).is_dir():
            found = "no such folder" if not folder.is_dir() else f"found no {AUDIO}/"
            raise DataError(f"{folder}: expected {_LAYOUT}, {found}; {_advice(folder)}")
        named = {f"{speaker}_{sentence}": (speaker, path) for speaker, sentence, path in self._named(folder)}
        if not named:
            raise DataError(
                f"{folder}: expected {_LAYOUT}, found no file of {self.mic} by a speaker of the split; set corpus.mic, "
                "or name another folder with --data"
            )
        training = [id_ for id_, (speaker, _) in named.items() if speaker not in TEST_SPEAKERS]
        splits = split_by_hash(training, self.validation)
        return [
            Clip(id_, path, splits.get(id_, "test"), {"speaker": speaker}) for id_, (speaker, path) in named.items()
        ]

    def _named(self, folder: Path) -> Iterator[tuple[str, str, str]]:
        """(speaker, sentence, path below ``folder``) of each file of the microphone, sorted."""
        for place in sorted((folder / AUDIO).glob("*/")):
            if place.name in LEFT_OUT or place.name.startswith("."):
                continue
            for name, path in listing.inside(place, FLAC).items():
                if not name.endswith(f"_{self.mic}"):
                    continue
                found = NAME.fullmatch(name)
                if not found or found[1] != place.name:
                    raise DataError(
                        f"{place / path}: expected a name as {{speaker}}_{{sentence}}_{self.mic}.flac with the speaker of its "
                        f"folder, such as {place.name}_001_{self.mic}.flac"
                    )
                yield as_text(found[1]), as_text(found[2]), f"{AUDIO}/{place.name}/{path.name}"

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips and speakers there are, and whether they are the published split's."""
        clips = self.scan(folder)
        test = {clip.labels["speaker"] for clip in clips if clip.split == "test"}
        train = {clip.labels["speaker"] for clip in clips} - test
        whole = len(train) == TRAIN_SPEAKERS and test == TEST_SPEAKERS
        speakers = f"{len(train)} speakers for training and {len(test)} for the test"
        told = "the split of NU-Wave 2 and AP-BWE"
        if not whole:
            told += f" in part, which has {TRAIN_SPEAKERS} and {len(TEST_SPEAKERS)}"
        return f"VCTK 0.92, {self.mic}, {counted(clips)} clips, {speakers}: {told}."

    def mini(self, folder: Path) -> None:
        """20 synthetic clips of 0.8 s by five voices, two of them the test's, with both microphones; a second call does
        nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, "vctk48 1", _write_mini)


_LAYOUT = f"VCTK 0.92's layout ({AUDIO}/{{speaker}}/{{speaker}}_{{sentence}}_mic1.flac)"


def _advice(folder: Path) -> str:
    """What to do where the layout is not found."""
    if folder.name == AUDIO and folder.is_dir():
        return f"did you mean the folder above it (--data {folder.absolute().parent})?"
    below = folder / "VCTK-Corpus-0.92"
    if (below / AUDIO).is_dir():
        return f"did you mean {below.name}/ inside it (--data {below})?"
    return "run stage fetch into a new folder, or name another with --data"


def _write_mini(folder: Path) -> None:
    samples = round(MINI_STEP * MINI_STEPS * RATE)
    for place, (speaker, lowest) in enumerate(MINI_SPEAKERS.items()):
        (folder / AUDIO / speaker).mkdir(parents=True)
        voice = notes([lowest, lowest + 2, lowest + 3], sample_rate=RATE, seconds=MINI_STEP, seed=place)
        for number in range(1, MINI_CLIPS + 1):
            seed = (place, number)
            # A syllable is a vowel that begins with a hiss.
            clip = 0.7 * melody(voice, MINI_STEPS, seed) + 0.2 * beat(samples, RATE, MINI_STEPS, seed)
            for mic, level in (("mic1", 1.0), ("mic2", 0.6)):
                faint = 3e-4 * np.random.default_rng((*seed, int(mic[-1]))).standard_normal(samples)
                path = folder / AUDIO / speaker / f"{speaker}_{number:03d}_{mic}.flac"
                soundfile.write(str(path), level * clip + faint, RATE, subtype="PCM_16", format="FLAC")
