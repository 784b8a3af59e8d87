"""Magnitudes as pictures: level, size, colours and range of pixels, and the way back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.features import full_precision
from gansemble.numbers import Range, Signed
from gansemble_plugins.time_frequency.colours import paint, unpaint

#: A clip quieter than this is not raised to a picture's top [full scale]: of digital silence that would be its rounding.
QUIETEST = 1e-5
#: Where logarithms end, far below any floor.
LEAST = 1e-9


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What a pixel says of a magnitude.

    Args:
        magnitude: linear, its logarithm, or the logarithm of the real part's magnitude.
        floor_db: what lies lower than this below the reference is black [dB].
        reference: what white is: full scale (a sine of amplitude 1), each clip's own maximum, or the training split's.
            Decoding takes the maximum of a ``clip`` picture to be the training split's mean one [dB].
        range: of pixels, black and white.
        colours: grey in one channel or in three, or one of matplotlib's maps in three.
        literal_zero: exact zeros of ``log_real`` get the logarithm 0, as in the paper's code, which is brighter than any
            small value.

    Raises:
        ValueError: if a number cannot be.
    """

    magnitude: Literal["linear", "log", "log_real"] = "log"
    floor_db: Annotated[float, Range(above=0, at_most=1000)] = 80.0
    reference: Literal["full_scale", "clip", "training"] = "full_scale"
    range: tuple[Signed, Signed] = (-1.0, 1.0)
    colours: Literal["grey", "grey3", "viridis", "jet"] = "grey"
    literal_zero: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.floor_db) and self.floor_db > 0):
            raise ValueError(f"floor_db must be positive, got {self.floor_db:g}")
        low, high = self.range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"range must be two numbers, the lower first, got [{low:g}, {high:g}]")
        if self.literal_zero and self.magnitude != "log_real":
            raise ValueError(f"literal_zero is of magnitude log_real, got {self.magnitude}; leave it out")

    @property
    def channels(self) -> int:
        """Of a picture."""
        return 1 if self.colours == "grey" else 3

    @property
    def domain(self) -> str:
        """``log_spectrogram`` for logarithms within ±1, which networks for such pictures fit; else ``spectrogram``."""
        logarithms = self.magnitude != "linear" and tuple(self.range) == (-1.0, 1.0)
        return "log_spectrogram" if logarithms else "spectrogram"

    def shape(self, size: int | None, frames: int, bands: int) -> tuple[int, int, int]:
        """Of a picture: channels, time, frequency; ``size`` in place of both, where it is given.

        Raises:
            ValueError: if the size cannot be.
        """
        if size is not None and size < 2:
            raise ValueError(f"size must be at least 2 or null, got {size}")
        return (self.channels, size or frames, size or bands)


#: What pictures are unless they are told otherwise: grey, logarithmic, within ±1.
PIXELS = Pixels()


class Pictures:
    """Draws magnitudes [B, L, F] as pictures [B, C, H, W], and reads magnitudes from pictures.

    A value is 0 at the floor and 1 at the reference level: 1 + (20 log10(m) - level) / floor_db, or m / level for linear
    magnitudes. It is brought to the picture's size with straight interpolation and antialiasing, and then coloured.

    Args:
        pixels: what a pixel says.
        size: rows and columns of a square picture; None keeps frames and bands.
        frames, bands: of the magnitudes.
    """

    def __init__(self, pixels: Pixels, size: int | None, frames: int, bands: int) -> None:
        self.pixels, self.frames, self.bands = pixels, frames, bands
        self.shape = pixels.shape(size, frames, bands)
        self.level: float | None = 0.0 if pixels.reference == "full_scale" else None
        self.off_map = 0.0

    def measure(self, magnitudes: Iterator[Tensor]) -> None:
        """The level that decoding assumes: the loudest of all clips' maxima for ``training``, their mean in dB without
        those of silent clips for ``clip``; full scale needs none and reads nothing.

        Raises:
            ValueError: if there are no clips, all are silent, or one is not finite.
        """
        if self.pixels.reference == "full_scale":
            return
        peaks = [batch.flatten(1).amax(1).double().cpu() for batch in magnitudes]
        if not peaks:
            raise ValueError("a picture's level is measured on at least one training segment, got none")
        peak = torch.cat(peaks)
        if not bool(torch.isfinite(peak).all()):
            raise ValueError("a picture's level cannot be measured on audio that is not finite; look for NaN or Inf")
        heard = peak[peak > QUIETEST]
        if not len(heard):
            raise ValueError("a picture's level cannot be measured: every training segment is silent")
        decibels = 20 * heard.log10()
        self.level = float(decibels.max() if self.pixels.reference == "training" else decibels.mean())

    def draw(self, magnitudes: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """[B, L, F] -> [B, C, H, W]; ``size`` in place of the picture's own."""
        values = self._values(magnitudes)
        values = resize(values, size or (self.shape[1], self.shape[2])).clamp(0, 1)
        painted = values[:, None] if self.pixels.colours == "grey" else paint(values, self._map())
        low, high = self.pixels.range
        return low + (high - low) * painted

    def read(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> magnitudes [B, L, F], 0 at the floor.

        Raises:
            ValueError: for another shape.
            RuntimeError: before the level is known.
        """
        if x.dim() != 4 or tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"a picture must be [B, {', '.join(map(str, self.shape))}], got {list(x.shape)}")
        level = self._level()
        low, high = self.pixels.range
        values = ((x - low) / (high - low)).clamp(0, 1)
        if self.pixels.colours == "grey":
            values = values[:, 0]
        elif self.pixels.colours == "grey3":
            values = values.mean(1)
        else:
            values, distances = unpaint(values, self._map())
            self.off_map = float(distances.detach().mean()) if distances.device.type != "meta" else 0.0
        values = resize(values, (self.frames, self.bands)).clamp(0, 1)
        if self.pixels.magnitude == "linear":
            return values * 10 ** (level / 20)
        decibels = level + (values - 1) * self.pixels.floor_db
        return torch.where(values <= 0, torch.zeros_like(values), 10 ** (decibels / 20))

    def off_colours(self, x: Tensor) -> Tensor:
        """How far each picture's pixels are from their colour map in the mean [B]; 1 is a channel's whole range."""
        low, high = self.pixels.range
        values = ((x - low) / (high - low)).clamp(0, 1)
        if self.pixels.colours == "grey":
            return values.new_zeros(len(values))
        return unpaint(values, self._map())[1].flatten(1).mean(1)

    def _map(self) -> str:
        return "grey" if self.pixels.colours == "grey3" else self.pixels.colours

    def _level(self) -> float:
        if self.level is None:
            raise RuntimeError(
                f"reference {self.pixels.reference} has no level yet; run stage 2 (statistics), or call fit"
            )
        return self.level

    def _values(self, magnitudes: Tensor) -> Tensor:
        """From 0 at the floor to 1 at the reference."""
        if self.pixels.reference == "clip":
            level = magnitudes.flatten(1).amax(1).clamp_min(QUIETEST)[:, None, None]
        else:
            level = torch.full_like(magnitudes[:1, :1, :1], 10 ** (self._level() / 20))
        if self.pixels.magnitude == "linear":
            return (magnitudes / level).clamp(0, 1)
        decibels = 20 * torch.log10(magnitudes.clamp_min(LEAST))
        if self.pixels.literal_zero:
            decibels = torch.where(magnitudes == 0, torch.zeros_like(decibels), decibels)
        return (1 + (decibels - 20 * torch.log10(level)) / self.pixels.floor_db).clamp(0, 1)

    def state_dict(self) -> dict[str, Any]:
        """The level, once known [dB of full scale]."""
        return {} if self.level is None else {"level_db": self.level}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What :meth:`state_dict` gave."""
        if "level_db" in state:
            self.level = float(state["level_db"])


def resize(values: Tensor, size: tuple[int, int]) -> Tensor:
    """[B, L, F] -> [B, *size]: straight interpolation, with antialiasing where there are fewer pixels than before.

    As two products with small matrices, whose gradients are the same each time on a GPU too.
    """
    if tuple(values.shape[1:]) == size:
        return values
    rows = _weights(values.shape[1], size[0], values.device, values.dtype)
    columns = _weights(values.shape[2], size[1], values.device, values.dtype)
    with full_precision():
        return rows @ values @ columns.T


@lru_cache(maxsize=32)
def _weights(before: int, after: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The linear map [after, before] of one axis."""
    with torch.inference_mode(False), torch.no_grad():
        unit = torch.eye(before, dtype=torch.float64, device="cpu")[None, None]
        made = F.interpolate(unit, (after, before), mode="bilinear", antialias=True, align_corners=False)[0, 0]
        return made.to(dtype).to(device)
