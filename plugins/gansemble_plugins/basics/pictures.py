"""The representation of pictures that are stored as clips of their values."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from gansemble.contract import RepresentationContract
from gansemble.numbers import Channels, Samples


class Picture:
    """Clips of channels * height * width samples as pictures: channel by channel, each row by row.

    Samples in [-1, 1] stand for values from 0 to 255, value / 127.5 - 1. Corpus ``cifar10`` gives such clips.

    Args:
        segment: must be one picture's samples.
        channels: 3 of red, green and blue, or 1 of grey.
        height: rows of a picture [pixels].
        width: of a row [pixels].

    Shape: audio [B, 1, channels * height * width] <-> [B, channels, height, width].

    Raises:
        ValueError: if a size cannot be, or the segment is not one picture.
    """

    domain = "picture"
    soundless = True

    def __init__(
        self, *, segment: Samples = 3072, channels: Channels = 3, height: Channels = 32, width: Channels = 32
    ) -> None:
        _check(segment, channels, height, width)
        self.channels, self.height, self.width = channels, height, width

    @property
    def samples(self) -> int:
        """Of a picture."""
        return self.channels * self.height * self.width

    def encode(self, audio: Tensor) -> Tensor:
        """[B, 1, channels * height * width] -> [B, channels, height, width].

        Raises:
            ValueError: if it has another shape.
        """
        if audio.dim() != 3 or audio.shape[1:] != (1, self.samples):
            raise ValueError(f"expected clips [B, 1, {self.samples}] of one picture each, got {list(audio.shape)}")
        return audio.reshape(-1, self.channels, self.height, self.width)

    def decode(self, x: Tensor) -> Tensor:
        """[B, channels, height, width] -> [B, 1, channels * height * width].

        Raises:
            ValueError: if it has another shape.
        """
        wanted = (self.channels, self.height, self.width)
        if x.dim() != 4 or x.shape[1:] != wanted:
            raise ValueError(f"expected pictures [B, {', '.join(map(str, wanted))}], got {list(x.shape)}")
        return x.reshape(-1, 1, self.samples)

    def picture(self, audio: np.ndarray) -> np.ndarray:
        """Samples [T] of one picture -> uint8 [H, W, 3]; what lies beyond ±1 is clipped, and grey is grey in all three.

        Raises:
            ValueError: if it is not one picture, or not finite.
        """
        if audio.shape != (self.samples,):
            raise ValueError(f"expected the {self.samples} samples of one picture, got shape {audio.shape}")
        values = np.rint((audio.astype(np.float64) + 1) * 127.5)
        if not np.isfinite(values).all():
            raise ValueError("a picture with NaN or Inf cannot be shown")
        planes = np.clip(values, 0, 255).astype(np.uint8).reshape(self.channels, self.height, self.width)
        return np.ascontiguousarray(np.broadcast_to(planes, (3, self.height, self.width)).transpose(1, 2, 0))

    @staticmethod
    def contract(parameters: dict[str, int]) -> RepresentationContract:
        """Gives pictures of the stated size, for segments of one picture."""
        shape = (parameters["channels"], parameters["height"], parameters["width"])
        samples = _check(parameters["segment"], *shape)
        return RepresentationContract(
            domain="picture",
            shape=shape,
            granularity=samples,
            shortest=samples,
            because={"shape": "height", "granularity": "height", "shortest": "height"},
        )


def _check(segment: int, channels: int, height: int, width: int) -> int:
    """The samples of a picture, where the sizes can be."""
    if channels not in (1, 3):
        raise ValueError(f"channels must be 3 (red, green, blue) or 1 (grey), got {channels}")
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be positive, got {height} and {width}")
    samples = channels * height * width
    if segment != samples:
        raise ValueError(
            f"plan.segment must be {samples}, the samples of one picture of {channels} x {height} x {width}, got {segment}"
        )
    return samples
