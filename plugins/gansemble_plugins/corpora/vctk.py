"""VCTK 0.92 (Yamagishi et al., 2019): 110 speakers of English, 48 kHz, split by speakers or within them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import soundfile

from gansemble.data.download import Progress
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.numbers import BelowOne
from gansemble_plugins.corpora import vctk_files
from gansemble_plugins.corpora.listing import check_shares, counted, split_by_hash
from gansemble_plugins.corpora.sentences import spoken_sentences
from gansemble_plugins.corpora.strata import stratified
from gansemble_plugins.corpora.vctk_files import AUDIO, INCOMPLETE, RATE, TEST_SPEAKERS

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

MINI_SPEAKERS = ("p225", "p226", "p227", "p360", "s5")
MINI_CLIPS = 6  # of each speaker


class VCTK:
    """``wav48_silence_trimmed/{speaker}/{speaker}_{sentence}_{mic}.flac``: sentences, labelled with the speaker, mono.

    A clip's id is ``{speaker}_{sentence}``, and its split is the same for both microphones. No text is read.

    Args:
        mic: of the two microphones.
        speakers: ``unseen``: p360 to p364, p374, p376 and s5 are the test set, and no clip of theirs is anywhere else;
            ``seen``: every speaker is in training, validation and test.
        validation: share of the clips held out for validation, by a hash of their ids: of the training speakers' with
            ``unseen``, of each speaker's with ``seen``; one at least.
        test: share of each speaker's clips for the test; with ``seen`` only.
        left_out: speakers that are passed over. The texts of p315 are lost, and p280 has no files of the second
            microphone; with an empty list they are used, as far as there are files.

    Raises:
        ValueError: if the shares are negative or leave nothing for training, or ``left_out`` names no speaker.
    """

    licence = vctk_files.LICENCE
    url = vctk_files.URL
    sha256 = vctk_files.SHA256
    archive_bytes = vctk_files.ARCHIVE_BYTES

    def __init__(
        self,
        *,
        mic: Literal["mic1", "mic2"] = "mic1",
        speakers: Literal["unseen", "seen"] = "unseen",
        validation: BelowOne = 0.01,
        test: BelowOne = 0.01,
        left_out: Sequence[str] = INCOMPLETE,
    ) -> None:
        check_shares(validation, test)
        nameless = [each for each in left_out if not (each[:1] in ("p", "s") and each[1:].isdigit())]
        if nameless:
            raise ValueError(f"left_out must name speakers such as p315, got {nameless[0]!r}")
        self.mic = mic
        self.speakers = speakers
        self.validation = validation
        self.test = test
        self.left_out = frozenset(left_out)

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
        found = vctk_files.sentences(folder, self.mic, self.left_out)
        if self.speakers == "seen":
            of = [each.speaker for each in found]
            splits = stratified([each.id for each in found], of, self.validation, self.test)
        else:
            training = [each.id for each in found if each.speaker not in TEST_SPEAKERS]
            splits = split_by_hash(training, self.validation)
        return [Clip(each.id, each.path, splits.get(each.id, "test"), {"speaker": each.speaker}) for each in found]

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips and speakers there are, how they are split, and what the microphone lacks."""
        clips = self.scan(folder)
        speakers = {clip.labels["speaker"] for clip in clips}
        if self.speakers == "seen":
            told = f"each of {len(speakers)} speakers in every split as far as there are clips"
        else:
            unseen = len(speakers & TEST_SPEAKERS)
            told = f"{len(speakers) - unseen} speakers for training and {unseen} others for the test"
        absent = self._absent(folder, {clip.id for clip in clips})
        return f"VCTK 0.92, {self.mic}, {counted(clips)} clips: {told}{absent}."

    def _absent(self, folder: Path, there: set[str]) -> str:
        """How many clips only the other microphone has, as the end of a sentence."""
        other = "mic2" if self.mic == "mic1" else "mic1"
        named = [each.id for each in vctk_files.every_sentence(folder, other, self.left_out) if each.id not in there]
        return f"; {len(named)} clips are of {other} only, the first {named[0]}" if named else ""

    def mini(self, folder: Path) -> None:
        """30 short sentences by five voices of eSpeak NG, two of them the test's, with both microphones; a second call
        does nothing.

        Raises:
            DataError: if ``folder`` holds something else, or eSpeak NG is missing.
        """
        build(folder, "vctk 1", _write_mini)


def _write_mini(folder: Path) -> None:
    said = spoken_sentences(len(MINI_SPEAKERS) * MINI_CLIPS, RATE)
    for place, audio in enumerate(said):
        number, voice = divmod(place, len(MINI_SPEAKERS))  # the voices speak in turn
        speaker = MINI_SPEAKERS[voice]
        (folder / AUDIO / speaker).mkdir(parents=True, exist_ok=True)
        for mic, level in (("mic1", 0.9), ("mic2", 0.5)):
            faint = 3e-4 * np.random.default_rng((place, int(mic[-1]))).standard_normal(len(audio))
            path = folder / AUDIO / speaker / f"{speaker}_{number + 1:03d}_{mic}.flac"
            soundfile.write(str(path), level * audio + faint, RATE, subtype="PCM_16", format="FLAC")
