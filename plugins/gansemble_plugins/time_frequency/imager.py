"""What both representations do with a transform: draw it, and come back from the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.contract import RepresentationContract
from gansemble_plugins.time_frequency import mel
from gansemble_plugins.time_frequency.colours import paint
from gansemble_plugins.time_frequency.inversion import noise, search, with_phase_of
from gansemble_plugins.time_frequency.pictures import Pictures, Pixels
from gansemble_plugins.time_frequency.transforms import Scalogram, Spectrogram

Inverse = Literal["griffin_lim", "noise", "none"]


class Imager:
    """Pictures of a transform.

    Args:
        name: of the representation, for messages.
        transform: of clips of one length.
        size: rows and columns of a square picture; None keeps frames and bands.
        pixels: what a pixel says.
        sample_rate: [Hz].
        inverse: where phases come from.
        iterations, momentum: of ``griffin_lim``.
    """

    def __init__(
        self,
        name: str,
        transform: Scalogram | Spectrogram,
        size: int | None,
        pixels: Pixels,
        sample_rate: int,
        inverse: Inverse,
        iterations: int,
        momentum: float,
    ) -> None:
        check_search(iterations, momentum)
        self.name, self.transform, self.sample_rate = name, transform, sample_rate
        self.pictures = Pictures(pixels, size, transform.frames, transform.bands)
        self.inverse, self.iterations, self.momentum = inverse, iterations, momentum
        self.state_dict, self.load_state_dict = self.pictures.state_dict, self.pictures.load_state_dict

    @property
    def fitted(self) -> bool:
        """Whether the level of what is decoded is known; for ``full_scale`` always."""
        return self.pictures.level is not None

    @torch.no_grad()
    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the training split's level on batches [B, 1, T], where the reference needs it.

        Raises:
            ValueError: if there is no sound in it.
        """
        self.pictures.measure(self.transform.magnitudes(self._mono(batch)) for batch in audio)

    def encode(self, audio: Tensor) -> Tensor:
        """[B, 1, T] -> [B, C, H, W]; with gradients, which are finite on silence too."""
        with torch.autocast(audio.device.type, enabled=False):
            return self.pictures.draw(self.transform.magnitudes(self._mono(audio)))

    def decode(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, 1, T], in float32 at least.

        Raises:
            ValueError: with ``inverse: none``.
        """
        if self.inverse == "none":
            raise ValueError(
                f"{self.name} with inverse none cannot be inverted; set inverse: griffin_lim or noise, or use "
                "decode_with_phase or log_mel"
            )
        with torch.autocast(x.device.type, enabled=False):
            magnitudes = self.pictures.read(_wide(x))
            if self.inverse == "noise":
                made = with_phase_of(self.transform, magnitudes, noise(self.transform, magnitudes))
            else:
                made = search(self.transform, magnitudes, self.iterations, self.momentum)
        return made[:, None]

    def decode_with_phase(self, x: Tensor, audio: Tensor) -> Tensor:
        """[B, C, H, W] and recordings [B, 1, T], or one for all [1, 1, T], whose phase is taken -> [B, 1, T].

        Raises:
            ValueError: for a recording of another length.
        """
        if audio.shape[0] not in (1, x.shape[0]):
            raise ValueError(f"{x.shape[0]} pictures need as many recordings, or one for all, got {audio.shape[0]}")
        with torch.autocast(x.device.type, enabled=False):
            magnitudes = self.pictures.read(_wide(x))
            return with_phase_of(self.transform, magnitudes, self._mono(audio).to(magnitudes.dtype))[:, None]

    def log_mel(self, x: Tensor, spec: AudioSpec) -> Tensor:
        """The natural-log mel spectrogram [B, mels, frames] that a vocoder reads, as well as a picture [B, C, H, W] allows."""
        with torch.autocast(x.device.type, enabled=False):
            return mel.log_mel(self.pictures.read(_wide(x)), self.transform, self.sample_rate, spec)

    @torch.no_grad()
    def picture(self, audio: np.ndarray) -> np.ndarray:
        """A clip [T] -> uint8 [H, W, 3]: time to the right, frequency upwards; a grey picture in grey. A longer clip is cut
        to the segment's length, a shorter one followed by silence."""
        held = torch.from_numpy(np.array(audio, dtype=np.float32))[None, None, : self.transform.length]
        held = F.pad(held, (0, self.transform.length - held.shape[-1]))
        low, high = self.pictures.pixels.range
        values = (self.encode(held)[0] - low) / (high - low)
        shown = paint(values, "grey")[0] if len(values) == 1 else values
        return (shown.transpose(1, 2).flip(1).movedim(0, -1) * 255).round().clamp(0, 255).to(torch.uint8).numpy()

    @property
    def phase(self) -> str:
        """Where phases come from in ``decode``."""
        return {
            "griffin_lim": f"searched for from a fixed noise's ({self.iterations} alternating projections)",
            "noise": "a fixed noise's",
            "none": "none: pictures are not decoded",
        }[self.inverse]

    def monitors(self) -> dict[str, float]:
        """How far the pictures decoded last are from their colour map, where they have one."""
        return {} if self.pictures.pixels.colours in ("grey", "grey3") else {"off_colour_map": self.pictures.off_map}

    def _mono(self, audio: Tensor) -> Tensor:
        length = self.transform.length
        if audio.dim() != 3 or audio.shape[1] != 1:
            raise ValueError(f"{self.name} is of mono audio [B, 1, T], got {list(audio.shape)}")
        if audio.shape[2] != length:
            raise ValueError(
                f"{self.name} is made for clips of {length} samples (plan.segment), got one of {audio.shape[2]}; "
                "cut it or pad it to that length"
            )
        return _wide(audio[:, 0])


def contract_of(
    transform: Scalogram | Spectrogram, parameters: Mapping[str, Any], shortest: int, because: str
) -> RepresentationContract:
    """What a representation of such pictures declares; ``because`` is the parameter that the shortest clip hangs on."""
    check_search(parameters["iterations"], parameters["momentum"])
    pixels: Pixels = parameters["pixels"]
    return RepresentationContract(
        domain=pixels.domain,
        shape=pixels.shape(parameters["size"], transform.frames, transform.bands),
        shortest=shortest,
        gives=frozenset({"no_sound"}) if parameters["inverse"] == "none" else frozenset(),
        because={"domain": "pixels", "shape": "size", "shortest": because, "gives": "inverse"},
    )


def check_search(iterations: int, momentum: float) -> None:
    """Refuses numbers that a search cannot have."""
    if iterations < 0 or not 0 <= momentum < 1:
        raise ValueError(f"iterations must be at least 0 and momentum in [0, 1), got {iterations} and {momentum:g}")


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
