"""Resampling to a lower rate and back: what a recording made at that rate sounds like at this one."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from scipy import signal

from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.numbers import Range, SampleRate, Several
from gansemble_plugins.degradations import filters


class Decimate:
    """Down to a drawn sample rate and up again by the same rational factor; length and time are kept.

    Both ways through one linear-phase filter: flat to ``edge`` of half the lower rate, 100 dB down from half the lower
    rate on. Aliases are therefore as far down, and the result does not depend on where a crop begins between the
    coarse samples. The recording is taken to be silent before its beginning and after its end. What comes out has no
    more energy than what went in, within 0.01 %.

    ``margin`` is half the length of both filters together, at the rate that needs the longest.

    Args:
        audio: the audio specification, supplied by the toolkit.
        rates: the lower sample rates [Hz], equally likely.
        edge: how much of the lower band is kept untouched.

    Shape: [T] -> [T], float32.

    Raises:
        ValueError: for a rate that is not below the sample rate, for none, or an ``edge`` outside 0.5 to 0.99.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        rates: Annotated[tuple[SampleRate, ...], Several] = (8000,),
        edge: Annotated[float, Range(at_least=0.5, at_most=0.99)] = 0.9,
    ) -> None:
        _check(audio.sample_rate, rates, edge)
        self.rates, self.edge = rates, edge
        self.ratios = [_ratio(rate, audio.sample_rate) for rate in rates]
        self.margin = max(2 * (len(_taps(up, down, edge)) // 2 // up + 1) + down // up + 1 for up, down in self.ratios)

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        samples = filters.checked(audio)
        up, down = self.ratios[int(rng.integers(len(self.ratios)))]
        taps = _taps(up, down, self.edge)
        coarse = signal.resample_poly(samples, up, down, window=taps)
        return signal.resample_poly(coarse, down, up, window=taps)[: len(samples)].astype(np.float32)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Gives the degraded recording, of any length."""
        _check(parameters["audio"].sample_rate, parameters["rates"], parameters["edge"])
        return Contract(gives=frozenset({"degraded"}))


def _ratio(rate: int, sample_rate: int) -> tuple[int, int]:
    """``rate / sample_rate`` in lowest terms."""
    common = math.gcd(rate, sample_rate)
    return rate // common, sample_rate // common


@lru_cache(maxsize=64)
def _taps(up: int, down: int, edge: float) -> np.ndarray:
    """The filter [2 N + 1] at ``up`` times the upper rate, whose band ends at 1 / ``down`` of its Nyquist frequency."""
    count, beta = signal.kaiserord(filters.SMALL_DB, (1 - edge) / down)
    return signal.firwin(count | 1, (1 + edge) / 2 / down, window=("kaiser", beta))


def _check(sample_rate: int, rates: tuple[int, ...], edge: float) -> None:
    if not rates:
        raise ValueError("rates must name at least one sample rate, got none")
    for rate in rates:
        if not 0 < rate < sample_rate:
            raise ValueError(f"rates must be above 0 and below the sample rate ({sample_rate} Hz), got {rate} Hz")
    if not 0.5 <= edge <= 0.99:
        raise ValueError(f"edge must be from 0.5 to 0.99, got {edge:g}")
