"""The audio specification: how audio is sampled and framed, for data, training and inference. Imports no torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Literal, get_args

from gansemble import numbers
from gansemble.numbers import Channels, Floor, Hertz, SampleRate, Window

#: How mel filters are spaced and weighted.
MelFilters = Literal["slaney", "htk"]


@dataclass(frozen=True)
class AudioSpec:
    """How audio is sampled and turned into a mel spectrogram.

    Args:
        sample_rate: [Hz].
        n_fft: FFT length [samples].
        hop: frame shift [samples].
        window: Hann window length [samples].
        mels: number of mel bands.
        fmin: lower edge of the lowest band [Hz].
        fmax: upper edge of the highest band [Hz]; null is half the sample rate.
        log_floor: mel magnitudes are clamped to at least this before the natural logarithm; with 1e-5 silence becomes
            -11.512925.
        power_floor: added to the power spectrum before the square root that gives magnitudes.
        mel_filters: ``slaney``: on Slaney's mel scale, each filter of the same area, as librosa's are unless told otherwise;
            ``htk``: on HTK's scale, each filter with a peak of one, as torchaudio's are.

    Raises:
        ValueError: if the numbers cannot describe a spectrogram.
    """

    sample_rate: SampleRate = 22050
    n_fft: Window = 1024
    hop: Window = 256
    window: Window = 1024
    mels: Channels = 80
    fmin: Hertz = 0.0
    fmax: Hertz | None = 8000.0
    log_floor: Floor = 1e-5
    power_floor: Floor = 1e-9
    mel_filters: MelFilters = "slaney"

    def __post_init__(self) -> None:
        for key, message in self.problems():
            raise ValueError(f"audio.{key}: {message}")

    def problems(self) -> list[tuple[str, str]]:
        """(key, message) for each impossible value; empty for a valid specification."""
        found = [(str(place[0]), wrong) for place, wrong in numbers.outside_fields(self)]
        if found:  # what these are compared with would be called wrong, too
            return found
        if self.mel_filters not in get_args(MelFilters):
            found.append(("mel_filters", f"must be slaney or htk, got {self.mel_filters!r}"))
        if self.window > self.n_fft:
            found.append(("window", f"must not exceed n_fft {self.n_fft}, got {self.window}"))
        if self.hop > self.window:
            found.append(("hop", f"must not exceed window {self.window}, got {self.hop}"))
        if self.top > self.sample_rate / 2:
            nyquist = f"half the sample rate ({self.sample_rate / 2:g} Hz)"
            found.append(
                (
                    "fmax",
                    f"must be at most {nyquist}, got {self.top:g} Hz; use a lower fmax, or null for {nyquist}",
                )
            )
        if not 0 <= self.fmin < self.top:
            found.append(("fmin", f"must be at least 0 and below fmax {self.top:g} Hz, got {self.fmin:g}"))
        if (self.n_fft - self.hop) % 2:
            found.append(("hop", f"n_fft - hop must be even for centred frames, got {self.n_fft} - {self.hop}"))
        return found

    @property
    def top(self) -> float:
        """The upper edge of the highest mel band [Hz]: ``fmax``, or half the sample rate where that is None."""
        return self.sample_rate / 2 if self.fmax is None else float(self.fmax)

    def full_band(self) -> AudioSpec:
        """A copy with mel bands up to half the sample rate, as mel-spectrogram losses use them."""
        return dataclasses.replace(self, fmax=None)

    @property
    def filters(self) -> str:
        """The mel filters in words, such as ``Slaney's scale and normalisation``."""
        return "Slaney's scale and normalisation" if self.mel_filters == "slaney" else "HTK's scale and peaks of one"

    def as_dict(self) -> dict[str, int | float | str | None]:
        """The fields by name, as JSON can hold them; without ``mel_filters`` where these are Slaney's.

        What was written before there was this key has none either, and stays equal.
        """
        found = dataclasses.asdict(self)
        return {name: value for name, value in found.items() if (name, value) != ("mel_filters", "slaney")}

    def digest(self) -> str:
        """A hash [16 hexadecimal digits] that is equal for specifications that mean the same.

        An ``fmax`` of None and half the sample rate written out mean the same.
        """
        meaning = self.as_dict() | {"fmax": self.top, "fmin": float(self.fmin)}
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, other: AudioSpec) -> list[str]:
        """A line ``audio.<key>: <this one's> -> <the other's>`` for every field whose meaning differs."""
        mine, theirs = (dataclasses.asdict(each) | {"fmax": each.top} for each in (self, other))
        return [f"audio.{name}: {mine[name]} -> {theirs[name]}" for name in mine if mine[name] != theirs[name]]
