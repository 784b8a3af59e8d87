"""The files of VCTK 0.92, as both of its corpora read them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from gansemble.audio import listing
from gansemble.audio.names import as_text
from gansemble.data.download import Progress, fetch_archive
from gansemble.errors import DataError

RATE = 48000
FLAC = frozenset({".flac"})
AUDIO = "wav48_silence_trimmed"
LICENCE = "CC BY 4.0"
URL = "https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip"
SHA256 = "f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c"
ARCHIVE_BYTES = 11_747_302_977
LAYOUT = f"VCTK 0.92's layout ({AUDIO}/{{speaker}}/{{speaker}}_{{sentence}}_mic1.flac)"
#: p280 has no files of the second microphone, and the texts of p315 are lost.
INCOMPLETE = ("p280", "p315")
#: The last 8 of the other 108 in the order of their names, as AP-BWE's test.txt lists them.
TEST_SPEAKERS = frozenset({"p360", "p361", "p362", "p363", "p364", "p374", "p376", "s5"})
NAME = re.compile(r"(.+)_([0-9]+)_mic[12]")


class Sentence(NamedTuple):
    """One file: who reads which sentence, and its path below the corpus folder."""

    speaker: str
    number: str
    path: str

    @property
    def id(self) -> str:
        """The same for both microphones."""
        return f"{self.speaker}_{self.number}"


def fetch(folder: Path, *, url: str, sha256: str, size: int, progress: Progress | None) -> None:
    """Downloads the archive (11.7 GB) beside ``folder`` and unpacks it, unless the layout is there already.

    Raises:
        DataError: if ``folder`` holds something else, or the download or the archive is not as published.
    """
    if (folder / AUDIO).is_dir():
        return
    # The archive has no top folder.
    fetch_archive(
        url,
        folder,
        layout=LAYOUT,
        sha256=sha256,
        size=size,
        max_bytes=24 << 30,
        max_files=200_000,
        progress=progress,
    )


def sentences(folder: Path, mic: str, left_out: Collection[str]) -> list[Sentence]:
    """The files of one microphone, sorted by speaker and sentence.

    Args:
        folder: of the corpus.
        mic: ``mic1`` or ``mic2``.
        left_out: speakers whose files are passed over.

    Raises:
        DataError: if ``folder`` is missing, has not the layout or holds no file of the microphone by another speaker, or a
            FLAC file has another name.
    """
    if not (folder / AUDIO).is_dir():
        found = "no such folder" if not folder.is_dir() else f"found no {AUDIO}/"
        raise DataError(f"{folder}: expected {LAYOUT}, {found}; {_advice(folder)}")
    found_files = list(every_sentence(folder, mic, left_out))
    if not found_files:
        raise DataError(
            f"{folder}: expected {LAYOUT}, found no file of {mic} by a speaker of the split; set corpus.mic, "
            "or name another folder with --data"
        )
    return found_files


def every_sentence(folder: Path, mic: str, left_out: Collection[str]) -> Iterator[Sentence]:
    """As :func:`sentences`, but nothing where there is none."""
    for place in sorted((folder / AUDIO).glob("*/")):
        if place.name in left_out or place.name.startswith("."):
            continue
        for name, path in listing.inside(place, FLAC).items():
            if not name.endswith(f"_{mic}"):
                continue
            found = NAME.fullmatch(name)
            if not found or found[1] != place.name:
                raise DataError(
                    f"{place / path}: expected a name as {{speaker}}_{{sentence}}_{mic}.flac with the speaker of its "
                    f"folder, such as {place.name}_001_{mic}.flac"
                )
            yield Sentence(as_text(found[1]), as_text(found[2]), f"{AUDIO}/{place.name}/{path.name}")


def _advice(folder: Path) -> str:
    """What to do where the layout is not found."""
    if folder.name == AUDIO and folder.is_dir():
        return f"did you mean the folder above it (--data {folder.absolute().parent})?"
    below = folder / "VCTK-Corpus-0.92"
    if (below / AUDIO).is_dir():
        return f"did you mean {below.name}/ inside it (--data {below})?"
    if (folder / "wav48").is_dir():
        return f"its wav48/ is of release 0.80, which has other files; get release 0.92 ({URL}), or run stage fetch"
    return "run stage fetch into a new folder, or name another with --data"
