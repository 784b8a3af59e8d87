"""LibriTTS (Zen et al., 2019): sentences of audio books read by many, 24 kHz mono, in the published subsets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gansemble.audio import files, listing
from gansemble.audio.names import as_text, shown
from gansemble.data import consent
from gansemble.data.download import Progress, download, unpack
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.errors import DataError
from gansemble_plugins.corpora.listing import counted
from gansemble_plugins.corpora.sentences import spoken_sentences

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 24000
WAV = frozenset({".wav"})
Subset = Literal[
    "train-clean-100", "train-clean-360", "train-other-500", "dev-clean", "dev-other", "test-clean", "test-other"
]
#: sha256 of each subset's archive, as torchaudio's LIBRITTS has them.
SHA256 = {
    "dev-clean": "da0864e1bd26debed35da8a869dd5c04dfc27682921936de7cff9c8a254dbe1a",
    "dev-other": "d413eda26f3a152ac7c9cf3658ef85504dfb1b625296e5fa83727f5186cca79c",
    "test-clean": "234ea5b25859102a87024a4b9b86641f5b5aaaf1197335c95090cde04fe9a4f5",
    "test-other": "33a5342094f3bba7ccc2e0500b9e72d558f72eb99328ac8debe1d9080402f10d",
    "train-clean-100": "c5608bf1ef74bb621935382b8399c5cdd51cd3ee47cec51f00f885a64c6c7f6b",
    "train-clean-360": "ce7cff44dcac46009d18379f37ef36551123a1dc4e5c8e4eb73ae57260de4886",
    "train-other-500": "e35f7e34deeb2e2bdfe4403d88c8fdd5fbf64865cae41f027a185a6965f0a5df",
}
#: Clips of each subset, as TensorFlow Datasets counts them.
CLIPS = {
    "dev-clean": 5736, "dev-other": 4613, "test-clean": 4837, "test-other": 5120,
    "train-clean-100": 33236, "train-clean-360": 116500, "train-other-500": 205044,
}  # fmt: skip
NAME = re.compile(r"([0-9]+)_([0-9]+)_[0-9]+_[0-9]+")
MINI_VOICES = 5
MINI_CLIPS = {"train": 6, "validation": 2, "test": 1}  # of each voice


class LibriTTS:
    """``{subset}/{speaker}/{chapter}/{speaker}_{chapter}_{paragraph}_{sentence}.wav``: sentences, labelled with the speaker.

    The subsets are the split: no speaker is in two of them. Texts are not read.

    Args:
        train: subsets for training.
        validation: subsets for validation.
        test: subsets for the test; may be empty.

    Raises:
        ValueError: if a subset is in two of the lists or twice in one, or there is none for training or for validation.
    """

    licence = "CC BY 4.0"
    url = "https://www.openslr.org/resources/60"
    sha256 = SHA256

    def __init__(
        self,
        *,
        train: Sequence[Subset] = ("train-clean-100",),
        validation: Sequence[Subset] = ("dev-clean",),
        test: Sequence[Subset] = ("test-clean",),
    ) -> None:
        named = [*train, *validation, *test]
        if not train or not validation:
            raise ValueError("train and validation must each name a subset, such as train-clean-100 and dev-clean")
        twice = sorted({each for each in named if named.count(each) > 1})
        if twice:
            raise ValueError(f"each subset must be named once, got {twice[0]} more often in train, validation and test")
        lists: dict[str, Sequence[str]] = {"train": train, "validation": validation, "test": test}
        self.splits = {subset: split for split, subsets in lists.items() for subset in subsets}

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Published at 24 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}))

    def fetch(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Downloads the archive of each subset that is not there beside ``folder``, and unpacks it into ``folder``.

        Raises:
            DataError: if ``folder`` holds something else, or a download or an archive is not as published.
        """
        lacking = [subset for subset in self.splits if not (folder / subset).is_dir()]
        known = [subset for subset in SHA256 if (folder / subset).is_dir()]
        if lacking and not known and folder.exists() and any(folder.iterdir()):
            raise DataError(f"{folder}: holds something, but not {_LAYOUT}; {consent.ELSEWHERE}")
        places = {subset: folder.absolute().parent / f"{subset}.tar.gz" for subset in lacking}
        consent.demand(*(consent.Offer(f"{self.url}/{path.name}", path) for path in places.values()))
        for subset in lacking:
            archive = places[subset]
            download(f"{self.url}/{archive.name}", archive, sha256=self.sha256[subset], progress=progress)
            unpack(
                archive,
                folder / subset,
                max_bytes=160 << 30,
                max_files=2_000_000,
                inside=f"LibriTTS/{subset}",
                progress=progress,
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips of the subsets, in their order and sorted.

        Raises:
            DataError: if ``folder`` is missing, lacks a subset or holds none of its clips, or a WAV file has another name.
        """
        lacking = [subset for subset in self.splits if not (folder / subset).is_dir()]
        if lacking:
            raise DataError(f"{folder}: expected {_LAYOUT} with {lacking[0]}/, {self._found(folder)}")
        clips: list[Clip] = []
        for subset, split in self.splits.items():
            there = _clips(folder, subset, split)
            if not there:
                raise DataError(
                    f"{folder / subset}: expected {{speaker}}/{{chapter}}/*.wav, found no WAV file there; unpack the archive again, or "
                    f"take {subset} out of corpus.{split}"
                )
            clips += there
        return clips

    def _found(self, folder: Path) -> str:
        """What is there instead, and what to do."""
        if not folder.is_dir():
            return "no such folder; run stage fetch, or name another with --data"
        below = folder / "LibriTTS"
        if below.is_dir():
            return f"found none; did you mean {below.name}/ inside it (--data {below})?"
        if folder.name in SHA256:
            return f"found none; did you mean the folder above it (--data {folder.absolute().parent})?"
        there = [subset for subset in SHA256 if (folder / subset).is_dir()]
        if there:
            return (
                f"found {', '.join(there)} only; run stage fetch for the others, or set corpus.train, corpus.validation and "
                "corpus.test"
            )
        return "found no subset; run stage fetch into a new folder, or name another with --data"

    def describe(self, folder: Path) -> str:
        """One sentence: which subsets there are, how many clips and speakers, and which subsets are there in part."""
        clips = self.scan(folder)
        speakers = len({clip.labels["speaker"] for clip in clips})
        counts = {subset: sum(clip.path.startswith(f"{subset}/") for clip in clips) for subset in self.splits}
        partial = [
            f"{subset} ({count:,} of {CLIPS[subset]:,} clips)"
            for subset, count in counts.items()
            if count < CLIPS[subset]
        ]
        part = f"; there in part: {', '.join(partial)}" if partial else ""
        return (
            f"LibriTTS, {counted(clips)} clips by {speakers} speakers, split by subset: {', '.join(self.splits)}{part}."
        )

    def mini(self, folder: Path) -> None:
        """Short sentences by five voices of eSpeak NG in the subsets that are named; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else, or eSpeak NG is missing.
        """
        named = ", ".join(f"{subset} {split}" for subset, split in self.splits.items())
        build(folder, f"libritts 1: {named}", lambda made: _write_mini(made, self.splits))


_LAYOUT = "LibriTTS' layout ({subset}/{speaker}/{chapter}/{speaker}_{chapter}_{paragraph}_{sentence}.wav)"


def _clips(folder: Path, subset: str, split: str) -> list[Clip]:
    clips = []
    for path in listing.below(folder / subset, WAV).paths:
        found = NAME.fullmatch(path.stem)
        if not found or path.parts[:-1] != (found[1], found[2]):
            raise DataError(
                f"{folder / subset}: {shown(path)} is not named after its folders, as "
                "{speaker}/{chapter}/{speaker}_{chapter}_{paragraph}_{sentence}.wav, such as 84/121123/84_121123_000007_000001.wav; "
                "rename it, or take it out"
            )
        clips.append(Clip(as_text(path.stem), f"{subset}/{path.as_posix()}", split, {"speaker": found[1]}))
    return clips


def _write_mini(folder: Path, splits: dict[str, str]) -> None:
    said = spoken_sentences(MINI_VOICES * max(MINI_CLIPS.values()), RATE)
    for place, (subset, split) in enumerate(splits.items()):
        for number, audio in enumerate(said[: MINI_VOICES * MINI_CLIPS[split]]):
            sentence, voice = divmod(number, MINI_VOICES)  # the voices speak in turn
            speaker, chapter = 100 + 10 * place + voice, 2000 + place
            where = folder / subset / str(speaker) / str(chapter)
            where.mkdir(parents=True, exist_ok=True)
            # A subset has a level of its own: no two files are the same.
            files.write(where / f"{speaker}_{chapter}_000001_{sentence:06d}.wav", (0.9 - 0.1 * place) * audio, RATE)
