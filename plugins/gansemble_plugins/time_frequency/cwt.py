"""The wavelet transform's magnitudes as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Contract
from gansemble_plugins.time_frequency.imager import Imager, check_search
from gansemble_plugins.time_frequency.morlet import MorletBank, frequencies
from gansemble_plugins.time_frequency.pictures import Pixels
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
        magnitude: linear, its logarithm, or the logarithm of the real part's magnitude.
        literal_zero: exact zeros of ``log_real`` get the logarithm 0, as in the paper's code, which is brighter than any small value.
        floor_db: what lies lower than this below the reference is black [dB].
        reference: what white is: full scale (a sine of amplitude 1), each clip's own maximum, or the training split's.
            Decoding takes the maximum of a ``clip`` picture to be the training split's mean one [dB].
        range: of pixels, black and white.
        colours: grey in one channel or in three, or one of matplotlib's maps in three.
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
        segment: int,
        size: int | None = 128,
        scales: int = 128,
        fmin: float = 40.0,
        fmax: float | None = 7600.0,
        spacing: Literal["log", "linear"] = "log",
        w0: float = 6.0,
        window: float = 0.05,
        hop: float = 0.025,
        frame: Literal["mean", "middle"] = "mean",
        rate: Literal["decimated", "full"] = "decimated",
        magnitude: Literal["linear", "log", "log_real"] = "log",
        literal_zero: bool = False,
        floor_db: float = 80.0,
        reference: Literal["full_scale", "clip", "training"] = "full_scale",
        range: tuple[float, float] = (-1.0, 1.0),
        colours: Literal["grey", "grey3", "viridis", "jet"] = "grey",
        inverse: Literal["griffin_lim", "noise", "none"] = "griffin_lim",
        iterations: int = 8,
        momentum: float = 0.9,
    ) -> None:
        transform = Scalogram(
            _bank(audio.sample_rate, scales, fmin, fmax, spacing, w0),
            segment,
            round(window * audio.sample_rate),
            round(hop * audio.sample_rate),
            frame,
            magnitude == "log_real",
            rate,
        )
        pixels = Pixels(size, magnitude, floor_db, reference, range, colours, literal_zero)
        self.domain = pixels.domain
        self.images = Imager("cwt", transform, pixels, audio.sample_rate, inverse, iterations, momentum)

    @property
    def fitted(self) -> bool:
        """Whether the level of what is decoded is known; for ``full_scale`` always."""
        return self.images.fitted

    @property
    def phase(self) -> str:
        """Where phases come from in :meth:`decode`."""
        return self.images.phase

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the training split's level, where the reference needs it.

        Raises:
            ValueError: if there is no sound in it.
        """
        self.images.fit(audio)

    def encode(self, audio: Tensor) -> Tensor:
        """[B, 1, segment] -> a picture; with gradients, which are finite on silence too."""
        return self.images.encode(audio)

    def decode(self, x: Tensor) -> Tensor:
        """A picture -> [B, 1, segment].

        Raises:
            ValueError: with ``inverse: none``.
        """
        return self.images.decode(x)

    def decode_with_phase(self, x: Tensor, audio: Tensor) -> Tensor:
        """A picture and a recording [B, 1, segment], whose phase is taken -> [B, 1, segment].

        Raises:
            ValueError: for a recording of another length.
        """
        return self.images.decode_with_phase(x, audio)

    def log_mel(self, x: Tensor, spec: AudioSpec) -> Tensor:
        """The natural-log mel spectrogram [B, mels, L] that a vocoder reads, as well as a picture allows."""
        return self.images.log_mel(x, spec)

    def picture(self, audio: np.ndarray) -> np.ndarray:
        """A clip [T], cut or padded to a segment, as it is usually looked at: uint8 [H, W, 3], time to the right, frequency
        upwards."""
        return self.images.picture(audio)

    def monitors(self) -> dict[str, float]:
        """How far the pictures decoded last are from their colour map, where they have one."""
        return self.images.monitors()

    def state_dict(self) -> dict[str, Any]:
        """The level."""
        return self.images.pictures.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The level."""
        self.images.pictures.load_state_dict(state)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Pictures of a segment; the wavelets must lie below half the sample rate."""
        rate, segment = parameters["audio"].sample_rate, parameters["segment"]
        wavelets = ("scales", "fmin", "fmax", "spacing", "w0")
        window, hop = (round(parameters[name] * rate) for name in ("window", "hop"))
        transform = Scalogram(_bank(rate, *(parameters[name] for name in wavelets)), segment, window, hop)
        check_search(parameters["iterations"], parameters["momentum"])
        names = ("size", "magnitude", "floor_db", "reference", "range", "colours", "literal_zero")
        pixels = Pixels(*(parameters[name] for name in names))
        return Contract(
            domain=pixels.domain,
            shape=pixels.shape(transform.frames, transform.bands),
            shortest=window,
            gives=frozenset({"no_sound"}) if parameters["inverse"] == "none" else frozenset(),
            because={"domain": "magnitude", "shape": "size", "shortest": "window", "gives": "inverse"},
        )


def _bank(sample_rate: int, scales: int, fmin: float, fmax: float | None, spacing: str, w0: float) -> MorletBank:
    top = 0.95 * sample_rate / 2 if fmax is None else fmax
    return MorletBank(frequencies(scales, fmin, top, spacing), sample_rate, w0)
