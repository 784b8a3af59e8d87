"""The versions of one clip made ready to be compared: one rate, one length, one number of channels, levels as wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from gansemble.audio import files
from gansemble.audio.levels import decibels, peak, rms
from gansemble.audio.names import shown
from gansemble.errors import DataError

Levels = Literal["none", "rms"]
#: Versions whose length differs by no more are made equal without a word [s]: codecs and frames of networks do as much.
SLACK = 0.05
#: What is quieter at its peak is called silent [dBFS].
SILENT = -80.0
#: Length beyond which a clip is too long to be compared well [s]: ITU-R BS.1534-3 advises about 10 s, at most 12.
LONGEST = 12.0
#: Length of the fade at the end of a clip that was cut [s].
FADE = 0.01


@dataclass(frozen=True)
class Prepared:
    """One clip by all systems, as listeners hear it.

    Args:
        versions: by the name of the system, audio [C, T], C channels of T samples, all of one shape.
        rate: sample rate of all [Hz].
        notes: what was changed, or is worth knowing, one line each.
        silent: names of the systems whose version is silent.
    """

    versions: dict[str, np.ndarray]
    rate: int
    notes: list[str]
    silent: list[str]


def prepare(
    clip: str, paths: Mapping[str, Path], rate: int, levels: Levels = "none", longest: float | None = None
) -> Prepared:
    """Reads all versions of one clip and makes them comparable.

    All are resampled to one rate. Each version gets the length of the first, the reference: what is longer is cut at its end,
    what is shorter is followed by zeros. Where any version exceeds full scale, all are turned down alike.

    Args:
        clip: its name, for messages.
        paths: the file of each system; the first is the reference.
        rate: sample rate of the result [Hz].
        levels: ``rms`` gives all versions the root mean square of the reference; ``none`` leaves levels as they are.
        longest: clips are cut to this length from their beginning [s]; None leaves them as they are.

    Raises:
        DataError: if a file cannot be read, numbers of channels differ, or a version is less than half or more than twice
            as long as the reference.
    """
    notes: list[str] = []
    read = {name: _read(path, rate) for name, path in paths.items()}
    first = next(iter(read))
    length = read[first].shape[1]
    for name, audio in read.items():
        if len(audio) != len(read[first]):
            raise DataError(
                f"{shown(paths[name])}: {len(audio)} channels, but {shown(paths[first])} has {len(read[first])}; mix both to "
                "the same number"
            )
        if not length <= 2 * audio.shape[1] <= 4 * length:
            raise DataError(
                f"{shown(paths[name])}: {audio.shape[1] / rate:.2f} s, but {shown(paths[first])} has {length / rate:.2f} s; "
                "expected the same recording. Remove or rename one"
            )
        apart = audio.shape[1] - length
        if abs(apart) > SLACK * rate:
            done = "cut" if apart > 0 else "followed by silence"
            notes.append(
                f"{clip}: {name} is {abs(apart) / rate:.2f} s {'longer' if apart > 0 else 'shorter'} than {first}; it is {done}"
            )
    kept = length if longest is None else min(length, round(longest * rate))
    if kept / rate > LONGEST:
        notes.append(
            f"{clip}: {kept / rate:.1f} s is long for a comparison; BS.1534 advises 10 s (--cut 10 cuts clips)"
        )
    versions = {name: _fitted(audio, kept, cut=kept < length, rate=rate) for name, audio in read.items()}
    silent = [name for name, audio in versions.items() if decibels(peak(audio)) < SILENT]
    if levels == "rms":
        versions, said = _levelled(clip, versions, silent)
        notes += said
    return Prepared(_below_full_scale(clip, versions, notes), rate, notes, silent)


def _read(path: Path, rate: int) -> np.ndarray:
    audio, own = files.read(path)
    return files.resample(audio, own, rate)


def _fitted(audio: np.ndarray, length: int, cut: bool, rate: int) -> np.ndarray:
    """Audio of exactly ``length`` samples, faded out where the reference was cut in the midst of its sound."""
    out = np.pad(audio[:, :length], ((0, 0), (0, max(0, length - audio.shape[1]))))
    if cut:
        faded = min(length, round(FADE * rate))
        out[:, length - faded :] *= np.linspace(1, 0, faded, dtype=np.float32)
    return out


def _levelled(
    clip: str, versions: Mapping[str, np.ndarray], silent: list[str]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """All versions at the root mean square of the first; silent ones are left alone."""
    first = next(iter(versions))
    if first in silent:
        return dict(versions), []
    out, said = {}, []
    for name, audio in versions.items():
        gain = 1.0 if name in silent else rms(versions[first]) / rms(audio)
        out[name] = audio * np.float32(gain)
        if abs(decibels(gain)) > 3:
            said.append(f"{clip}: the level of {name} was changed by {decibels(gain):+.1f} dB to that of {first}")
    return out, said


def _below_full_scale(clip: str, versions: Mapping[str, np.ndarray], notes: list[str]) -> dict[str, np.ndarray]:
    """All versions turned down by one factor where any exceeds full scale, so that none is clipped."""
    loudest = max(peak(audio) for audio in versions.values())
    if loudest <= 1:
        return dict(versions)
    notes.append(f"{clip}: all versions are turned down by {decibels(loudest):.1f} dB, as one exceeds full scale")
    return {name: audio / np.float32(loudest) for name, audio in versions.items()}
