"""The short-time Fourier transform's magnitudes as a picture."""

from __future__ import annotations

from typing import Annotated, Any

from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.contract import RepresentationContract
from gansemble.numbers import BelowOne, Range, Rounds, Samples, Window
from gansemble_plugins.time_frequency.imager import Imager, Inverse, contract_of
from gansemble_plugins.time_frequency.pictures import PIXELS, Pixels
from gansemble_plugins.time_frequency.transforms import Spectrogram


class StftImage:
    """Magnitudes of a short-time Fourier transform as a picture: periodic Hann window, frames centred on multiples of the
    hop, edges reflected.

    A picture has time before frequency, early frames and low frequencies first: the transpose of what is usually shown.

    Args:
        size: rows and columns of a square picture; null keeps frames and bins.
        n_fft: of the Fourier transform [samples].
        hop: between frames, at most half a window [samples].
        window: [samples]; null is n_fft.
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
        n_fft: Window = 2048,
        hop: Window = 1024,
        window: Window | None = None,
        pixels: Pixels = PIXELS,
        inverse: Inverse = "griffin_lim",
        iterations: Rounds = 16,
        momentum: BelowOne = 0.9,
    ) -> None:
        transform = Spectrogram(segment, n_fft, hop, window or n_fft, pixels.magnitude == "log_real")
        self.domain = pixels.domain
        images = Imager("stft_image", transform, size, pixels, audio.sample_rate, inverse, iterations, momentum)
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
        """Pictures of a segment, which must be long enough to be reflected."""
        n_fft, hop = parameters["n_fft"], parameters["hop"]
        transform = Spectrogram(parameters["segment"], n_fft, hop, parameters["window"] or n_fft)
        return contract_of(transform, parameters, n_fft // 2 + hop, "n_fft")
