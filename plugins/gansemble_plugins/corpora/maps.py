"""MAPS (Emiya et al., 2010): nine pianos, seven of them software and two recordings of a Disklavier, 44.1 kHz stereo."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gansemble.audio import files, listing
from gansemble.audio.names import as_text, shown
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, notes
from gansemble.errors import DataError
from gansemble.numbers import BelowOne
from gansemble_plugins.corpora.listing import check_shares, counted, split_by_hash
from gansemble_plugins.corpora.synthetic import melody

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

RATE = 44100
WAV = frozenset({".wav"})
PIANOS = (
    "AkPnBcht", "AkPnBsdf", "AkPnCGdD", "AkPnStgb", "ENSTDkAm", "ENSTDkCl", "SptkBGAm", "SptkBGCl", "StbgTGd2"
)  # fmt: skip
#: The two whose sound is a real piano's: the test set of the studies of transcription.
TEST_PIANOS = ("ENSTDkAm", "ENSTDkCl")
PIECES_OF_A_PIANO = 30
WHERE = (
    "MAPS is handed out on registration: see https://adasp.telecom-paris.fr/resources/2010-07-08-maps-database/. Unpack "
    "the archives of the pianos beside one another"
)
NAME = re.compile(r"MAPS_(MUS|ISOL|RAND|UCHO)[-_](.+)_([A-Za-z0-9]+)")
MINI_PIECES = ("alb_se3", "bach_846", "bk_xmas1", "chpn-p7")
MINI_STEP, MINI_STEPS = 0.25, 6  # [s], and how many make a piece


class Recording(NamedTuple):
    """One file: which part it belongs to, what is played on which piano, and where it lies below the corpus folder."""

    part: str
    piece: str
    piano: str
    path: Path


class MAPS:
    """Files named ``MAPS_{part}-{piece}_{piano}.wav`` or ``MAPS_{part}_{notes}_{piano}.wav``, in any folders.

    The archives of a piano unpack to ``{piano}/MUS/…``, and people keep them below ``MAPS_{piano}_2/`` or ``{piano}_2/`` as well:
    part and piano are read from the files' names, so that all of these are the same corpus. A clip's id is the file's
    name; its labels are ``piano`` and ``piece``. The files are stereo: a recipe must say what becomes of the channels.

    Args:
        part: ``MUS``: pieces of music; ``ISOL``: single notes; ``RAND``: random chords; ``UCHO``: usual chords; ``all``.
        validation: share of the pieces that a hash of their names holds out of the seven pianos of training, one at
            least: a piece is held out on all of them.
        shared_pieces: ``keep``: pieces that the test pianos play are trained on, as other pianos play them;
            ``leave_out``: they are not, as in studies of transcription.

    Raises:
        ValueError: if ``validation`` is negative or leaves nothing for training.
    """

    licence = "restricted: what one agrees to on registration holds"

    def __init__(
        self,
        *,
        part: Literal["MUS", "ISOL", "RAND", "UCHO", "all"] = "MUS",
        validation: BelowOne = 0.05,
        shared_pieces: Literal["keep", "leave_out"] = "keep",
    ) -> None:
        check_shares(validation, 0.0)
        self.part = part
        self.validation = validation
        self.shared_pieces = shared_pieces

    @staticmethod
    def contract(parameters: dict[str, Any]) -> CorpusContract:
        """Published at 44.1 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({RATE}))

    def fetch(self, folder: Path) -> None:
        """Checks that recordings are there; nothing is downloaded, as registration is asked for.

        Raises:
            DataError: if they are not, saying where they come from and under which licence.
        """
        if not (folder.is_dir() and _recordings(folder)):
            raise DataError(
                f"{folder}: found no file of {_LAYOUT}. {WHERE}, or name a folder with --data. Licence: {self.licence}"
            )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips of the part, sorted by name.

        Raises:
            DataError: if ``folder`` is missing or holds no recording of the part, a file is of a piano that is none of the
                nine, two have one name, or nothing is left for training.
        """
        if not folder.is_dir():
            raise DataError(f"{folder}: expected {_LAYOUT}, no such folder; {WHERE}, or name another with --data")
        there = _recordings(folder)
        wanted = [each for each in there if self.part in ("all", each.part)]
        if not wanted:
            parts = ", ".join(sorted({each.part for each in there}))
            found = f"found recordings of {parts} only; set corpus.part" if parts else _otherwise(folder)
            raise DataError(f"{folder}: expected {_LAYOUT} of {self.part}, {found}, or name another folder with --data")
        _demand_known(folder, wanted)
        tested = {each.piece for each in wanted if each.piano in TEST_PIANOS}
        if self.shared_pieces == "leave_out":
            wanted = [each for each in wanted if each.piano in TEST_PIANOS or each.piece not in tested]
        pieces = sorted({each.piece for each in wanted if each.piano not in TEST_PIANOS})
        splits = split_by_hash(pieces, self.validation)
        clips = [_clip(each, "test" if each.piano in TEST_PIANOS else splits[each.piece]) for each in wanted]
        return sorted(clips, key=lambda clip: clip.id)

    def describe(self, folder: Path) -> str:
        """One sentence: how many clips of how many pianos there are, how they are split, and how many pieces are shared."""
        clips = self.scan(folder)
        pianos = {clip.labels["piano"] for clip in clips}
        heard = {clip.labels["piece"] for clip in clips if clip.split == "test"}
        shared = {clip.labels["piece"] for clip in clips if clip.split != "test"} & heard
        absent = [piano for piano in PIANOS if piano not in pianos]
        part = f" in part (without {', '.join(absent)})" if absent else ""
        told = f"{len(shared)} of the test's {len(heard)} pieces are trained on as other pianos play them"
        return f"MAPS{part}, {self.part}, {counted(clips)} clips: {' and '.join(TEST_PIANOS)} are the test set; {told}."

    def mini(self, folder: Path) -> None:
        """Four synthetic phrases of 1.5 s on each of three pianos, 44.1 kHz stereo; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else.
        """
        build(folder, "maps 1", _write_mini)


_LAYOUT = "MAPS' layout ({piano}/MUS/MAPS_MUS-{piece}_{piano}.wav, such as AkPnBcht/MUS/MAPS_MUS-alb_se3_AkPnBcht.wav)"


def _recordings(folder: Path) -> list[Recording]:
    """The files whose names are as the corpus names them; others are passed over."""
    found = ((NAME.fullmatch(path.stem), path) for path in listing.below(folder, WAV).paths)
    return [Recording(name[1], as_text(name[2]), name[3], path) for name, path in found if name]


def _demand_known(folder: Path, recordings: list[Recording]) -> None:
    """Refuses pianos that are none of the nine, and names that two files have.

    Raises:
        DataError: naming one.
    """
    places: dict[str, Path] = {}
    for each in recordings:
        if each.piano not in PIANOS:
            raise DataError(
                f"{folder}: {shown(each.path)} is of a piano {each.piano!r}; expected one of {', '.join(PIANOS)}; rename it, or "
                "take it out"
            )
        first = places.setdefault(each.path.stem, each.path)
        if first is not each.path:
            raise DataError(f"{folder}: {shown(first)} and {shown(each.path)} have one name; take one of them out")


def _clip(each: Recording, split: str) -> Clip:
    return Clip(as_text(each.path.stem), each.path.as_posix(), split, {"piano": each.piano, "piece": each.piece})


def _otherwise(folder: Path) -> str:
    """What is there where no recording is."""
    waves = list(listing.below(folder, WAV).paths)
    archives = sorted(path.name for path in folder.glob("*.zip"))
    if waves:
        return f"found {len(waves)} WAV files with other names, the first {shown(waves[0])}; keep the names they were published with"
    if archives:
        return f"found {archives[0]} and no WAV file; unpack the archives"
    return f"found no WAV file; {WHERE}"


def _write_mini(folder: Path) -> None:
    for place, piano in enumerate(("AkPnBcht", "SptkBGCl", "ENSTDkCl")):
        bank = notes((48, 52, 55, 60, 64, 67, 72), sample_rate=RATE, seconds=MINI_STEP, seed=place)
        (folder / piano / "MUS").mkdir(parents=True)
        for number, piece in enumerate(MINI_PIECES):
            played = melody(bank, MINI_STEPS, (place, number))
            sides = np.stack([0.7 * played, 0.5 * played])
            sides += 2e-4 * np.random.default_rng((place, number, 1)).standard_normal(sides.shape)
            name = f"MAPS_MUS-{piece}_{piano}.wav"
            files.write(folder / piano / "MUS" / name, sides.astype(np.float32), RATE)
