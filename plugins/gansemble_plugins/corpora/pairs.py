"""Pairs of recordings: each file of one folder has a degraded one of the same name in another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from gansemble.audio import files, listing
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.errors import DataError
from gansemble.numbers import BelowOne, CountOrZero, SampleRate
from gansemble_plugins.corpora.listing import audio_below, check_shares, counted, ids_of, split_by_hash
from gansemble_plugins.corpora.recordings import recordings_by_folder, split_by_recording
from gansemble_plugins.corpora.synthetic import melody

if TYPE_CHECKING:
    import numpy as np

    from gansemble.contract import CorpusContract

SHOWN = 10  # files that a message names
MINI_PITCHES = (48, 52, 55, 60, 64, 67, 72, 76)
MINI_PAIRS, MINI_STEP, MINI_STEPS = 8, 0.25, 4  # pairs; [s]; notes of each
MINI_CUTOFF = 4000.0  # [Hz]


class Pairs:
    """``high/{name}.wav`` and ``low/{name}.wav``: files and the degraded recordings of the same, for restoring.

    A file and its partner have the same path below their folders; their suffixes may differ. Both must begin at the
    same moment and be of one length. A clip's id is its path with ``/`` turned into ``__``, without the suffix. Stereo
    files need ``data.channels: mix`` or ``first``, which holds for both of a pair.

    Args:
        clean: the folder of the files to be learnt, below the corpus folder.
        degraded: the folder of their degraded recordings, likewise.
        validation: share of the pairs held out for validation, by a hash of their ids.
        test: share held out for the test.
        minimum_validation: at least so many are held out for validation, as far as one is left for training.
        recording: ``file``: each pair is a recording of its own; ``folder``: the pairs of one sub-folder are cuts of
            one recording and stay in one split. The shares and the least then count recordings, and the clips are
            labelled with it.
        mini_rate: sample rate of the mini corpus [Hz].

    Raises:
        ValueError: if the shares are negative or leave nothing for training, or the folders are not two apart from
            each other below the corpus folder.
    """

    licence = "the files' own"

    def __init__(
        self,
        *,
        clean: str = "high",
        degraded: str = "low",
        validation: BelowOne = 0.05,
        test: BelowOne = 0.0,
        minimum_validation: CountOrZero = 1,
        recording: Literal["file", "folder"] = "file",
        mini_rate: SampleRate = 44100,
    ) -> None:
        check_shares(validation, test)
        if minimum_validation < 0:
            raise ValueError(f"minimum_validation must be at least 0, got {minimum_validation}")
        _check_folders(clean, degraded)
        self.clean = clean
        self.degraded = degraded
        self.validation = validation
        self.test = test
        self.minimum_validation = minimum_validation
        self.recording = recording
        self.mini_rate = mini_rate

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Gives the degraded recording of each clip."""
        from gansemble.contract import CorpusContract

        return CorpusContract(gives=frozenset({"degraded"}))

    def fetch(self, folder: Path) -> None:
        """Nothing to download: checks that both folders are there.

        Raises:
            DataError: if they are not.
        """
        lacking = [name for name in (self.clean, self.degraded) if not (folder / name).is_dir()]
        if lacking:
            found = (
                f"found no {' and no '.join(f'{name}/' for name in lacking)}" if folder.is_dir() else "no such folder"
            )
            raise DataError(
                f"{folder}: expected {self.clean}/ and, with the same names, {self.degraded}/ (corpus.clean, "
                f"corpus.degraded), {found}; put your files there, or name another folder with --data"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """A clip for each pair, sorted by path; the degraded recording is its partner.

        Raises:
            DataError: if a folder is missing or holds no audio, a file has no partner or two, two pairs would have
                the same id, or a file lies in no sub-folder where these are the recordings.
        """
        self.fetch(folder)
        clean, degraded = (self._by_name(folder / name) for name in (self.clean, self.degraded))
        self._check_partners(folder, clean, degraded)
        paths = list(clean.values())
        ids = ids_of(folder / self.clean, paths)
        splits, labels = self._splits(folder, paths, ids)
        return [
            Clip(id_, f"{self.clean}/{path.as_posix()}", split, label, f"{self.degraded}/{degraded[name].as_posix()}")
            for name, path, id_, split, label in zip(clean, paths, ids, splits, labels, strict=True)
        ]

    def _by_name(self, folder: Path) -> dict[str, Path]:
        """The audio files below ``folder`` by their path without the suffix, sorted."""
        audio_below(folder, listing.SUFFIXES)  # refuses a folder without any
        return listing.by_name(folder)

    def _check_partners(self, folder: Path, clean: dict[str, Path], degraded: dict[str, Path]) -> None:
        """Refuses files that are in one of the folders only."""
        said = []
        for here, there, lies, lacks in (
            (clean, degraded, self.clean, self.degraded),
            (degraded, clean, self.degraded, self.clean),
        ):
            alone = [f"{lies}/{path.as_posix()}" for name, path in here.items() if name not in there]
            if alone:
                more = f" and {len(alone) - SHOWN} more" if len(alone) > SHOWN else ""
                said.append(f"{len(alone)} without a partner in {lacks}/: {', '.join(alone[:SHOWN])}{more}")
        if said:
            raise DataError(
                f"{folder}: each file needs one of the same name in the other folder, but there are "
                f"{'; '.join(said)}; add the partners, or take these files out"
            )

    def _splits(
        self, folder: Path, paths: Sequence[Path], ids: Sequence[str]
    ) -> tuple[list[str], list[dict[str, str]]]:
        if self.recording == "file":
            by_id = split_by_hash(ids, self.validation, self.test, self.minimum_validation)
            return [by_id[id_] for id_ in ids], [{} for _ in ids]
        recordings = recordings_by_folder(folder / self.clean, paths)
        splits = split_by_recording(recordings, self.validation, self.test, self.minimum_validation)
        return splits, [{"recording": recording} for recording in recordings]

    def describe(self, folder: Path) -> str:
        """One sentence: how many pairs there are and how they are split."""
        clips = self.scan(folder)
        recordings = {clip.labels["recording"] for clip in clips if clip.labels}
        names = f"the names of their {len(recordings)} recordings" if recordings else "their names"
        pairs = f"{len(clips)} pairs of files ({self.clean}/ and {self.degraded}/)"
        return f"{pairs}, split by a hash of {names}: {counted(clips)}."

    def mini(self, folder: Path) -> None:
        """Eight phrases of one second, and each without what lies above 4 kHz; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(
            folder,
            f"pairs 1 at {self.mini_rate} Hz, {self.clean} and {self.degraded}, by {self.recording}",
            self._write_mini,
        )

    def _write_mini(self, folder: Path) -> None:
        bank = notes(MINI_PITCHES, sample_rate=self.mini_rate, seconds=MINI_STEP)
        for number in range(MINI_PAIRS):
            phrase = melody(bank, MINI_STEPS, (number,))
            name = f"phrase-{number + 1:02d}.wav"
            if self.recording == "folder":
                name = f"recording-{number // 2 + 1:02d}/{name}"
            for side, audio in ((self.clean, phrase), (self.degraded, _low_passed(phrase, self.mini_rate))):
                (folder / side / name).parent.mkdir(parents=True, exist_ok=True)
                files.write(folder / side / name, audio, self.mini_rate)


def _check_folders(clean: str, degraded: str) -> None:
    """Refuses folders outside the corpus folder, and one within the other."""
    for key, name in (("clean", clean), ("degraded", degraded)):
        path = PurePosixPath(name)
        if not path.parts or path.is_absolute() or ".." in path.parts or path.as_posix() != name or "\\" in name:
            raise ValueError(f"{key} must be the name of a folder below the corpus folder, such as high, got {name!r}")
    one, other = PurePosixPath(clean), PurePosixPath(degraded)
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise ValueError(
            f"clean and degraded must be two folders, none within the other, got {clean!r} and {degraded!r}"
        )


def _low_passed(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """[T] -> [T] without what lies above 4 kHz, or a quarter of a low rate: Chebyshev I, forwards and backwards."""
    from scipy import signal

    cutoff = min(MINI_CUTOFF, sample_rate / 4)
    return signal.sosfiltfilt(signal.cheby1(8, 0.05, cutoff, fs=sample_rate, output="sos"), audio).astype(audio.dtype)
