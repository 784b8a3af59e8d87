"""Any folder of audio files, split by a hash of their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gansemble.audio import files, listing
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.errors import DataError
from gansemble.numbers import BelowOne, Classes, CountOrZero, SampleRate
from gansemble_plugins.corpora.classes import check_classes, classes_by_folder, labelled
from gansemble_plugins.corpora.listing import audio_below, check_shares, counted, ids_of, split_by_hash
from gansemble_plugins.corpora.recordings import recordings_by_folder, split_by_recording

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

MINI_PITCHES = (48, 52, 55, 60, 64, 67, 72, 76)


class Folder:
    """Every audio file below a folder; its id is its path with ``/`` turned into ``__``, without the suffix.

    A file's split depends on its id alone, so that adding files moves no other file to another split (but
    for the few that ``minimum_validation`` asks for). Stereo files need ``data.channels: mix`` or ``first``.

    Args:
        validation: share of the files held out for validation.
        test: share held out for the test.
        minimum_validation: at least so many are held out for validation, as far as one is left for training.
        extensions: suffixes that count as audio, of those soundfile reads; empty: all of them.
        labels: ``folders``: each file is labelled with the sub-folder it lies in, numbered from 0 in the sorted
            order of their names; ``none``: no labels.
        classes: how many sub-folders there must be; null: any number, and networks are not held against it
            before training. Only with ``labels: folders``.
        recording: ``file``: each file is a recording of its own; ``folder``: the files of one sub-folder are cuts of
            one recording and stay in one split, by a hash of its name. The shares and the least then count
            recordings, and the clips are labelled with it. With ``labels: folders`` the recordings lie below the
            classes.
        mini_rate: sample rate of the mini corpus [Hz].

    Raises:
        ValueError: if the shares are negative or leave nothing for training, a suffix is not one of an
            audio file, or classes are stated without labels.
    """

    licence = "the files' own"

    def __init__(
        self,
        *,
        validation: BelowOne = 0.05,
        test: BelowOne = 0.0,
        minimum_validation: CountOrZero = 1,
        extensions: Sequence[str] = (),
        labels: Literal["none", "folders"] = "none",
        classes: Classes | None = None,
        recording: Literal["file", "folder"] = "file",
        mini_rate: SampleRate = 22050,
    ) -> None:
        check_shares(validation, test)
        if minimum_validation < 0:
            raise ValueError(f"minimum_validation must be at least 0, got {minimum_validation}")
        self.suffixes = {"." + each.lower().lstrip(".") for each in extensions} or set(listing.SUFFIXES)
        if not self.suffixes <= listing.SUFFIXES:
            raise ValueError(f"extensions must be among {sorted(listing.SUFFIXES)}, got {list(extensions)}")
        check_classes(labels, classes)
        self.validation = validation
        self.test = test
        self.minimum_validation = minimum_validation
        self.labels = labels
        self.classes = classes
        self.recording = recording
        self.mini_rate = mini_rate

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Gives labels where the sub-folders are classes."""
        return labelled(parameters)

    def fetch(self, folder: Path) -> None:
        """Nothing to download: checks that the folder is there.

        Raises:
            DataError: if it is not.
        """
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; expected one with audio files of yours: name it with --data")

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by path.

        Raises:
            DataError: if the folder is missing or holds no audio, if two files would have the same id, or if the
                sub-folders are not the classes stated or no recordings.
        """
        paths = audio_below(folder, self.suffixes)
        ids = ids_of(folder, paths)
        labels = classes_by_folder(folder, paths, self.classes) if self.labels == "folders" else [{} for _ in paths]
        if self.recording == "folder":
            recordings = recordings_by_folder(folder, paths, classes=self.labels == "folders")
            splits = split_by_recording(recordings, self.validation, self.test, self.minimum_validation)
            labels = [label | {"recording": each} for label, each in zip(labels, recordings, strict=True)]
        else:
            by_id = split_by_hash(ids, self.validation, self.test, self.minimum_validation)
            splits = [by_id[id_] for id_ in ids]
        return [
            Clip(id_, path.as_posix(), split, label)
            for id_, path, split, label in zip(ids, paths, splits, labels, strict=True)
        ]

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips there are and how they are split and labelled."""
        clips = self.scan(folder)
        known = sorted({str(clip.labels["class"]) for clip in clips if "class" in clip.labels})
        named = f"; {len(known)} classes, {known[0]} to {known[-1]}" if known else ""
        recordings = {clip.labels["recording"] for clip in clips if "recording" in clip.labels}
        names = f"the names of their {len(recordings)} recordings" if recordings else "their names"
        return f"A folder of {len(clips)} audio files, split by a hash of {names}: {counted(clips)}{named}."

    def mini(self, folder: Path) -> None:
        """Eight notes of one second, with labels two or more for each class, with recordings in several; a second call
        does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        classes = f", {self._mini_classes} classes" if self._mini_classes else ""
        recordings = ", recordings" if self.recording == "folder" else ""
        build(folder, f"notes 1 at {self.mini_rate} Hz{classes}{recordings}", self._write_mini)

    @property
    def _mini_classes(self) -> int:
        return (self.classes or 2) if self.labels == "folders" else 0

    def _write_mini(self, folder: Path) -> None:
        classes = self._mini_classes
        pitches = [MINI_PITCHES[i % len(MINI_PITCHES)] for i in range(max(len(MINI_PITCHES), 2 * classes))]
        for index, note in enumerate(notes(pitches, sample_rate=self.mini_rate)):
            place = folder / f"class-{index % classes:03d}" if classes else folder
            if self.recording == "folder":
                place /= f"recording-{index // max(2, classes):03d}"
            place.mkdir(parents=True, exist_ok=True)
            name = f"note-{index:03d}.wav" if classes else f"note-{pitches[index]:03d}.wav"
            files.write(place / name, note, self.mini_rate)
