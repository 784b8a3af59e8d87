"""UrbanSound8K (Salamon, Jacoby and Bello, 2014): 8,732 city sounds of up to 4 s in ten classes and ten folds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from gansemble.audio import files
from gansemble.audio.names import as_text
from gansemble.data import tables
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.data.text_files import brief, check_encoding
from gansemble.errors import DataError
from gansemble.numbers import Range
from gansemble_plugins.corpora.folds import check_folds, demand_training, gaps, split_of
from gansemble_plugins.corpora.listing import counted
from gansemble_plugins.corpora.textures import texture

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

FOLDS = 10
ALL = 8_732
TABLE = "metadata/UrbanSound8K.csv"
COLUMNS = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
#: By classID.
CLASSES = (
    *("air_conditioner", "car_horn", "children_playing", "dog_bark", "drilling"),
    *("engine_idling", "gun_shot", "jackhammer", "siren", "street_music"),
)
#: Rate [Hz], channels and format of the mini clips in turn: as published, they are what was uploaded.
MINI_FORMATS: tuple[tuple[int, int, files.SampleFormat], ...] = (
    (44100, 2, "pcm16"),
    (48000, 1, "pcm24"),
    (22050, 1, "pcm16"),
    (44100, 1, "pcm16"),
)


class UrbanSound8K:
    """``audio/fold{1 to 10}/*.wav`` and ``metadata/UrbanSound8K.csv``, labelled with the classID.

    Sample rate, bit depth and channels are those of the files that were uploaded, so a recipe must say what becomes of
    them: ``data.rate: resample`` and ``data.channels: mix``. Clips are up to 4 s long; some are much shorter than a
    segment (``data.short``). All clips of one recording on Freesound lie in one fold.

    Args:
        test_fold: for the test, 1 to 10.
        validation_fold: for validation, 1 to 10; the other eight are for training.
        encoding: of the table, such as ``cp1252``; null: UTF-8, or as the byte-order mark says.

    Raises:
        ValueError: if a fold is none of the ten, both are one, or no encoding has that name.
    """

    licence = "CC BY-NC 3.0, by the data set's own statement"
    url = "https://urbansounddataset.weebly.com/urbansound8k.html"

    def __init__(
        self,
        *,
        test_fold: Annotated[int, Range(at_least=1, at_most=10)] = 10,
        validation_fold: Annotated[int, Range(at_least=1, at_most=10)] = 9,
        encoding: str | None = None,
    ) -> None:
        check_folds(test_fold, validation_fold, FOLDS)
        check_encoding(encoding)
        self.encoding = encoding
        self.test_fold, self.validation_fold = test_fold, validation_fold

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Ten classes, at rates that differ from file to file."""
        from gansemble.contract import CorpusContract

        return CorpusContract(gives=frozenset({"labels"}), classes=len(CLASSES))

    def fetch(self, folder: Path) -> None:
        """Checks that the layout is there; its archive has no published sha256.

        Raises:
            DataError: if it is not, saying how to get it.
        """
        if not (folder / TABLE).is_file():
            raise DataError(
                f"{folder}: expected {_LAYOUT}; its archive (6 GB) has no published sha256, so get it yourself from "
                f"{self.url} (the form there is for research use), unpack it, and name the folder UrbanSound8K with --data "
                f"({self.licence})"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips, sorted by name.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, the table and the files do not go together, or a
                class has no clip for training.
        """
        table = folder / TABLE
        if not table.is_file():
            found = "no such folder" if not folder.is_dir() else f"found no {TABLE}"
            below = [each.parent.parent for each in folder.glob(f"*/{TABLE}")]
            advice = "run stage fetch, which says where it comes from, or name another folder with --data"
            if below:
                advice = f"did you mean {below[0].name}/ inside it (--data {below[0]})?"
            raise DataError(f"{folder}: expected {_LAYOUT}, {found}; {advice}")
        rows: dict[str, tables.TableRow] = {}
        clips = []
        for row in tables.read(table, ("slice_file_name", "fsID", "fold", "classID", "class"), encoding=self.encoding):
            clip = self._clip(row)
            tables.demand_once(rows, clip.id, row)
            rows[clip.id] = row
            clips.append(clip)
        if not clips:
            raise DataError(f"{table}: lists no clip; get the table again")
        tables.demand_same_files(folder, "audio", {c.path: rows[c.id].place for c in clips}, table)
        demand_training(folder, clips)
        return sorted(clips, key=lambda clip: clip.id)

    def _clip(self, row: tables.TableRow) -> Clip:
        name, fold = row.file_name("slice_file_name"), row.whole("fold", 1, FOLDS)
        label = row.whole("classID", 0, len(CLASSES) - 1)
        said = row.text("class")
        if said != CLASSES[label]:
            raise DataError(
                f"{row.place}: classID {label} is {CLASSES[label]}, but class says {brief(said)}; mend the line"
            )
        labels: dict[str, int | str] = {"label": label, "class": said, "fold": fold, "recording": row.text("fsID")}
        if row.values.get("salience", "").strip():
            labels["salience"] = row.whole("salience", 1, 2)
        split = split_of(fold, self.test_fold, self.validation_fold)
        return Clip(as_text(Path(name).stem), f"audio/fold{fold}/{name}", split, labels)

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips there are, how they are split, and which classes a split lacks."""
        clips = self.scan(folder)
        part = "" if len(clips) == ALL else f" in part ({len(clips):,} of {ALL:,} clips there)"
        return (
            f"UrbanSound8K{part}, {counted(clips)} clips: fold {self.validation_fold} for validation, fold "
            f"{self.test_fold} for the test{gaps(clips)}."
        )

    def mini(self, folder: Path) -> None:
        """Synthetic clips of 0.6 to 1 s, one of each class in each fold, at several rates, in mono and stereo; a second
        call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, "urbansound8k 1", _write_mini)


_LAYOUT = "UrbanSound8K's layout (audio/fold1/*.wav to audio/fold10/*.wav, and metadata/UrbanSound8K.csv)"


def _write_mini(folder: Path) -> None:
    (folder / "metadata").mkdir()
    lines = [",".join(COLUMNS)]
    for fold in range(1, FOLDS + 1):
        place = folder / "audio" / f"fold{fold}"
        place.mkdir(parents=True)
        for label, category in enumerate(CLASSES):
            number = len(lines) - 1
            rate, channels, sample_format = MINI_FORMATS[number % len(MINI_FORMATS)]
            seconds = 0.6 + 0.1 * (number % 5)
            sound = texture(label, round(seconds * rate), rate, (label, fold), pace=0.8 + 0.1 * fold)
            recording = 800_000 + number
            name = f"{recording}-{label}-0-0.wav"
            sides = np.stack([sound, 0.8 * sound])[:channels]
            files.write(place / name, sides, rate, sample_format)
            salience = 1 + number % 2
            lines.append(f"{name},{recording},0.0,{seconds:.1f},{salience},{fold},{label},{category}")
    (folder / TABLE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
