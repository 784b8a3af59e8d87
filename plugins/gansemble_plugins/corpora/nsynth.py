"""NSynth (Engel et al., 2017): notes of 4 s with a pitch each, and GANSynth's split of them (Engel et al., 2019)."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gansemble import numbers
from gansemble.audio import files, listing
from gansemble.audio.names import as_text, shown
from gansemble.data import tables
from gansemble.data.download import Progress, download
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.data.text_files import brief, check_encoding, json_object
from gansemble.errors import DataError
from gansemble_plugins.corpora.listing import counted, split_by_hash

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 16000
WAV = frozenset({".wav"})
#: The pitch that the name of a note ends with, before its velocity.
PITCH_OF_NAME = re.compile(r"-([0-9]{3})-[0-9]{3}\Z")
BASE = "http://download.magenta.tensorflow.org/datasets/nsynth/"
PARTS = {"nsynth-train": "train", "nsynth-valid": "validation", "nsynth-test": "test"}
SPLITS_CSV = "nsynth-gansynth_splits.csv"
SPLIT_NAMES = {"train": "train", "valid": "validation", "test": "test"}
GANSYNTH_TRAIN = 60_788
# The parts of the notes at velocities 50 and 100. Many instruments, so that a network cannot know the pitches by heart.
MINI_FAMILIES = {
    **dict.fromkeys(("brass", "flute", "keyboard", "mallet", "reed", "string"), ("train", "train")),
    **dict.fromkeys(("guitar", "organ"), ("valid", "test")),
}


@dataclass(frozen=True)
class Note:
    """A note that is listed and has a file.

    Args:
        id: NSynth's ``note_str``.
        path: relative to the corpus folder.
        split: of the part it was published in; None in a flat folder.
        pitch: [MIDI number].
        velocity: [MIDI number], None where it is not told.
        acoustic: whether its instrument is acoustic.
    """

    id: str
    path: str
    split: str | None
    pitch: int
    velocity: int | None
    acoustic: bool


@dataclass(frozen=True)
class ListedNotes:
    """The notes that are listed and have a file, and the ids of those listed that have none."""

    notes: list[Note]
    absent: list[str]


class NSynth:
    """Notes of NSynth's layout, ``nsynth-train/audio/*.wav`` and ``nsynth-train/examples.json`` (and valid, test), or
    flat: ``audio/*.wav`` and ``examples.json``. Notes without a file are passed over.

    A note's label is its pitch less the lowest of ``pitches``, so that networks built for classes take it as well.

    Args:
        instrument_source: ``acoustic`` instruments only, or ``all``.
        pitches: lowest and highest pitch that is kept [MIDI number].
        split: ``gansynth``: the paper's list ``nsynth-gansynth_splits.csv`` in the folder, where instruments are shared
            between splits and notes are not; what it does not list is left out. ``original``: the folders of the
            archives, where training shares no instrument with the others; a flat folder is split by a hash of the ids.
        encoding: of the split list; null: UTF-8, or as its byte-order mark says.

    Raises:
        ValueError: if ``pitches`` is no range within 0 to 127, or no encoding has that name.
    """

    licence = "CC BY 4.0"
    urls = tuple(f"{BASE}{part}.jsonwav.tar.gz" for part in PARTS)
    splits_url = BASE + SPLITS_CSV
    splits_sha256 = "b6e77ff861c82822c63f94e91d62fc6a48f514d0a7a7bed517752f87bc7ac4a9"
    splits_bytes = 2_952_153

    def __init__(
        self,
        *,
        instrument_source: Literal["acoustic", "all"] = "acoustic",
        pitches: tuple[numbers.Note, numbers.Note] = (24, 84),
        split: Literal["gansynth", "original"] = "gansynth",
        encoding: str | None = None,
    ) -> None:
        check_encoding(encoding)
        self.encoding = encoding
        low, high = pitches
        if not 0 <= low <= high <= 127:
            raise ValueError(f"pitches must be a range within 0 to 127, got {low} to {high}")
        self.instrument_source = instrument_source
        self.pitches = (low, high)
        self.split = split

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Pitches, and classes of one pitch each, at 16 kHz."""
        from gansemble.contract import CorpusContract

        low, high = parameters["pitches"]
        return CorpusContract(
            sample_rates=frozenset({RATE}),
            gives=frozenset({"labels", "pitch"}),
            classes=high - low + 1,
            pitches=(low, high),
            because={"classes": "pitches", "pitches": "pitches"},
        )

    def fetch(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Checks that the notes are there, and downloads GANSynth's split list beside them where it is missing.

        Raises:
            DataError: if the notes are not there, saying where they come from; or if the list is not as published.
        """
        if not _layout(folder):
            raise DataError(
                f"{folder}: expected {_LAYOUT}; no checksum of its archives (about 25 GB) is published, so get them "
                f"yourself: {' '.join(self.urls)}; unpack them there, or name another folder with --data "
                f"({self.licence})"
            )
        if self.split == "gansynth" and not (folder / SPLITS_CSV).is_file() and "" not in _layout(folder):
            target = folder / SPLITS_CSV
            download(self.splits_url, target, sha256=self.splits_sha256, size=self.splits_bytes, progress=progress)

    def scan(self, folder: Path) -> list[Clip]:
        """The notes that pass the filters, sorted by id.

        Raises:
            DataError: if ``folder`` is missing, has not the layout or the split list, or no note passes.
        """
        chosen = [note for note in _read(folder).notes if self._passes(note)]
        splits = self._splits(folder, chosen)
        clips = [
            Clip(as_text(note.id), note.path, splits[note.id], self._labels(note))
            for note in chosen
            if note.id in splits
        ]
        if not clips:
            lost = f"{len(chosen)}, but none that {SPLITS_CSV} lists; set corpus.split=original" if chosen else "none"
            raise DataError(f"{folder}: expected notes ({self._wanted()}), found {lost}, or name another with --data")
        return sorted(clips, key=lambda clip: clip.id)

    def describe(self, folder: Path) -> str:
        """One sentence: which notes there are and how they are split."""
        clips = self.scan(folder)
        read = _read(folder)
        said = f"NSynth, {counted(clips)} notes ({self._wanted()}{_told(read.absent, 'listed without a file')}"
        taken = {clip.path for clip in clips}
        left = [note.id for note in read.notes if self._passes(note) and note.path not in taken]
        said += f"{_told(left, f'not in {SPLITS_CSV} and left out')})"
        if self.split == "gansynth":
            train = sum(clip.split == "train" for clip in clips)
            whole = train == GANSYNTH_TRAIN
            told = "as published" if whole else f"in part: the whole list has {GANSYNTH_TRAIN:,} for training"
            return f"{said}: GANSynth's split, {told}."
        flat = "" in _layout(folder)
        return f"{said}: {'split by a hash of their ids' if flat else 'the split they were published with'}."

    def mini(self, folder: Path) -> None:
        """98 notes of 4 s by eight acoustic and an electronic instrument; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, f"nsynth 2, pitches {self.pitches[0]} to {self.pitches[1]}", self._write_mini)

    def _passes(self, note: Note) -> bool:
        low, high = self.pitches
        return low <= note.pitch <= high and (note.acoustic or self.instrument_source == "all")

    def _wanted(self) -> str:
        return f"instruments: {self.instrument_source}, pitches {self.pitches[0]} to {self.pitches[1]}"

    def _labels(self, note: Note) -> dict[str, int]:
        velocity = {} if note.velocity is None else {"velocity": note.velocity}
        return {"pitch": note.pitch, "label": note.pitch - self.pitches[0], **velocity}

    def _splits(self, folder: Path, chosen: list[Note]) -> dict[str, str]:
        if self.split == "gansynth":
            return _gansynth(folder / SPLITS_CSV, "" in _layout(folder), self.encoding)
        published = {note.id: note.split for note in chosen if note.split is not None}
        return published or split_by_hash([note.id for note in chosen], validation=0.1, test=0.1)

    def _write_mini(self, folder: Path) -> None:
        low, high = self.pitches
        pitches = [low + round(step * (high - low) / 5) for step in range(6)]
        rows = []
        # As published: training shares no instrument with the other parts.
        for place, (family, parts) in enumerate(MINI_FAMILIES.items()):
            for loud, velocity in enumerate((50, 100)):
                name, seed = f"{family}_acoustic_000", 2 * place + loud
                rows += _write_notes(folder, parts[loud], name, 0, dict.fromkeys(pitches, velocity), seed)
        _write_notes(folder, "train", "bass_electronic_000", 1, {pitches[0]: 100, pitches[-1]: 75}, seed=99)
        # GANSynth's list has acoustic notes only, and of each instrument in every split.
        given = ("train", "valid", "train", "train", "test", "train", "train")
        lines = [f"{row},{given[index % len(given)]}\n" for index, row in enumerate(rows)]
        (folder / SPLITS_CSV).write_text("id,split\n" + "".join(lines), encoding="utf-8")


_LAYOUT = "NSynth's layout (nsynth-train/audio/*.wav and nsynth-train/examples.json, or flat without nsynth-train/)"


def _layout(folder: Path) -> list[str]:
    """The parts that are there; one empty name for a flat folder."""
    parts = [part for part in PARTS if _is_part(folder / part)]
    return parts or ([""] if _is_part(folder) else [])


def _is_part(folder: Path) -> bool:
    return (folder / "examples.json").is_file() and (folder / "audio").is_dir()


def _read(folder: Path) -> ListedNotes:
    """The notes of all parts."""
    parts = _layout(folder)
    if not parts:
        found = "no such folder" if not folder.is_dir() else "found neither"
        raise DataError(
            f"{folder}: expected {_LAYOUT}, {found}; name another folder with --data, or run stage fetch, which says "
            "where it comes from"
        )
    read: list[Note] = []
    absent: list[str] = []
    for part in parts:
        path = folder / part / "examples.json"
        listed = json_object(path)
        there = listing.inside(folder / part / "audio", WAV)
        absent += [id_ for id_ in listed if id_ not in there]
        read += [_note(id_, facts, part, there[id_].name, path) for id_, facts in listed.items() if id_ in there]
    if not read:
        raise DataError(f"{folder}: expected {_LAYOUT}, found no file for any note listed; unpack the archive again")
    twice = [id_ for id_, count in Counter(note.id for note in read).items() if count > 1]
    if twice:
        raise DataError(
            f"{folder}: {shown(twice[0])} is in more than one of {', '.join(parts)}; unpack the archives again"
        )
    return ListedNotes(read, absent)


def _note(id_: str, facts: object, part: str, file: str, path: Path) -> Note:
    """A row of ``examples.json``; source 0 is acoustic, and what its names say must be the same."""
    where = f"{path}: {shown(id_)}"
    facts = facts if isinstance(facts, dict) else {}
    pitch, source = _whole(facts, "pitch", where), _whole(facts, "instrument_source", where)
    velocity = None if facts.get("velocity") is None else _whole(facts, "velocity", where)
    named = facts.get("instrument_source_str")
    if named is not None and (named == "acoustic") != (source == 0):
        raise DataError(f"{where}: instrument_source {source} contradicts instrument_source_str {brief(named)}")
    told = PITCH_OF_NAME.search(id_)
    if told and int(told[1]) != pitch:
        raise DataError(f"{where}: pitch {shown(str(pitch)[:20])} contradicts the name; unpack the archive again")
    return Note(id_, f"{part}/audio/{file}".lstrip("/"), PARTS.get(part), pitch, velocity, source == 0)


def _whole(facts: dict[str, object], key: str, where: str) -> int:
    value = facts.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DataError(f"{where}: expected a whole number for {key}, got {brief(value)}; unpack the archive again")
    return value


def _told(ids: list[str], words: str) -> str:
    """How many notes that holds for, as the end of a sentence; empty for none."""
    return f"; {len(ids)} {words}, such as {shown(ids[0])}" if ids else ""


def _gansynth(path: Path, flat: bool, encoding: str | None) -> dict[str, str]:
    """The split of each id that GANSynth's list names."""
    if not path.is_file():
        way = (
            "GANSynth's list is not downloaded for a folder without nsynth-train/; set corpus.split=original, or put a "
            "list of your own there (columns id and split)"
            if flat
            else "run stage fetch, which downloads it (3 MB) beside NSynth's folders, or put it there; "
            "corpus.split=original does without"
        )
        raise DataError(f"{path}: no such file; {way}")
    rows: dict[str, tables.TableRow] = {}
    for row in tables.read(path, ("id", "split"), encoding=encoding):
        id_, split = row.text("id"), row.text("split")
        tables.demand_once(rows, id_, row)
        if split not in SPLIT_NAMES:
            raise DataError(
                f"{row.place}: expected the split train, valid or test, got {brief(split)}; mend the line, or get the list again"
            )
        rows[id_] = row
    if not rows:
        raise DataError(f"{path}: expected columns id and split (train, valid or test), got no row; get the list again")
    return {id_: SPLIT_NAMES[row.text("split")] for id_, row in rows.items()}


def _write_notes(
    folder: Path, part: str, instrument: str, source: int, velocities: dict[int, int], seed: int
) -> list[str]:
    """Writes notes (velocity by pitch) into a part and its ``examples.json``, and returns their ids."""
    place = folder / f"nsynth-{part}"
    (place / "audio").mkdir(parents=True, exist_ok=True)
    path = place / "examples.json"
    listed = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    made = notes(list(velocities), sample_rate=RATE, seconds=4.0, seed=seed)
    ids = [f"{instrument}-{pitch:03d}-{velocity:03d}" for pitch, velocity in velocities.items()]
    for id_, (pitch, velocity), note in zip(ids, velocities.items(), made, strict=True):
        files.write(place / "audio" / f"{id_}.wav", note * (velocity / 100), RATE)
        listed[id_] = {
            "note_str": id_,
            "pitch": pitch,
            "velocity": velocity,
            "sample_rate": RATE,
            "instrument_str": instrument,
            "instrument_source": source,
            "instrument_source_str": ("acoustic", "electronic")[source],
        }
    path.write_text(json.dumps(listed, indent=1), encoding="utf-8")
    return ids
