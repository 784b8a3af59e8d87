"""MUSDB18-HQ (Rafii et al., 2019): 150 tracks of music with their stems, 44.1 kHz stereo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gansemble.audio import files, listing
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

RATE = 44100
WAV = frozenset({".wav"})
STEMS = ("mixture", "vocals", "drums", "bass", "other")
PARTS = ("train", "test")
TRACKS = {"train": 100, "test": 50}
#: The tracks of train/ that the musdb package holds out (its configs/mus.yaml, key validation_tracks).
VALIDATION_TRACKS = frozenset(
    {
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)
MINI_TRACKS = {"train": 4, "test": 2}
MINI_STEP, MINI_STEPS = 0.25, 6  # [s], and how many make a track


class MUSDB18:
    """One file of each track of MUSDB18-HQ's layout, ``train/{track}/{stem}.wav`` and ``test/{track}/{stem}.wav``.

    The tracks of ``test/`` are the test set; of ``train/``, the 14 that the musdb package names are for validation.
    A clip's id and its label ``recording`` are the track's name. The files are stereo: a recipe must say what becomes
    of the channels (``data.channels: mix`` or ``first``).

    Args:
        stem: which file of each track.
        validation: share of the tracks of ``train/`` that a hash of their names holds out, where none of the 14 is
            there, as in a partial copy; one at least.

    Raises:
        ValueError: if ``validation`` is negative or leaves nothing for training.
    """

    licence = (
        "educational purposes only, not commercial without the copyright holders' permission (Zenodo); part of the "
        "tracks CC BY-NC-SA"
    )
    url = "https://zenodo.org/records/3338373/files/musdb18hq.zip"
    sha256 = "baac80d0483c61d74b2e5f3be75fa557eec52898339e6aa45c1fa48833c5d21d"
    archive_bytes = 22_656_664_047

    def __init__(
        self, *, stem: Literal["mixture", "vocals", "drums", "bass", "other"] = "mixture", validation: BelowOne = 0.1
    ) -> None:
        check_shares(validation, 0.0)
        self.stem = stem
        self.validation = validation

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Published at 44.1 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}))

    def fetch(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Downloads the archive (22.7 GB) beside ``folder`` and unpacks it, unless tracks are there already.

        Raises:
            DataError: if ``folder`` holds something else, or the download or the archive is not as published.
        """
        if any(_tracks(folder)):
            return
        # The archive has no top folder.
        fetch_archive(
            self.url,
            folder,
            layout=_LAYOUT,
            sha256=self.sha256,
            size=self.archive_bytes,
            max_bytes=48 << 30,
            max_files=4000,
            progress=progress,
        )

    def scan(self, folder: Path) -> list[Clip]:
        """A clip for each track, sorted by name; those of ``train/`` first.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, a track lacks the stem, or a track is in both
                parts.
        """
        tracks = list(_tracks(folder))
        if not tracks:
            found = "no such folder" if not folder.is_dir() else "found no track"
            raise DataError(f"{folder}: expected {_LAYOUT}, {found}; {_advice(folder)}")
        stems = {
            (part, name): listing.inside(folder / part / name, WAV).get(self.stem, Path()).name for part, name in tracks
        }
        lacking = [f"{part}/{name}" for (part, name), file in stems.items() if not file]
        if lacking:
            raise DataError(
                f"{folder}: {len(lacking)} of {len(tracks)} tracks lack {self.stem}.wav, the first {lacking[0]}; unpack "
                "the archive again, set corpus.stem to a file they have, or take their folders out"
            )
        train, test = ([as_text(name) for part, name in tracks if part == each] for each in PARTS)
        both = sorted(set(train) & set(test))
        if both:
            raise DataError(f"{folder}: {both[0]} is in train/ and in test/; take one of them out")
        splits = self._splits(train) | dict.fromkeys(test, "test")
        named = [(as_text(name), f"{part}/{name}/{file}") for (part, name), file in stems.items()]
        return [Clip(id_, path, splits[id_], {"recording": id_}) for id_, path in named]

    def _splits(self, train: list[str]) -> dict[str, str]:
        if VALIDATION_TRACKS.isdisjoint(train):
            return split_by_hash(train, self.validation)
        return {name: "validation" if name in VALIDATION_TRACKS else "train" for name in train}

    def describe(self, folder: Path) -> str:
        """One sentence: how many tracks there are and how they are split."""
        clips = self.scan(folder)
        test = sum(clip.split == "test" for clip in clips)
        there = {"train": len(clips) - test, "test": test}
        held_out = VALIDATION_TRACKS & {clip.id for clip in clips if clip.split == "validation"}
        part = "" if there == TRACKS else f" in part ({len(clips)} of {sum(TRACKS.values())} tracks there)"
        how = f"{len(held_out)} of the musdb package's {len(VALIDATION_TRACKS)} validation tracks"
        if not held_out:
            how = "split by a hash of their names, not as the musdb package splits them"
        elif len(held_out) == len(VALIDATION_TRACKS):
            how = f"the musdb package's {len(VALIDATION_TRACKS)} validation tracks"
        return f"MUSDB18-HQ{part}, {self.stem}, {counted(clips)} tracks: {how}."

    def mini(self, folder: Path) -> None:
        """Six synthetic tracks of 1.5 s, 44.1 kHz stereo, with all stems; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, "musdb18 1", _write_mini)


_LAYOUT = "MUSDB18-HQ's layout (train/{track}/mixture.wav and test/{track}/mixture.wav)"


def _tracks(folder: Path) -> Iterator[tuple[str, str]]:
    """(part, name of its folder) of each track, whose folder holds a file named as a stem, sorted; hidden ones are passed over."""
    for part in PARTS:
        for place in sorted((folder / part).glob("*/")):
            if not place.name.startswith(".") and not listing.inside(place, WAV).keys().isdisjoint(STEMS):
                yield part, place.name


def _advice(folder: Path) -> str:
    """What to do where no track is found."""
    if any(list((folder / part).glob("*.stem.mp4")) for part in PARTS):
        return "its *.stem.mp4 files are MUSDB18, not MUSDB18-HQ: run stage fetch into a new folder"
    if folder.is_dir():
        below = [each for each in sorted(folder.iterdir()) if each.is_dir() and any(_tracks(each))]
        if below:
            return f"did you mean {below[0].name}/ inside it (--data {below[0]})?"
    return "run stage fetch into a new folder, or name another with --data"


def _write_mini(folder: Path) -> None:
    banks = {
        "vocals": notes((60, 62, 64, 67), sample_rate=RATE, seconds=MINI_STEP, seed=1),
        "bass": notes((36, 40, 43), sample_rate=RATE, seconds=MINI_STEP, seed=2),
        "other": notes((55, 59, 62, 66), sample_rate=RATE, seconds=MINI_STEP, seed=3),
    }
    number = 0
    for part, tracks in MINI_TRACKS.items():
        for _ in range(tracks):
            number += 1
            place = folder / part / f"Mini - Song {number}"
            place.mkdir(parents=True)
            played = {name: melody(banks[name], MINI_STEPS, (number, voice)) for voice, name in enumerate(banks)}
            played["drums"] = beat(len(played["bass"]), RATE, MINI_STEPS, (number,))
            stems = {name: _panned(played[name], (number, voice)) for voice, name in enumerate(played)}
            stems["mixture"] = np.sum(list(stems.values()), axis=0)
            for name, audio in stems.items():
                files.write(place / f"{name}.wav", audio, RATE)


def _panned(audio: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    """[T] -> float32 [2, T]: somewhere between left and right, over faint noise that differs from side to side."""
    draws = np.random.default_rng(seed)
    left = draws.uniform(0.3, 0.7)
    sides = 0.6 * np.array([[left], [1 - left]]) * audio
    return (sides + 2e-4 * draws.standard_normal(sides.shape)).astype(np.float32)
