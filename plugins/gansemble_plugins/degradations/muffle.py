"""Muffling as a sound engineer does it with a parametric equaliser: a high shelf turned down, and a gentle low-pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import signal

from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.numbers import Decibels, Hertz, Layers
from gansemble_plugins.degradations import filters


class Muffle:
    """A high shelf of ``gain`` dB at ``shelf`` Hz and a Butterworth low-pass at ``low_pass`` Hz, drawn, zero-phase.

    The report on music super-resolution speaks of muffling by an equaliser and does not state which; these are choices
    of ours. Both filters run forward and backward: the shelf is designed with half its gain, so that together the passes
    have ``gain``, half of it at ``shelf``; the low-pass is 6 dB down at its frequency and falls by 12 dB an octave for
    each order. Nothing is amplified, so what comes out has no more energy than what went in.

    ``margin`` is how long the slowest of all filters rings: until 100 dB down.

    Args:
        audio: the audio specification, supplied by the toolkit.
        shelf: lowest and highest frequency of the shelf's middle [Hz], drawn uniformly by octaves.
        gain: lowest and highest gain of the shelf [dB], at most 0, drawn uniformly.
        low_pass: lowest and highest cut-off [Hz], drawn uniformly by octaves.
        orders: lowest and highest order of the low-pass, of one pass.

    Shape: [T] -> [T], float32.

    Raises:
        ValueError: for a frequency at or above half the sample rate, a gain above 0 dB, an order outside 1 to 4, or a
            range whose ends are not in order.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        shelf: tuple[Hertz, Hertz] = (1500.0, 4000.0),
        gain: tuple[Decibels, Decibels] = (-36.0, -12.0),
        low_pass: tuple[Hertz, Hertz] = (3000.0, 7000.0),
        orders: tuple[Layers, Layers] = (1, 2),
    ) -> None:
        _check(audio.sample_rate, shelf, gain, low_pass, orders)
        self.rate, self.shelf, self.gain, self.low_pass, self.orders = audio.sample_rate, shelf, gain, low_pass, orders
        corners = [
            (frequency, decibels, cutoff, order)
            for frequency in shelf
            for decibels in gain
            for cutoff in low_pass
            for order in orders
        ]
        self.margin = max(self._sections(*corner)[1] for corner in corners)

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        samples = filters.checked(audio)
        frequency, decibels = filters.between(rng, self.shelf, log=True), filters.between(rng, self.gain)
        cutoff, order = (
            filters.between(rng, self.low_pass, log=True),
            int(rng.integers(self.orders[0], self.orders[1] + 1)),
        )
        sections, ring = self._sections(frequency, decibels, cutoff, order)
        return filters.zero_phase(sections, samples, ring).astype(np.float32)

    def _sections(self, frequency: float, decibels: float, cutoff: float, order: int) -> tuple[np.ndarray, int]:
        """The chain as second-order sections of one pass, and how long it rings [samples]."""
        low = filters.Design("butter", order, cutoff, self.rate)
        shelf = high_shelf(frequency, decibels / 2, self.rate)
        # Of a chain the slowest filter decides, and the others delay it by as long as they ring at most.
        return np.concatenate([shelf, low.sections()]), low.ring() + filters.ringing(*signal.sos2zpk(shelf))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Gives the degraded recording, of any length."""
        names = ("shelf", "gain", "low_pass", "orders")
        _check(parameters["audio"].sample_rate, *(parameters[name] for name in names))
        return Contract(gives=frozenset({"degraded"}))


def high_shelf(frequency: float, decibels: float, sample_rate: int) -> np.ndarray:
    """A second-order high shelf as one section [1, 6]: 0 dB at 0 Hz, half of ``decibels`` at ``frequency`` [Hz], all of
    them at half the sample rate, as steep as it can be without a hump (slope 1; Bristow-Johnson's equaliser formulae)."""
    a = 10 ** (decibels / 40)
    omega = 2 * math.pi * frequency / sample_rate
    cosine, width = math.cos(omega), math.sqrt(2 * a) * math.sin(omega)
    numerator = [
        a * (a + 1 + (a - 1) * cosine + width),
        -2 * a * (a - 1 + (a + 1) * cosine),
        a * (a + 1 + (a - 1) * cosine - width),
    ]
    denominator = [
        a + 1 - (a - 1) * cosine + width,
        2 * (a - 1 - (a + 1) * cosine),
        a + 1 - (a - 1) * cosine - width,
    ]
    return np.array([numerator + denominator]) / denominator[0]


def _check(
    sample_rate: int,
    shelf: tuple[float, float],
    gain: tuple[float, float],
    low_pass: tuple[float, float],
    orders: tuple[int, int],
) -> None:
    for name, limits in (("shelf", shelf), ("low_pass", low_pass)):
        filters.check_frequencies(name, limits, sample_rate)
    for name, limits in (("shelf", shelf), ("gain", gain), ("low_pass", low_pass)):
        filters.check_range(name, limits)
    if gain[1] > 0:
        raise ValueError(f"gain must be at most 0 dB, got {gain[1]:g} dB")
    if not 1 <= orders[0] <= orders[1] <= 4:
        raise ValueError(f"orders must be a lowest and a highest from 1 to 4, got {orders}")
