"""VCTK 0.92 (Yamagishi et al., 2019): 110 speakers of English, 48 kHz, with the split of NU-Wave 2 and AP-BWE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import soundfile

from gansemble.data.download import Progress
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.numbers import BelowOne
from gansemble_plugins.corpora import vctk_files
from gansemble_plugins.corpora.listing import check_shares, counted, split_by_hash
from gansemble_plugins.corpora.synthetic import beat, melody
from gansemble_plugins.corpora.vctk_files import AUDIO, INCOMPLETE, RATE, TEST_SPEAKERS

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

TRAIN_SPEAKERS = 100
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

    licence = vctk_files.LICENCE
    url = vctk_files.URL
    sha256 = vctk_files.SHA256
    archive_bytes = vctk_files.ARCHIVE_BYTES

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
        vctk_files.fetch(folder, url=self.url, sha256=self.sha256, size=self.archive_bytes, progress=progress)

    def scan(self, folder: Path) -> list[Clip]:
        """The clips of one microphone, sorted by speaker and sentence.

        Raises:
            DataError: if ``folder`` is missing, has not the layout or holds no clip of the microphone, or a FLAC file
                has another name.
        """
        found = vctk_files.sentences(folder, self.mic, INCOMPLETE)
        training = [each.id for each in found if each.speaker not in TEST_SPEAKERS]
        splits = split_by_hash(training, self.validation)
        return [Clip(each.id, each.path, splits.get(each.id, "test"), {"speaker": each.speaker}) for each in found]

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
