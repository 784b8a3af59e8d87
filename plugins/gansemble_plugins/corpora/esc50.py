"""ESC-50 (Piczak, 2015): 2,000 environmental sounds of 5 s in 50 classes and five folds, and its part ESC-10."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gansemble.audio import files, listing
from gansemble.audio.names import as_text
from gansemble.data import tables
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.data.text_files import brief, check_encoding
from gansemble.errors import DataError
from gansemble.numbers import Classes, Range
from gansemble_plugins.corpora.folds import check_folds, demand_training, gaps, split_of
from gansemble_plugins.corpora.listing import counted
from gansemble_plugins.corpora.textures import texture

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 44100
FOLDS = 5
CLIPS_OF_A_CLASS = 40
TABLE = "meta/esc50.csv"
NAME = re.compile(r"([1-5])-([0-9]+)-([A-Z])-([0-9]+)")
#: The categories of the targets 0 to 49.
CLASSES = (
    *("dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow"),
    *("rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds"),
    *("water_drops", "wind", "pouring_water", "toilet_flush", "thunderstorm"),
    *("crying_baby", "sneezing", "clapping", "breathing", "coughing"),
    *("footsteps", "laughing", "brushing_teeth", "snoring", "drinking_sipping"),
    *("door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening"),
    *("washing_machine", "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking"),
    *("helicopter", "chainsaw", "siren", "car_horn", "engine"),
    *("train", "church_bells", "airplane", "fireworks", "hand_saw"),
)
#: The targets of ESC-10.
ESC10 = (0, 1, 10, 11, 12, 20, 21, 38, 40, 41)


@dataclass(frozen=True)
class Sound:
    """A clip, by its row in the table or by its name.

    Args:
        path: relative to the corpus folder.
        fold: 1 to 5.
        target: 0 to 49.
        name: of the class.
        recording: number of the recording on Freesound that it was cut from.
        esc10: whether it is of ESC-10.
    """

    path: str
    fold: int
    target: int
    name: str
    recording: str
    esc10: bool

    @property
    def id(self) -> str:
        """The file's name, without its suffix."""
        return as_text(Path(self.path).stem)


class ESC50:
    """The layout of the GitHub archive: ``audio/{fold}-{recording}-{take}-{target}.wav`` and ``meta/esc50.csv``.

    A clip's label is the place of its target among those there are, which for all of ESC-50 is the target. Clips cut
    from one recording on Freesound lie in one fold, so folds make splits without leakage. Without the table, folds,
    recordings and classes are read from the files' names, in ``audio/`` or in the folder itself.

    Args:
        test_fold: for the test, 1 to 5.
        validation_fold: for validation, 1 to 5; the other three are for training.
        esc10: ESC-10 only, the 400 clips of ten classes that may be used commercially.
        classes: how many classes there must be; null: 50, or 10 of ESC-10. For a copy of some classes.
        encoding: of the table, such as ``cp1252``; null: UTF-8, or as the byte-order mark says.

    Raises:
        ValueError: if a fold is none of the five, both are one, there cannot be so many classes, or no encoding has that name.
    """

    licence = "CC BY-NC 3.0; ESC-10: CC BY 3.0. The clips' authors are named in its LICENSE"
    url = "https://github.com/karolpiczak/ESC-50"

    def __init__(
        self,
        *,
        test_fold: Annotated[int, Range(at_least=1, at_most=5)] = 1,
        validation_fold: Annotated[int, Range(at_least=1, at_most=5)] = 2,
        esc10: bool = False,
        classes: Classes | None = None,
        encoding: str | None = None,
    ) -> None:
        check_folds(test_fold, validation_fold, FOLDS)
        check_encoding(encoding)
        self.encoding = encoding
        self.classes = _stated(esc10, classes)
        self.test_fold, self.validation_fold, self.esc10 = test_fold, validation_fold, esc10

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """50 classes, or those of ESC-10, at 44.1 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(
            sample_rates=frozenset({RATE}),
            gives=frozenset({"labels"}),
            classes=_stated(parameters["esc10"], parameters["classes"]),
            because={"classes": "esc10" if parameters["classes"] is None else "classes"},
        )

    def fetch(self, folder: Path) -> None:
        """Checks that the layout is there; GitHub packs its archive anew, so it has no published checksum.

        Raises:
            DataError: if it is not, saying how to get it.
        """
        if not (folder / TABLE).is_file() and not _named(folder):
            raise DataError(
                f"{folder}: expected {_LAYOUT}; GitHub's archive of it (600 MB) has no published checksum, so get it "
                f"yourself: git clone --depth 1 {self.url} DIR, or unpack {self.url}/archive/refs/heads/master.zip; "
                f"then name it with --data DIR ({self.licence})"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by name.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, the table and the files do not go together, there
                are other classes than stated, or one has no clip for training.
        """
        sounds = [sound for sound in _read(folder, self.encoding) if sound.esc10 or not self.esc10]
        names: dict[int, str] = {}
        for sound in sounds:
            if names.setdefault(sound.target, sound.name) != sound.name:
                raise DataError(
                    f"{folder / TABLE}: target {sound.target} is {names[sound.target]!r} and {sound.name!r} "
                    f"({sound.id}); a class has one name"
                )
        self._demand_classes(folder, names)
        index = {target: place for place, target in enumerate(sorted(names))}
        clips = [
            Clip(
                sound.id,
                sound.path,
                split_of(sound.fold, self.test_fold, self.validation_fold),
                {
                    "label": index[sound.target],
                    "class": sound.name,
                    "fold": sound.fold,
                    "recording": sound.recording,
                },
            )
            for sound in sorted(sounds, key=lambda sound: sound.id)
        ]
        demand_training(folder, clips)
        return clips

    def _demand_classes(self, folder: Path, names: dict[int, str]) -> None:
        if len(names) == self.classes:
            return
        shown = ", ".join(names[target] for target in sorted(names)[:10]) + (", …" if len(names) > 10 else "")
        of = " of ESC-10" if self.esc10 else ""
        whole = not self.esc10 and set(names) == set(ESC10)
        way = "set corpus.esc10: true, as these are ESC-10's" if whole else f"set corpus.classes: {len(names)}"
        raise DataError(
            f"{folder}: expected {self.classes} classes{of}, found {len(names)}: {shown or 'none'}; {way}, or name another "
            "folder with --data"
        )

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips there are, how they are split, and which classes a split lacks."""
        clips = self.scan(folder)
        all_clips = CLIPS_OF_A_CLASS * (len(ESC10) if self.esc10 else len(CLASSES))
        part = "" if len(clips) == all_clips else f" in part ({len(clips):,} of {all_clips:,} clips there)"
        how = "" if (folder / TABLE).is_file() else f"; read from the files' names, as there is no {TABLE}"
        return (
            f"{'ESC-10' if self.esc10 else 'ESC-50'}{part}, {self.classes} classes, {counted(clips)} clips: fold "
            f"{self.validation_fold} for validation, fold {self.test_fold} for the test{how}{gaps(clips)}."
        )

    def mini(self, folder: Path) -> None:
        """Synthetic clips of 1 s, shorter than ESC-50's 5 s: five of each class, one in each fold, or eight for ten
        classes and fewer. A second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        of = "10" if self.esc10 else "50"
        build(folder, f"esc50 1, {self.classes} classes of {of}", self._write_mini)

    def _write_mini(self, folder: Path) -> None:
        (folder / "audio").mkdir()
        (folder / "meta").mkdir()
        lines = ["filename,fold,target,category,esc10,src_file,take"]
        targets = (ESC10 if self.esc10 else range(len(CLASSES)))[: self.classes]
        for place, target in enumerate(targets):
            for fold in range(1, FOLDS + 1):
                recording = 900_000 + 100 * target + fold
                # Two cuts of one recording, as ESC-50 has them, share its sound and differ in what is drawn.
                for take in "AB" if fold > 2 and len(targets) <= 10 else "A":
                    name = f"{fold}-{recording}-{take}-{target}.wav"
                    seed = (target, fold, ord(take))
                    sound = texture(place, RATE, RATE, seed, pace=1 + 0.1 * fold)
                    files.write(folder / "audio" / name, sound, RATE)
                    lines.append(f"{name},{fold},{target},{CLASSES[target]},{target in ESC10},{recording},{take}")
        (folder / TABLE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


_LAYOUT = "ESC-50's layout (audio/1-100032-A-0.wav and so on, and meta/esc50.csv)"


def _stated(esc10: bool, classes: int | None) -> int:
    most = len(ESC10) if esc10 else len(CLASSES)
    if classes is not None and not 1 <= classes <= most:
        raise ValueError(f"classes must be from 1 to {most}{' of ESC-10' if esc10 else ''}, got {classes}")
    return most if classes is None else classes


def _named(folder: Path) -> list[Path]:
    """The files with ESC-50's names in ``audio/``, or in the folder itself where there is no ``audio/``."""
    place = folder / "audio" if (folder / "audio").is_dir() else folder
    return [place / path for name, path in listing.inside(place).items() if NAME.fullmatch(name)]


def _read(folder: Path, encoding: str | None) -> list[Sound]:
    table = folder / TABLE
    if table.exists() or table.is_symlink():  # a link to nothing, too, is an error rather than no table
        return _from_table(folder, encoding)
    named = _named(folder)
    if not named:
        found = "no such folder" if not folder.is_dir() else f"found neither {TABLE} nor files with its names"
        below = [each.parent.parent for each in folder.glob(f"*/{TABLE}")]
        advice = "run stage fetch, which says where it comes from, or name another folder with --data"
        if below:
            advice = f"did you mean {below[0].name}/ inside it (--data {below[0]})?"
        raise DataError(f"{folder}: expected {_LAYOUT}, {found}; {advice}")
    place = named[0].parent
    other = [place / path for name, path in listing.inside(place).items() if not NAME.fullmatch(name)]
    if other:
        raise DataError(
            f"{other[0]}: expected a name as {{fold}}-{{recording}}-{{take}}-{{target}}.wav, such as 1-100032-A-0.wav, as "
            f"there is no {TABLE} that would tell its class; move it away (and {len(other) - 1} others)"
        )
    return [_from_name(folder, path) for path in named]


def _from_name(folder: Path, path: Path) -> Sound:
    found = NAME.fullmatch(path.stem)
    assert found is not None
    target = int(found[4])
    if target >= len(CLASSES):
        raise DataError(f"{path}: its name says target {target}, but ESC-50's are 0 to {len(CLASSES) - 1}")
    place = path.relative_to(folder).as_posix()
    return Sound(place, int(found[1]), target, CLASSES[target], found[2], target in ESC10)


def _from_table(folder: Path, encoding: str | None) -> list[Sound]:
    table = folder / TABLE
    sounds: list[Sound] = []
    rows: dict[str, tables.TableRow] = {}
    for row in tables.read(table, ("filename", "fold", "target", "category"), encoding=encoding):
        name = row.file_name("filename")
        target = row.whole("target", 0, len(CLASSES) - 1)
        tables.demand_once(rows, as_text(Path(name).stem), row)
        rows[as_text(Path(name).stem)] = row
        fold = row.whole("fold", 1, FOLDS)
        _demand_as_named(row, name, fold, target)
        sounds.append(
            Sound(
                f"audio/{name}",
                fold,
                target,
                row.text("category"),
                _recording(row, name),
                _is_esc10(row, target),
            )
        )
    if not sounds:
        raise DataError(f"{table}: lists no clip; get the table again")
    listed = {sound.path: rows[sound.id].place for sound in sounds}
    tables.demand_same_files(folder, "audio", listed, table)
    return sounds


def _demand_as_named(row: tables.TableRow, name: str, fold: int, target: int) -> None:
    """Refuses a row that says another fold or target than the file's name, where the name has ESC-50's form."""
    found = NAME.fullmatch(Path(name).stem)
    for what, told, named in (("fold", fold, found[1]), ("target", target, found[4])) if found else ():
        if told != int(named):
            raise DataError(
                f"{row.place}: {what} {told}, but the name {name} says {named}; one of them is wrong, so get the table again, or "
                "rename the file"
            )


def _recording(row: tables.TableRow, name: str) -> str:
    """The recording on Freesound, from the column ``src_file`` or else from the name."""
    if row.values.get("src_file", "").strip():
        return row.text("src_file")
    found = NAME.fullmatch(Path(name).stem)
    if not found:
        raise DataError(
            f"{row.place}: neither a column src_file nor the name {name} tells the recording it is cut from"
        )
    return found[2]


def _is_esc10(row: tables.TableRow, target: int) -> bool:
    """By the column ``esc10``, or by the target where there is none."""
    if "esc10" not in row.values:
        return target in ESC10
    said = row.text("esc10").lower()
    if said not in ("true", "false"):
        raise DataError(f"{row.place}: expected True or False as esc10, got {brief(said)}")
    return said == "true"
