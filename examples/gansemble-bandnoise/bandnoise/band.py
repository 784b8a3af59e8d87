"""A band of frequencies: what is wrong with one, and which bins of a spectrum lie in it. Imports nothing heavy."""

from __future__ import annotations

import math

#: The band where nothing is said [Hz]: within half of every rate from 16 kHz on.
DEFAULTS = {"low_hz": 4000.0, "high_hz": 8000.0}


def faults(low_hz: float, high_hz: float, sample_rate: int) -> list[tuple[str, str]]:
    """Each key that cannot be, with what was expected."""
    found = []
    if not 0 <= low_hz < math.inf:
        found.append(("low_hz", f"must not be negative, got {low_hz:g} Hz"))
    if not low_hz < high_hz:
        found.append(("high_hz", f"must lie above low_hz, which is {low_hz:g} Hz, got {high_hz:g} Hz"))
    if high_hz > sample_rate / 2:
        half = f"half the sample rate, which is {sample_rate / 2:g} Hz"
        found.append(("high_hz", f"must be at most {half}, got {high_hz:g} Hz"))
    return found


def demand(low_hz: float, high_hz: float, sample_rate: int) -> None:
    """Raises a ValueError unless the band can be."""
    for key, message in faults(low_hz, high_hz, sample_rate):
        raise ValueError(f"{key} {message}")


def bins(low_hz: float, high_hz: float, sample_rate: int, length: int) -> slice:
    """The bins of ``rfft`` of ``length`` samples with low_hz <= f < high_hz; none when the signal is too short."""
    return slice(math.ceil(low_hz * length / sample_rate), math.ceil(high_hz * length / sample_rate))


def shortest(low_hz: float, high_hz: float, sample_rate: int) -> int:
    """Samples whose spectrum has a bin in every band of this width."""
    return math.ceil(sample_rate / (high_hz - low_hz))
