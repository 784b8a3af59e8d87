"""A visitor's recording: read from the bytes that a browser sent, brought to the generator's rate, or refused in words."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from gansemble.audio import files
from gansemble.audio.names import shown
from gansemble.audio.reader import AudioFault, AudioReader
from gansemble.errors import GansembleError

#: Most channels, and highest sample rate [Hz], of a recording that is taken: a small file may hold a great deal.
MOST_CHANNELS, HIGHEST_RATE = 8, 192_000
#: Shortest recording that is taken [s].
SHORTEST = 0.1
#: No sound: not even one step of 16-bit samples. Below the other one, it is quiet.
SILENT, QUIET = 2.0**-15, 0.01
#: Letters of a name that are kept.
LONGEST_NAME = 120


class Refused(GansembleError):
    """A visitor's recording or wish cannot be used; the message is for the page.

    Args:
        text: what is wrong, and what to do.
        code: ``unreadable`` where this machine has no decoder for the file, and a browser may have one; else empty.
    """

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Recording:
    """What a generator is given.

    Args:
        name: of the file, or the clip.
        audio: float32 [C, T] at the generator's sample rate.
        notes: what was done to it, as sentences.
    """

    name: str
    audio: np.ndarray
    notes: Sequence[str] = ()


def plain_name(given: str) -> str:
    """A file's name for the page: without folders and characters that cannot be shown, and not endless."""
    name = shown(PurePosixPath(given.replace("\\", "/")).name.strip() or "recording")
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def read(body: bytes, name: str, rate: int, longest: float) -> Recording:
    """Reads a recording; its file is deleted from this machine as soon as it has been read.

    Args:
        body: the file.
        name: as the page shows it.
        rate: the generator's sample rate [Hz].
        longest: how much of it is taken, from its beginning [s].

    Raises:
        Refused: if it is no audio that can be read here, damaged, too short or silent, or has more channels or a higher rate than
            is taken.
    """
    if not body:
        raise Refused(f"{name}: is empty; choose another file, or record again")
    # Only an MP3 whose beginning is damaged is known by its name.
    with tempfile.NamedTemporaryFile(suffix=".mp3" if name.lower().endswith(".mp3") else "") as kept:
        kept.write(body)
        kept.flush()
        try:
            audio, found, notes = _beginning(Path(kept.name), name, longest)
        except AudioFault as fault:
            raise _refused(fault, body, name) from fault
    _demand_sound(audio, found, name)
    if found != rate:
        notes.append(f"It was resampled from {found:,} to {rate:,} Hz, the rate that this generator works at.")
    return Recording(name, files.resample(audio, found, rate), [*notes, *quiet(audio)])


def _beginning(path: Path, name: str, longest: float) -> tuple[np.ndarray, int, list[str]]:
    """(float32 [C, T] of the file's beginning, its sample rate [Hz], what there is to say of it)."""
    with AudioReader(path) as reader:
        if reader.channels > MOST_CHANNELS:
            raise Refused(
                f"{name}: has {reader.channels} channels; at most {MOST_CHANNELS} are taken here: mix it down first"
            )
        if reader.sample_rate > HIGHEST_RATE:
            raise Refused(
                f"{name}: is at {reader.sample_rate:,} Hz; at most {HIGHEST_RATE:,} Hz are taken here: resample it first"
            )
        wanted = round(longest * reader.sample_rate)
        kept: list[np.ndarray] = []
        for block in reader.blocks():
            kept.append(block[: max(0, wanted - reader.done + len(block))])
            if reader.done > wanted:
                break
        whole = f" of {reader.stated / reader.sample_rate:.1f} s" if reader.stated is not None else ""
        cut = (
            [f"Only its first {longest:g} s{whole} were taken: more is not made here."] if reader.done > wanted else []
        )
        return np.ascontiguousarray(np.concatenate(kept).T), reader.sample_rate, cut


def _refused(fault: AudioFault, body: bytes, name: str) -> Refused:
    """A fault of a file, told by the name that the visitor knows it by."""
    if fault.code != "unreadable":
        advice = str(fault).removeprefix(f"{fault.path}: {fault.text}")
        return Refused(f"{name}: {fault.text}{advice}")
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return Refused(
            f"{name}: is a web page or other text with markup, whatever its name says, and no audio; choose another file"
        )
    return Refused(
        f"{name}: is no audio that can be read here ({len(body):,} bytes); choose a WAV, FLAC, MP3, Ogg or AIFF file, or convert it "
        "to one",
        "unreadable",
    )


def _demand_sound(audio: np.ndarray, rate: int, name: str) -> None:
    seconds = audio.shape[1] / rate
    if seconds < SHORTEST:
        raise Refused(f"{name}: is {seconds:.3f} s long; at least {SHORTEST:g} s are needed")
    if float(np.abs(audio).max()) < SILENT:
        raise Refused(f"{name}: is silent; is the microphone muted, or another one chosen?")


def quiet(audio: np.ndarray) -> list[str]:
    """A sentence about a recording [C, T] that is quiet; none about others."""
    peak = float(np.abs(audio).max())
    if peak >= QUIET:
        return []
    return [f"It is very quiet: its loudest sample is {20 * np.log10(max(peak, 1e-9)):.0f} dB of full scale."]
