"""The wavelet transform's magnitudes as a picture."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.contract import RepresentationContract
from gansemble.numbers import BelowOne, Hertz, Range, Rounds, Samples, Seconds
from gansemble_plugins.time_frequency.imager import Imager, Inverse, contract_of
from gansemble_plugins.time_frequency.morlet import MorletBank, frequencies
from gansemble_plugins.time_frequency.pictures import PIXELS, Pixels
from gansemble_plugins.time_frequency.transforms import Scalogram


class Cwt:
    """Magnitudes of a continuous wavelet transform with complex Morlet wavelets, averaged in frames, as a picture.

    A picture has time before frequency, early frames and low frequencies first: the transpose of what is usually shown.

    Args:
        size: rows and columns of a square picture; null keeps frames and scales.
        scales: wavelets.
        fmin: the lowest wavelet's centre [Hz].
        fmax: the highest one's [Hz]; null is 95 % of half the sample rate.
        spacing: of centres, in equal ratios or equal steps.
        w0: radians per standard deviation of a wavelet's envelope: larger is narrower in frequency.
        window: a frame's length [s].
        hop: between frames [s].
        frame: the mean magnitude over a frame, or the one in its middle.
        rate: of the coefficients that means are taken over: what each wavelet needs, or every sample.
        pixels: what a pixel says: of which magnitudes, how dark and how bright, in which colours.
        inverse: where phases come from: a search (Griffin-Lim), a fixed noise, or nowhere, so that nothing is decoded.
        iterations, momentum: of the search.

    Shape: audio [B, 1, segment] <-> [B, C, L, F], and with a size [B, C, size, size].

    Raises:
        ValueError: if a number cannot be.
    """

    soundless = False

    def __init__(
        self,
        *,
        audio: AudioSpec,
        segment: Samples,
        size: Annotated[int, Range(at_least=2, at_most=65_536)] | None = 128,
        scales: Annotated[int, Range(at_least=2, at_most=65_536)] = 128,
        fmin: Hertz = 40.0,
        fmax: Hertz | None = 7600.0,
        spacing: Literal["log", "linear"] = "log",
        w0: Annotated[float, Range(at_least=2, at_most=1000)] = 6.0,
        window: Seconds = 0.05,
        hop: Seconds = 0.025,
        frame: Literal["mean", "middle"] = "mean",
        rate: Literal["decimated", "full"] = "decimated",
        pixels: Pixels = PIXELS,
        inverse: Inverse = "griffin_lim",
        iterations: Rounds = 8,
        momentum: BelowOne = 0.9,
    ) -> None:
        transform = Scalogram(
            _bank(audio.sample_rate, scales, fmin, fmax, spacing, w0),
            segment,
            round(window * audio.sample_rate),
            round(hop * audio.sample_rate),
            frame,
            pixels.magnitude == "log_real",
            rate,
        )
        self.domain = pixels.domain
        images = Imager("cwt", transform, size, pixels, audio.sample_rate, inverse, iterations, momentum)
        self.images = images
        # What is done with pictures is the same for every transform.
        self.fit, self.state_dict, self.load_state_dict = images.fit, images.state_dict, images.load_state_dict
        self.decode_with_phase, self.log_mel = images.decode_with_phase, images.log_mel
        self.picture, self.monitors = images.picture, images.monitors

    @property
    def fitted(self) -> bool:
        """Whether the level of what is decoded is known; for ``full_scale`` always."""
        return self.images.fitted

    @property
    def phase(self) -> str:
        """Where phases come from in :meth:`decode`."""
        return self.images.phase

    def encode(self, audio: Tensor) -> Tensor:
        """[B, 1, segment] -> a picture; with gradients, which are finite on silence too."""
        return self.images.encode(audio)

    def decode(self, x: Tensor) -> Tensor:
        """A picture -> [B, 1, segment].

        Raises:
            ValueError: with ``inverse: none``.
        """
        return self.images.decode(x)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> RepresentationContract:
        """Pictures of a segment; the wavelets must lie below half the sample rate."""
        rate, segment = parameters["audio"].sample_rate, parameters["segment"]
        wavelets = ("scales", "fmin", "fmax", "spacing", "w0")
        window, hop = (round(parameters[name] * rate) for name in ("window", "hop"))
        transform = Scalogram(_bank(rate, *(parameters[name] for name in wavelets)), segment, window, hop)
        return contract_of(transform, parameters, window, "window")


def _bank(sample_rate: int, scales: int, fmin: float, fmax: float | None, spacing: str, w0: float) -> MorletBank:
    top = 0.95 * sample_rate / 2 if fmax is None else fmax
    return MorletBank(frequencies(scales, fmin, top, spacing), sample_rate, w0)
