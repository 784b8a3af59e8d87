"""A low-pass drawn for each clip, so that a generator learns no single filter by heart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.numbers import Decibels, Hertz, Layers, Positive, Seconds, Several
from gansemble_plugins.degradations import filters

Family = Literal["cheby1", "butter", "bessel", "ellip", "sinc"]

#: Zero crossings on each side of a windowed sinc, per order: orders 2 and 8 are the 8 and 32 crossings of usual resamplers.
CROSSINGS = 4


@dataclass(frozen=True)
class Drawn:
    """One filter: ``ripple`` [dB] counts for ``cheby1`` and ``ellip``, ``cutoff`` is in Hz."""

    family: Family
    order: int
    ripple: float
    cutoff: float


class LowPass:
    """Zero-phase low-pass at the same sample rate: family, order, ripple and cut-off drawn for each clip.

    Each recursive filter runs forward and backward, which doubles its decibels: Butterworth and Bessel filters are
    6 dB down at the cut-off, ``cheby1`` and ``ellip`` twice their ripple. ``sinc`` is a Hann-windowed sinc of
    4 * order zero crossings on each side, 6 dB down at the cut-off. The recording is taken to be silent before its
    beginning and after its end. No filter amplifies: what comes out has no more energy than what went in, but for the
    1 % of the sinc's overshoot.

    ``margin`` is how long the slowest of all filters rings, at either end of the range of cut-offs: until what is still
    to come adds up to less than 1e-5, or half the sinc's length.

    Args:
        audio: the audio specification, supplied by the toolkit.
        families: of filters, equally likely.
        orders: lowest and highest order, of one pass.
        ripples: of the pass-band [dB], of one pass, equally likely.
        attenuation: of the stop-band of ``ellip`` [dB], of one pass.
        cutoff: lowest and highest cut-off [Hz].
        spacing: whether cut-offs are drawn uniformly by octaves or by Hz.
        longest: what a filter may ring for [s]. An order that rings for longer gives way to the nearest that does not:
            high orders of ``ellip``, whose edge is too steep, and low ones with next to no ripple, which filter next to
            nothing.

    Shape: [T] -> [T], float32.

    Raises:
        ValueError: for a cut-off at or above half the sample rate, an order outside 1 to 16, a ripple that is not
            positive or not below ``attenuation``, nothing to choose from, or a filter that rings for too long at
            every order.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        families: tuple[Family, ...] = ("cheby1",),
        orders: tuple[Layers, Layers] = (8, 8),
        ripples: Annotated[tuple[Positive, ...], Several] = (0.05,),
        attenuation: Decibels = 20.0,
        cutoff: tuple[Hertz, Hertz] = (4000.0, 4000.0),
        spacing: Literal["log", "linear"] = "log",
        longest: Seconds = 1.0,
    ) -> None:
        _check(audio.sample_rate, families, orders, ripples, attenuation, cutoff)
        self.rate, self.families, self.orders, self.ripples = audio.sample_rate, families, orders, ripples
        self.attenuation, self.cutoff, self.log = attenuation, cutoff, spacing == "log"
        self.rings = {(family, ripple): self._rings(family, ripple) for family in families for ripple in ripples}
        self.margin = 1
        for (family, ripple), rings in self.rings.items():
            short = {order: ring for order, ring in rings.items() if ring <= longest * self.rate}
            if not short:
                order, ring = min(rings.items(), key=lambda each: each[1])
                raise ValueError(
                    f"orders: {family} of order {order} and {ripple:g} dB ripple must ring for at most {longest:g} s, got "
                    f"{ring / self.rate:.2f} s at {cutoff[0]:g} to {cutoff[1]:g} Hz; take another order or a higher `longest`"
                )
            self.rings[family, ripple] = short
            self.margin = max(self.margin, *short.values())

    def draw(self, rng: np.random.Generator) -> Drawn:
        """One filter; as many numbers are drawn whatever it is."""
        family, ripple = filters.one_of(rng, self.families), filters.one_of(rng, self.ripples)
        order = int(rng.integers(self.orders[0], self.orders[1] + 1))
        cutoff = filters.between(rng, self.cutoff, self.log)
        nearest = min(self.rings[family, ripple], key=lambda each: abs(each - order))
        return Drawn(family, nearest, ripple, cutoff)

    def apply(self, audio: np.ndarray, drawn: Drawn) -> np.ndarray:
        """The recording [T] through one filter, float32."""
        samples = filters.checked(audio)
        if drawn.family == "sinc":
            taps = filters.sinc(drawn.cutoff, self.rate, CROSSINGS * drawn.order)
            return filters.convolve(taps, samples).astype(np.float32)
        design = self._design(drawn)
        return filters.zero_phase(design.sections(), samples, design.ring()).astype(np.float32)

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.apply(audio, self.draw(rng))

    def _rings(self, family: Family, ripple: float) -> dict[int, int]:
        """How long each order rings [samples].

        A filter rings longest where its cut-off is nearest to 0 Hz or to half the sample rate, so the ends of the range
        are looked at.
        """
        orders = range(self.orders[0], self.orders[1] + 1)
        return {each: max(self._ring(Drawn(family, each, ripple, end)) for end in self.cutoff) for each in orders}

    def _ring(self, drawn: Drawn) -> int:
        if drawn.family == "sinc":
            return filters.sinc_reach(drawn.cutoff, self.rate, CROSSINGS * drawn.order)
        return self._design(drawn).ring()

    def _design(self, drawn: Drawn) -> filters.Design:
        assert drawn.family != "sinc"
        return filters.Design(drawn.family, drawn.order, drawn.cutoff, self.rate, drawn.ripple, self.attenuation)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Gives the degraded recording, of any length."""
        names = ("families", "orders", "ripples", "attenuation", "cutoff")
        _check(parameters["audio"].sample_rate, *(parameters[name] for name in names))
        LowPass(**parameters)  # how long its filters ring is known by designing them, in some milliseconds
        return Contract(gives=frozenset({"degraded"}))


def _check(
    sample_rate: int,
    families: tuple[Family, ...],
    orders: tuple[int, int],
    ripples: tuple[float, ...],
    attenuation: float,
    cutoff: tuple[float, float],
) -> None:
    if not families:
        raise ValueError("families must name at least one family, got none")
    filters.check_frequencies("cutoff", cutoff, sample_rate)
    filters.check_range("cutoff", cutoff)
    if not 1 <= orders[0] <= orders[1] <= filters.HIGHEST_ORDER:
        raise ValueError(f"orders must be a lowest and a highest from 1 to {filters.HIGHEST_ORDER}, got {orders}")
    if not ripples or min(ripples) <= 0:
        raise ValueError(f"ripples must be above 0 dB, got {ripples}")
    if "ellip" in families and max(ripples) >= attenuation:
        raise ValueError(f"attenuation must be above the ripple of {max(ripples):g} dB, got {attenuation:g} dB")
