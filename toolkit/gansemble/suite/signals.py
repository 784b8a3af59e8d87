"""Reads a pair of files as metrics need them: one channel, one rate, and lengths by a policy that is stated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from gansemble.audio import files
from gansemble.audio.names import shown
from gansemble.audio.reader import AudioReader
from gansemble.errors import DataError

Lengths = Literal["as they are", "cut", "pad"]
Channels = Literal["mono", "mix", "first"]


@dataclass(frozen=True)
class Reading:
    """How files become signals. It is part of what a score means, and stands in its hash.

    Args:
        sample_rate: that is scored at [Hz]; files of another rate are resampled to it (Kaiser-windowed sinc).
        lengths: ``as they are`` leaves it to the metrics, which cut up to 1,024 samples and refuse more unless they align
            the signals; ``cut`` cuts both to the shorter; ``pad`` cuts the estimate, or pads it with zeros, to the reference.
        channels: ``mono`` refuses files of several channels, ``mix`` takes the mean of the channels, ``first`` the first.
    """

    sample_rate: int
    lengths: Lengths = "as they are"
    channels: Channels = "mono"

    def as_dict(self) -> dict[str, str | int]:
        """The fields, for the hash of definitions and for results."""
        return asdict(self)


def survey(paths: Iterable[Path]) -> dict[Path, tuple[int, float]]:
    """The sample rate [Hz] and the length [s] of each file that can be opened, from its header."""
    found = {}
    for path in paths:
        try:
            with AudioReader(path) as reader:
                found[path] = reader.sample_rate, (reader.stated or 0) / reader.sample_rate
        except DataError:  # the scoring says why
            continue
    return found


def rate_of(surveyed: Mapping[Path, tuple[int, float]]) -> int:
    """The one sample rate of all files [Hz].

    Raises:
        DataError: if they have several, or none can be read.
    """
    rates: dict[int, list[Path]] = {}
    for path, (rate, _) in surveyed.items():
        rates.setdefault(rate, []).append(path)
    if len(rates) > 1:
        found = ", ".join(
            f"{rate} Hz: {len(there)} files, such as {shown(there[0])}" for rate, there in sorted(rates.items())
        )
        raise DataError(
            f"the files have {len(rates)} sample rates ({found}); give the one to score at, such as --rate {min(rates)}: what a "
            "file lacks, as all above half of a lower rate, counts in its scores"
        )
    if not rates:
        raise DataError(
            "none of the files can be read as audio; gansemble prepare names what is wrong with each of a folder"
        )
    return next(iter(rates))


def read(path: Path, reading: Reading) -> np.ndarray:
    """One signal as float32 [T].

    Raises:
        DataError: if the file cannot be read, or has several channels and ``reading`` does not say what to do with them.
    """
    audio, rate = files.read(path)
    if len(audio) > 1 and reading.channels == "mono":
        raise DataError(f"{path}: expected mono, got {len(audio)} channels; give --channels mix or first")
    mono = audio[:1] if reading.channels == "first" else audio.mean(axis=0, keepdims=True)
    return files.resample(mono, rate, reading.sample_rate)[0] if rate != reading.sample_rate else mono[0]


def aligned(estimate: np.ndarray, reference: np.ndarray, lengths: Lengths) -> tuple[np.ndarray, np.ndarray]:
    """Estimate and reference [T] with the lengths that the policy gives them."""
    if lengths == "cut":
        shorter = min(len(estimate), len(reference))
        return estimate[:shorter], reference[:shorter]
    if lengths == "pad":
        return np.pad(estimate[: len(reference)], (0, max(0, len(reference) - len(estimate)))), reference
    return estimate, reference
