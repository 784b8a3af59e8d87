"""LJSpeech 1.1 (Ito and Johnson, 2017): 13,100 clips of one reader, with HiFi-GAN's split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from gansemble.audio import files, listing
from gansemble.audio.names import as_text, shown
from gansemble.data import text_files
from gansemble.data.download import Progress, fetch_archive
from gansemble.data.manifest import Clip
from gansemble.data.mini import build, speech
from gansemble.errors import DataError
from gansemble.numbers import Range

if TYPE_CHECKING:
    from gansemble.contract import CorpusContract

HERE = Path(__file__).parent
WAV = frozenset({".wav"})


@dataclass(frozen=True)
class ListedClips:
    """What ``metadata.csv`` lists.

    Args:
        paths: of the clips' files below the corpus folder, by id, sorted.
        absent: ids that have no file, sorted.
        suffixed: ids that end in ``.wav``, which is taken off.
        spaced: ids with spaces or invisible characters around them, which are taken off.
    """

    paths: dict[str, str]
    absent: list[str]
    suffixed: list[str]
    spaced: list[str]


class LJSpeech:
    """The corpus in its own layout, ``wavs/*.wav`` and ``metadata.csv``, whole or in part.

    With all 13,100 clips the split is HiFi-GAN's: 150 published ids are held out. A partial copy and the
    mini corpus hold out every ``validation_every``-th clip, beginning with the first in sorted order.

    Args:
        validation_every: for a partial copy [clips].
        encoding: of ``metadata.csv``, such as ``cp1252``; null: UTF-8, or as its byte-order mark says.

    Raises:
        ValueError: if ``validation_every`` is less than 2, or no encoding has that name.
    """

    sample_rate = 22050
    licence = "public domain"
    url = "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2"
    sha256 = "be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5"
    archive_bytes = 2_748_572_632
    clips = 13_100

    def __init__(
        self, *, validation_every: Annotated[int, Range(at_least=2, at_most=1_000_000)] = 8, encoding: str | None = None
    ) -> None:
        if validation_every < 2:
            raise ValueError(f"validation_every must be at least 2, got {validation_every}")
        text_files.check_encoding(encoding)
        self.validation_every = validation_every
        self.encoding = encoding

    @staticmethod
    def contract(parameters: dict[str, object]) -> CorpusContract:
        """Published at 22.05 kHz."""
        from gansemble.contract import CorpusContract

        return CorpusContract(sample_rates=frozenset({22050}))

    def fetch(self, folder: Path, *, progress: Progress | None = None) -> None:
        """Downloads the archive beside ``folder`` and unpacks it, unless the layout is there already.

        Raises:
            DataError: if ``folder`` holds something else, or the download or the archive is not as published.
        """
        if _has_layout(folder):
            return
        fetch_archive(
            self.url,
            folder,
            layout=_LAYOUT,
            sha256=self.sha256,
            size=self.archive_bytes,
            max_bytes=8 << 30,
            max_files=20_000,
            inside="LJSpeech-1.1",
            progress=progress,
        )

    def scan(self, folder: Path) -> list[Clip]:
        """The clips of ``metadata.csv`` whose file is there, sorted by id.

        Raises:
            DataError: if ``folder`` is missing, has not the layout, or holds no clip.
        """
        paths = _present(folder, self.encoding).paths
        held_out = self._held_out(list(paths))
        return [Clip(as_text(id_), path, "validation" if id_ in held_out else "train") for id_, path in paths.items()]

    def describe(self, folder: Path) -> str:
        """One sentence: which clips are there and how they are split."""
        listed = _present(folder, self.encoding)
        ids, absent = list(listed.paths), listed.absent
        held_out = self._held_out(ids)
        counts = f"{len(ids) - len(held_out)} train and {len(held_out)} validation clips"
        if held_out == _published(ids):
            return f"LJSpeech, {counts}: HiFi-GAN's published split{_remarks(listed)}."
        there = f"{len(ids)} of {len(absent) + len(ids)} listed files there"
        return (
            f"LJSpeech in part ({there}), {counts}: one in {self.validation_every} held out from the first, "
            f"not HiFi-GAN's published split{_remarks(listed)}."
        )

    def mini(self, folder: Path) -> None:
        """60 short sentences by five voices of eSpeak NG in LJSpeech's layout; a second call does nothing.

        Raises:
            DataError: if ``folder`` holds something else, or eSpeak NG is missing.
        """
        build(folder, "ljspeech 1", _write_mini)

    def _held_out(self, ids: list[str]) -> frozenset[str]:
        return _published(ids) or frozenset(ids[:: self.validation_every])


_LAYOUT = "LJSpeech's layout (wavs/*.wav and metadata.csv)"


def _has_layout(folder: Path) -> bool:
    return (folder / "metadata.csv").is_file() and (folder / "wavs").is_dir()


def _published(ids: list[str]) -> frozenset[str]:
    """HiFi-GAN's validation ids if ``ids`` is the whole corpus, else nothing."""
    listed = frozenset((HERE / "ljspeech_validation_ids.txt").read_text(encoding="utf-8").split())
    return listed if len(ids) == LJSpeech.clips and listed <= set(ids) else frozenset()


def _present(folder: Path, encoding: str | None) -> ListedClips:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected {_LAYOUT}; run stage fetch, or name another with --data")
    if not _has_layout(folder):
        below = folder / "LJSpeech-1.1"
        advice = "run stage fetch into an empty folder"
        if _has_layout(below):
            advice = f"did you mean {below.name}/ inside it (--data {below})"
        raise DataError(f"{folder}: expected {_LAYOUT}; {advice}, or name another with --data")
    listed = _listed(folder / "metadata.csv", encoding)
    there = listing.inside(folder / "wavs", WAV)
    paths = {id_: f"wavs/{there[id_].name}" for id_ in sorted(listed) if id_ in there}
    if not paths:
        raise DataError(
            f"{folder}: expected {_LAYOUT}; found {len(listed)} lines in metadata.csv, {len(there)} WAV files in "
            "wavs, and no file for any line; unpack the archive again, or name another folder with --data"
        )
    absent = sorted(id_ for id_ in listed if id_ not in there)
    suffixed = [id_ for id_, written in listed.items() if text_files.tidy(written) != id_]
    spaced = [id_ for id_, written in listed.items() if text_files.tidy(written) != written]
    return ListedClips(paths, absent, suffixed, spaced)


def _listed(path: Path, encoding: str | None) -> dict[str, str]:
    """The ids of ``metadata.csv``, each with what is written: the first of its columns, which ``|`` parts and nothing quotes."""
    written: dict[str, str] = {}
    places: dict[str, str] = {}
    for line in text_files.lines(path, encoding):
        word, bar, _ = line.text.partition("|")
        id_ = text_files.tidy(word)
        id_ = id_[:-4] if id_.lower().endswith(".wav") else id_
        if not (bar and id_) or "/" in id_ or id_ in places:
            found = f"{text_files.brief(id_)} again, first at {places[id_]}" if id_ in places else ""
            raise DataError(
                f"{line.place}: expected 'id|text|normalised text' with a new id, got {found or text_files.brief(line.text)}; "
                "mend the line, or get the file again"
            )
        written[id_], places[id_] = word, line.place
    return written


def _remarks(listed: ListedClips) -> str:
    """What differs in ``metadata.csv`` from the published one, as the end of a sentence."""
    counts = (
        (listed.absent, "{} listed without a file"),
        (listed.suffixed, "{} in metadata.csv with .wav, which was taken off"),
        (listed.spaced, "{} in metadata.csv with spaces or invisible characters around them, which were taken off"),
    )
    said = [
        f"; {words.format(f'{len(ids)} ids')} (first: {shown(ids[0])})"
        if len(ids) > 1
        else f"; {words.format('1 id')} ({shown(ids[0])})"
        for ids, words in counts
        if ids
    ]
    return "".join(said)


def _write_mini(folder: Path) -> None:
    sentences = (HERE / "mini_sentences.txt").read_text(encoding="utf-8").splitlines()
    (folder / "wavs").mkdir()
    lines = []
    for number, (sentence, audio) in enumerate(zip(sentences, speech(sentences), strict=True), 1):
        files.write(folder / "wavs" / f"LJ001-{number:04d}.wav", audio, LJSpeech.sample_rate)
        lines.append(f"LJ001-{number:04d}|{sentence}|{sentence}\n")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
