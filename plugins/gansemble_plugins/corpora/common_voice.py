"""Mozilla Common Voice: sentences read by volunteers, one language a folder, clips in MP3."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gansemble.audio.names import as_text
from gansemble.data import tables
from gansemble.data.manifest import Clip
from gansemble.data.mini import build
from gansemble.data.text_files import brief, check_encoding, tidy
from gansemble.errors import DataError
from gansemble.numbers import Classes, Count, Seconds
from gansemble_plugins.corpora.classes import check_classes, labelled
from gansemble_plugins.corpora.common_voice_mini import write_mini
from gansemble_plugins.corpora.folds import gaps
from gansemble_plugins.corpora.listing import counted
from gansemble_plugins.corpora.strata import stratified

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

LISTS = {"train.tsv": "train", "dev.tsv": "validation", "test.tsv": "test"}
DURATIONS = "clip_durations.tsv"
#: The columns each kind of label may be in; releases before 2021 have ``accent``.
COLUMNS = {"speaker": ("client_id",), "gender": ("gender",), "age": ("age",), "accent": ("accents", "accent")}
UNSTATED = "unstated"
#: Shares of each speaker's clips that are held out where speakers are the classes.
OF_A_SPEAKER = 0.1


@dataclass(frozen=True)
class Spoken:
    """A clip that a list names.

    Args:
        id: the file's name, without its suffix.
        path: relative to the corpus folder.
        split: of the list.
        speaker: hash of whoever spoke.
        name: of its class; empty where it is not stated.
    """

    id: str
    path: str
    split: str
    speaker: str
    name: str


@dataclass(frozen=True)
class ChosenRecordings:
    """The clips that are kept, and how many were left out: without a label, of rare classes, too long."""

    spoken: list[Spoken]
    unlabelled: int
    rare: int
    long: int


class CommonVoice:
    """One language of a release: ``clips/*.mp3``, ``train.tsv``, ``dev.tsv`` and ``test.tsv``.

    The split is the lists' own, in which no speaker is in two. Other clips than the lists name are passed over. A clip is
    labelled with its ``speaker``. The DDFN paper trains class-conditionally on Common Voice and does not say what the
    class is: it is for ``labels`` to say.

    Args:
        labels: what a clip's class is: what its ``speaker`` stated as ``gender``, ``age`` or ``accent``, or the speaker.
            As the lists share no speaker, with ``speaker`` the clips of all three are split anew within each speaker, a
            tenth for validation and a tenth for the test. ``none``: no classes.
        missing: what becomes of clips whose speaker did not state it: ``drop`` leaves them out, ``class`` makes them a
            class ``unstated``.
        least: classes with fewer clips for training are left out, with their clips.
        classes: how many classes must be left; null: any number, and networks are not held against it before training.
        longest: longest clip that is kept, by ``clip_durations.tsv`` [s]; null: all. Older releases have no such file.
        encoding: of the tables, such as ``cp1252``; null: UTF-8, or as the byte-order mark says.

    Raises:
        ValueError: if classes are stated without labels, a number is not positive, or no encoding has that name.
    """

    licence = "CC0 1.0; downloads are from Mozilla Data Collective, whose terms forbid to hand copies on"
    url = "https://commonvoice.mozilla.org/datasets"

    def __init__(
        self,
        *,
        labels: Literal["none", "speaker", "gender", "age", "accent"] = "none",
        missing: Literal["drop", "class"] = "drop",
        least: Count = 1,
        classes: Classes | None = None,
        longest: Seconds | None = None,
        encoding: str | None = None,
    ) -> None:
        check_classes(labels, classes)
        if least < 1:
            raise ValueError(f"least must be at least 1, as a class without clips cannot be trained; got {least}")
        if longest is not None and not longest > 0:
            raise ValueError(f"longest must be positive, got {longest:g}")
        check_encoding(encoding)
        self.encoding = encoding
        self.labels, self.missing, self.least, self.classes, self.longest = labels, missing, least, classes, longest

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Gives labels where it is said what they are; sample rates differ between releases."""
        return labelled(parameters)

    def fetch(self, folder: Path) -> None:
        """Checks that the layout is there; it can be downloaded only with an account.

        Raises:
            DataError: if it is not, saying how to get it.
        """
        if not (folder / "train.tsv").is_file():
            raise DataError(
                f"{folder}: expected {_LAYOUT}; a release is downloaded with an account, so get it yourself from "
                f"{self.url} (since late 2025 it leads to Mozilla Data Collective), unpack it, and name the folder of one "
                f"language with --data, such as cv-corpus-4-2019-12-10/en ({self.licence})"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips that the lists name, sorted by list and name.

        Raises:
            DataError: if ``folder`` is missing or has not the layout, a listed file is not there or is listed twice, no
                clip is left, or there are other classes than stated.
        """
        return self._clips(folder, self._choose(folder))

    def _clips(self, folder: Path, chosen: ChosenRecordings) -> list[Clip]:
        if not chosen.spoken:
            raise DataError(
                f"{folder}: no clip is left{_left_out(chosen) or '; the lists are empty'}; change corpus.labels, missing, "
                "least or longest"
            )
        if self.labels == "none":
            return [Clip(each.id, each.path, each.split, {"speaker": each.speaker}) for each in chosen.spoken]
        names = sorted({each.name for each in chosen.spoken})
        if self.classes not in (None, len(names)):
            shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            raise DataError(
                f"{folder}: expected {self.classes} classes (corpus.classes), found {len(names)} by {self.labels}: {shown}; "
                "state their number, or leave rare ones out with corpus.least"
            )
        if len(names) == 1 and self.classes is None:
            raise DataError(
                f"{folder}: all clips are of one class by {self.labels}, {names[0]!r}, so a network that is told the class "
                "learns nothing from it; set corpus.labels: none, or corpus.classes: 1 if it is meant"
            )
        index = {name: place for place, name in enumerate(names)}
        return [
            Clip(
                each.id, each.path, each.split, {"label": index[each.name], "class": each.name, "speaker": each.speaker}
            )
            for each in chosen.spoken
        ]

    def _choose(self, folder: Path) -> ChosenRecordings:
        everything = self._listed(folder)
        short = self._short(folder, everything)
        if self.labels == "none":
            return ChosenRecordings(short, 0, 0, len(everything) - len(short))
        stated = [each for each in short if each.name]
        if self.missing == "class":
            stated = [replace(each, name=each.name or UNSTATED) for each in short]
        if self.labels == "speaker":
            names = [each.name for each in stated]
            splits = stratified([each.id for each in stated], names, OF_A_SPEAKER, OF_A_SPEAKER)
            stated = [replace(each, split=splits[each.id]) for each in stated]
        trained = Counter(each.name for each in stated if each.split == "train")
        kept = [each for each in stated if trained[each.name] >= self.least]
        return ChosenRecordings(kept, len(short) - len(stated), len(stated) - len(kept), len(everything) - len(short))

    def _short(self, folder: Path, everything: list[Spoken]) -> list[Spoken]:
        """What is not too long."""
        if self.longest is None:
            return everything
        seconds = _durations(folder / DURATIONS, self.encoding)
        unknown = [each.id for each in everything if each.id not in seconds]
        if unknown:
            raise DataError(
                f"{folder / DURATIONS}: does not tell how long {unknown[0]} is (with {len(unknown) - 1} others); get it again"
            )
        return [each for each in everything if seconds[each.id] <= self.longest]

    def _listed(self, folder: Path) -> list[Spoken]:
        """What the three lists name."""
        _demand_layout(folder)
        there = tables.files_there(folder / "clips")
        rows: dict[str, tables.TableRow] = {}
        found: list[Spoken] = []
        lost: list[tables.TableRow] = []
        for name, split in LISTS.items():
            for row in tables.read(folder / name, ("client_id", "path"), tabs=True, encoding=self.encoding):
                file = row.file_name("path")
                # The first releases list names without the suffix.
                file = file if file in there or f"{file}.mp3" not in there else f"{file}.mp3"
                id_ = as_text(Path(file).stem)
                tables.demand_once(rows, id_, row)
                rows[id_] = row
                lost += [row] if file not in there else []
                found.append(Spoken(id_, f"clips/{file}", split, row.text("client_id"), self._class(row)))
        if lost:
            raise DataError(
                f"{folder}: clips/{lost[0].text('path')} is not there (with {len(lost) - 1} others), though "
                f"{lost[0].place} lists it; unpack the archive again, or take the lines of a partial copy out"
            )
        return sorted(found, key=lambda spoken: (list(LISTS.values()).index(spoken.split), spoken.id))

    def _class(self, row: tables.TableRow) -> str:
        if self.labels == "none":
            return ""
        columns = [column for column in COLUMNS[self.labels] if column in row.values]
        if not columns:
            raise DataError(
                f"{row.place}: no column {' or '.join(COLUMNS[self.labels])}, which corpus.labels {self.labels} asks for; "
                f"there are {brief(', '.join(row.values))}"
            )
        return row.text(columns[0]) if tidy(row.values[columns[0]]) else ""

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips and speakers there are, what the classes are, and what was left out."""
        chosen = self._choose(folder)
        clips = self._clips(folder, chosen)
        speakers = len({clip.labels["speaker"] for clip in clips})
        said = f"Common Voice, {counted(clips)} clips of {speakers} speakers"
        how = "split within each speaker by a hash" if self.labels == "speaker" else "by its own lists"
        if self.labels == "none":
            return f"{said}, {how}, without classes{_left_out(chosen)}."
        classes = len({clip.labels["label"] for clip in clips})
        return f"{said}, {how}; {classes} classes by {self.labels}{gaps(clips)}{_left_out(chosen)}."

    def mini(self, folder: Path) -> None:
        """28 sentences of 1 to 3 s by nine speakers, voices of eSpeak NG, one of whom states nothing; a second call does
        nothing. MP3 where libsndfile writes it, else WAV.

        Raises:
            DataError: if ``folder`` holds something else, or eSpeak NG is missing.
        """
        build(folder, "common_voice 1", write_mini)


_LAYOUT = "the folder of one language of Common Voice (clips/*.mp3, train.tsv, dev.tsv and test.tsv)"


def _demand_layout(folder: Path) -> None:
    lacking = [name for name in LISTS if not (folder / name).is_file()]
    lacking += [] if (folder / "clips").is_dir() else ["clips/"]
    if lacking:
        found = f"found no {', '.join(lacking)}" if folder.is_dir() else "no such folder"
        below = [each.parent for each in sorted(folder.glob("*/train.tsv"))]
        advice = "run stage fetch, which says where it comes from, or name another folder with --data"
        if below and "train.tsv" in lacking:
            advice = f"did you mean a language inside it, such as --data {below[0]}?"
        raise DataError(f"{folder}: expected {_LAYOUT}, {found}; {advice}")


def _durations(path: Path, encoding: str | None) -> dict[str, float]:
    """How long each clip is [s], by its id."""
    if not path.is_file():
        raise DataError(
            f"{path}: no such file, so how long clips are is not known before they are read; take corpus.longest out (a crop is "
            "plan.segment long anyway), or get a release that has it"
        )
    rows = tables.read(path, ("clip", "duration[ms]"), tabs=True, encoding=encoding)
    return {as_text(Path(row.text("clip")).stem): row.whole("duration[ms]", 0, 10**9) / 1000 for row in rows}


def _left_out(chosen: ChosenRecordings) -> str:
    """How many clips were left out and why, as the end of a sentence."""
    counts = (
        (chosen.unlabelled, "as nothing is stated"),
        (chosen.rare, "of classes with too few clips for training"),
        (chosen.long, "that are too long"),
    )
    return "".join(f"; {count} clips left out {why}" for count, why in counts if count)
