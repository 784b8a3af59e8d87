"""Corpora with one mistake each."""

import random
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from gansemble.audio import files
from gansemble.contract import CorpusContract
from gansemble.data.manifest import Clip
from gansemble.errors import DataError

RATE = 16000


class Sound:
    """Tones named after their pitch, ``wavs/60-0.wav``; every fourth is held out."""

    count = 8

    def fetch(self, folder: Path) -> None:
        """Nothing to download."""

    def scan(self, folder: Path) -> list[Clip]:
        found = sorted((folder / "wavs").glob("*.wav"))
        if not found:
            raise DataError(f"{folder}: expected wavs/*.wav, found none; name another folder with --data")
        return [self.clip(folder, path, place) for place, path in enumerate(found)]

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        """One file's entry."""
        labels = {"pitch": int(path.stem.partition("-")[0])}
        return Clip(path.stem, f"wavs/{path.name}", "train" if place % 4 else "validation", labels)

    def mini(self, folder: Path) -> None:
        (folder / "wavs").mkdir(parents=True)
        for place in range(self.count):
            files.write(folder / "wavs" / f"{60 + place}-0.wav", self.tone(60 + place), RATE)

    def tone(self, pitch: int) -> Any:
        """A quarter of a second [T]."""
        return 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * np.arange(RATE // 4) / RATE)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        return CorpusContract(gives=frozenset({"pitch"}), pitches=(60, 72), sample_rates=frozenset({RATE}))


class OpensAudio(Sound):
    """Reads every file's length to leave short ones out: hours on a large corpus."""

    def scan(self, folder: Path) -> list[Clip]:
        return [clip for clip in super().scan(folder) if files.info(folder / clip.path).frames > 1000]


class PathsAsIds(Sound):
    """Takes the path for the id, which names files elsewhere."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.path, clip.path, clip.split, clip.labels)


class TakesAndTakes(Sound):
    """Takes the first part of the name for the id, which two takes of a pitch share."""

    def mini(self, folder: Path) -> None:
        super().mini(folder)
        files.write(folder / "wavs" / "60-1.wav", self.tone(60), RATE)

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(path.stem.partition("-")[0], clip.path, clip.split, clip.labels)


class OtherSplits(Sound):
    """Says "valid", as the corpus' authors do."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, clip.path, "train" if clip.split == "train" else "valid", clip.labels)


class NothingHeldOut(Sound):
    """Holds every tenth clip out from the tenth on, and its mini corpus has eight."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, clip.path, "validation" if place % 10 == 9 else "train", clip.labels)


class PathsFromInside(Sound):
    """Paths relative to ``wavs`` instead of the folder."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, path.name, clip.split, clip.labels)


class UnseededMini(Sound):
    """Adds noise from an unseeded generator to its mini corpus."""

    def tone(self, pitch: int) -> Any:
        return super().tone(pitch) + 0.01 * np.random.default_rng().standard_normal(RATE // 4)


class OtherRate(Sound):
    """Its contract says another rate than its files have."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        return CorpusContract(sample_rates=frozenset({22050}))


class PitchAsText(Sound):
    """Leaves the pitch as the text it is in the file's name."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, clip.path, clip.split, {"pitch": path.stem.partition("-")[0]})


class LabelsFromOne(Sound):
    """Counts its classes from one, as the file names do."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, clip.path, clip.split, {"label": clip.labels["pitch"] - 59})

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        return CorpusContract(gives=frozenset({"labels"}), classes=8)


class LabelsOfSome(LabelsFromOne):
    """Has the classes of some clips only."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, clip.path, clip.split, {"label": place} if place % 2 else {})


class NumbersAndNames(LabelsFromOne):
    """Names the last class, and numbers the others."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, clip.path, clip.split, {"label": "seven" if place == 7 else place})


class MoreNames(LabelsFromOne):
    """Has more classes than its contract says, each with a name."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, clip.path, clip.split, {"label": f"class {place}"})

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        return CorpusContract(gives=frozenset({"labels"}), classes=4)


class SilentAboutNothing(Sound):
    """Gives no clips for a folder that is not its own, as ``glob`` does."""

    def scan(self, folder: Path) -> list[Clip]:
        return [self.clip(folder, path, place) for place, path in enumerate(sorted((folder / "wavs").glob("*.wav")))]


class RaisesItsOwn(Sound):
    """Lets Python's error through where the folder is missing."""

    def scan(self, folder: Path) -> list[Clip]:
        found = sorted(path for path in (folder / "wavs").iterdir())
        return [self.clip(folder, path, place) for place, path in enumerate(found)]


class OwnEntries(Sound):
    """Gives dictionaries, as its JSON has them."""

    def scan(self, folder: Path) -> list[Any]:
        return [vars(clip) for clip in super().scan(folder)]


class SplitsAtRandom(Sound):
    """Draws the split anew at each scan: clips move between training and validation."""

    def scan(self, folder: Path) -> list[Clip]:
        clips = super().scan(folder)
        random.shuffle(clips)
        return [Clip(c.id, c.path, "train" if place % 4 else "validation", c.labels) for place, c in enumerate(clips)]


class AbsolutePaths(Sound):
    """Gives whole paths: a manifest that is of no use on another machine."""

    def clip(self, folder: Path, path: Path, place: int) -> Clip:
        clip = super().clip(folder, path, place)
        return Clip(clip.id, str(path.resolve()), clip.split, clip.labels)


class WipesTheFolder(Sound):
    """Empties the folder before it writes, whatever was there."""

    def mini(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        super().mini(folder)


class DownloadsItsMini(Sound):
    """Fetches a sample for its mini corpus."""

    def tone(self, pitch: int) -> Any:
        try:
            urllib.request.urlopen("http://127.0.0.1:9/sample.wav", timeout=1)
        except OSError:
            pass
        return super().tone(pitch)
