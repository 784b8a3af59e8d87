"""Any folder of class folders, split within each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import soundfile

from gansemble.audio import listing
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.errors import DataError
from gansemble.numbers import BelowOne, Classes, SampleRate
from gansemble_plugins.corpora.classes import check_classes, classes_by_folder
from gansemble_plugins.corpora.collection import SPLIT_FOLDERS
from gansemble_plugins.corpora.folds import demand_training, gaps
from gansemble_plugins.corpora.listing import audio_below, check_shares, counted, ids_of
from gansemble_plugins.corpora.recordings import recordings_by_folder
from gansemble_plugins.corpora.strata import stratified
from gansemble_plugins.corpora.textures import texture

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

MINI_CLASSES = 3
MINI_CLIPS = 8


class LabelledFolder:
    """Every audio file below a folder, labelled with the sub-folder it lies in, however deep below it.

    Classes are numbered from 0 in the sorted order of their names; a clip's id is its path with ``/`` turned into ``__``.
    A file's split depends on its id alone, but for the few that a class would lack: each class has a file for training,
    of two files one for validation, and of three one for the test. So no class is missing from a split by chance, as may
    be in corpus ``folder``. Stereo files need ``data.channels: mix`` or ``first``.

    Args:
        validation: share of each class held out for validation.
        test: share of each class held out for the test.
        split: ``hash``: within each class, by a hash of the ids. ``folders``: by the folders ``train``, ``valid`` (or
            ``validation``) and ``test`` that the classes lie in; where the last two are missing, their shares are taken
            from ``train`` by hash. ``auto``: by folders where all the uppermost ones have such names, else by hash.
        classes: how many classes there must be; null: any number from two, and networks are not held against it before
            training.
        extensions: suffixes that count as audio, of those soundfile reads; empty: all of them.
        recording: ``folder``: the files of one folder below a class are cuts of one recording and stay in one split; the
            shares then count recordings. ``file``: each file is a recording of its own.
        mini_rate: sample rate of the mini corpus [Hz].

    Raises:
        ValueError: if the shares are negative or leave nothing for training, a suffix is not one of an audio file, or
            there cannot be so many classes.
    """

    licence = "the files' own"

    def __init__(
        self,
        *,
        validation: BelowOne = 0.1,
        test: BelowOne = 0.1,
        split: Literal["auto", "hash", "folders"] = "auto",
        classes: Classes | None = None,
        extensions: Sequence[str] = (),
        recording: Literal["file", "folder"] = "file",
        mini_rate: SampleRate = 22050,
    ) -> None:
        check_shares(validation, test)
        check_classes("folders", classes)
        self.suffixes = {"." + each.lower().lstrip(".") for each in extensions} or set(listing.SUFFIXES)
        if not self.suffixes <= listing.SUFFIXES:
            raise ValueError(f"extensions must be among {sorted(listing.SUFFIXES)}, got {list(extensions)}")
        self.validation, self.test, self.split = validation, test, split
        self.classes, self.recording, self.mini_rate = classes, recording, mini_rate

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Gives labels, of as many classes as are stated."""
        from gansemble.contract import CorpusContract

        return CorpusContract(
            gives=frozenset({"labels"}), classes=parameters["classes"], because={"classes": "classes"}
        )

    def fetch(self, folder: Path) -> None:
        """Nothing to download: checks that the folder is there.

        Raises:
            DataError: if it is not.
        """
        if not folder.is_dir():
            raise DataError(
                f"{folder}: no such folder; expected one of yours with a folder for each class: name it with --data"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by path.

        Raises:
            DataError: if the folder is missing or holds no audio, a file lies in no class, two files would have the same
                id, there are other classes than stated or only one, or one has no clip for training.
        """
        paths = audio_below(folder, self.suffixes)
        given = self._given(folder, paths)
        below = paths if given is None else [Path(*path.parts[1:]) for path in paths]
        labels = classes_by_folder(folder, below, self.classes)
        self._demand_several(folder, labels)
        ids = ids_of(folder, paths)
        units = ids
        if self.recording == "folder":
            units = recordings_by_folder(folder, below, classes=True)
            labels = [label | {"recording": unit} for label, unit in zip(labels, units, strict=True)]
        names = [str(label["class"]) for label in labels]
        splits = self._splits(units, names, ["train"] * len(ids) if given is None else given)
        clips = [
            Clip(id_, path.as_posix(), split, label)
            for id_, path, split, label in zip(ids, paths, splits, labels, strict=True)
        ]
        demand_training(folder, clips)
        return clips

    def _given(self, folder: Path, paths: Sequence[Path]) -> list[str] | None:
        """The split of each path by its uppermost folder; None where these are classes."""
        tops = sorted({path.parts[0] if len(path.parts) > 1 else "" for path in paths})
        other = [top for top in tops if top not in SPLIT_FOLDERS]
        if self.split == "hash" or (self.split == "auto" and other):
            several = [top for top in tops if top in SPLIT_FOLDERS]
            if self.split == "auto" and len(several) > 1:  # one may be a class: the sound of a train
                raise DataError(
                    f"{folder}: {other[0] or 'a file'} (with {len(other) - 1} others) lies beside {' and '.join(several)}; "
                    "move it into one of them, or set corpus.split=hash if all of them are classes"
                )
            return None
        if other or "train" not in tops:
            raise DataError(
                f"{folder}: expected the folders train, valid and test with the classes in them (corpus.split is "
                f"{self.split}), found {', '.join(top or 'files' for top in tops)}; move them, or set corpus.split=hash"
            )
        return [SPLIT_FOLDERS[path.parts[0]] for path in paths]

    def _splits(self, units: Sequence[str], names: Sequence[str], given: Sequence[str]) -> list[str]:
        """The split of each file: as given, but for what is taken from training for a split without any."""
        shares = [
            share if name not in given else 0.0
            for name, share in (("validation", self.validation), ("test", self.test))
        ]
        train = {unit: name for unit, name, split in zip(units, names, given, strict=True) if split == "train"}
        by_hash = stratified(list(train), list(train.values()), *shares)
        return [by_hash[unit] if split == "train" else split for unit, split in zip(units, given, strict=True)]

    def _demand_several(self, folder: Path, labels: Sequence[dict[str, int | str]]) -> None:
        found = {str(label["class"]) for label in labels}
        if len(found) == 1 and self.classes is None:
            raise DataError(
                f"{folder}: all files are of one class, {found.pop()!r}, so a network that is told the class learns "
                "nothing from it; take corpus folder, add another class, or set corpus.classes: 1 if it is meant"
            )

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips and classes there are, how they are split, and which classes a split lacks."""
        clips = self.scan(folder)
        names = sorted({str(clip.labels["class"]) for clip in clips})
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        given = self._given(folder, [Path(clip.path) for clip in clips])
        how = "within each class by a hash" if given is None else "by its own folders"
        if given is not None and (lacking := [s for s in ("validation", "test") if s not in given]):
            how += f", and {' and '.join(lacking)} taken from train by a hash"
        return (
            f"A folder of {len(clips)} audio files in {len(names)} classes ({shown}), split {how}: "
            f"{counted(clips)}{gaps(clips)}."
        )

    def mini(self, folder: Path) -> None:
        """Eight synthetic clips of 1 s for each of as many classes as are stated, or three; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        count = self.classes or MINI_CLASSES
        layout = f"{'folders' if self.split == 'folders' else 'hash'}, recording {self.recording}"
        build(folder, f"labelled_folder 1, {count} classes at {self.mini_rate} Hz, {layout}", self._write_mini)

    def _write_mini(self, folder: Path) -> None:
        tops = ("train",) * (MINI_CLIPS - 2) + ("valid", "test")
        suffix = sorted(self.suffixes & {".wav"} or self.suffixes)[0]
        for kind in range(self.classes or MINI_CLASSES):
            for number in range(MINI_CLIPS):
                place = folder / tops[number] if self.split == "folders" else folder
                place = place / f"class-{kind:03d}"
                if self.recording == "folder":  # two cuts of each, in one split
                    place /= f"recording-{number // 2:03d}" if number < MINI_CLIPS - 2 else f"recording-{number:03d}"
                place.mkdir(parents=True, exist_ok=True)
                sound = texture(kind, self.mini_rate, self.mini_rate, (kind, number))
                soundfile.write(str(place / f"clip-{number:03d}{suffix}"), sound, self.mini_rate)
