"""Raw channels of a spectrogram as normalised images, and back: what all three representations share.

Images are [B, 2, L, F], frames before bins. What is encoded has the resolution of the current block; what is decoded
may have any block's resolution, and is brought to the full one by repeating pixels, which is what the published
generator does with its lower blocks' images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from gansemble_plugins.gansynth import growth
from gansemble_plugins.gansynth import spectrograms as spectra
from gansemble_plugins.gansynth.spectrograms import Framing

#: Phases are within ±1 by definition, and become ±0.8.
PHASE_SLOPE = 0.8
#: What the smallest and largest magnitude of the training split become, but for their signs.
MARGIN = 0.8


class NormalisedImages:
    """From raw channels to normalised images of the current resolution, and back.

    y = clip(a x + b, -1, 1). a and b of the magnitude are given, or measured so that the training split's smallest and
    largest values become -0.8 and 0.8; phases, within ±1 by definition, have a = 0.8 and b = 0.

    Args:
        framing: of the audio.
        preset: a and b of the magnitude; None until they are measured.
    """

    def __init__(self, framing: Framing, preset: tuple[float, float] | None = None) -> None:
        self.framing = framing
        self.magnitude, self.preset = preset, preset is not None
        self.set_progress(framing.blocks - 1)

    @property
    def fitted(self) -> bool:
        """Whether a and b are known."""
        return self.magnitude is not None

    def scale(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """((a, b) of the magnitude, (a, b) of the phase).

        Raises:
            RuntimeError: before they are known.
        """
        if self.magnitude is None:
            raise RuntimeError("the normaliser has not been measured; fit it to the training split (stage 2) first")
        return self.magnitude, (PHASE_SLOPE, 0.0)

    def fit(self, audio: Iterator[Tensor], magnitude: Callable[[Tensor], Tensor]) -> None:
        """Measures a and b on batches [B, 1, segment], of which ``magnitude`` makes the magnitudes of the images."""
        self.measure(magnitude(self.stft(batch)) for batch in audio)

    def measure(self, batches: Iterator[Tensor]) -> None:
        """a = 1.6 / (max - min) and b = -0.8 (max + min) / (max - min) over magnitudes [B, L, F]; a preset stays.

        Raises:
            ValueError: if there are none, or they are all alike.
        """
        if self.preset:
            return
        lowest, highest = float("inf"), float("-inf")
        for batch in batches:
            lowest, highest = min(lowest, float(batch.min())), max(highest, float(batch.max()))
        span = highest - lowest
        if not span > 1e-3:  # silence's floors differ in their last digits
            raise ValueError(f"log magnitudes must differ to be normalised, got {lowest:g} to {highest:g}")
        self.magnitude = 2 * MARGIN / span, MARGIN * (-2 * lowest / span - 1)

    def encode(self, magnitude: Tensor, angle: Tensor) -> Tensor:
        """Two raw channels [B, L, F] -> [B, 2, l, f]; resized and blended first, as published, and normalised then."""
        scale = self.scale()
        raw = growth.shrink(torch.stack([magnitude, angle], 1), self.progress, self.framing.blocks)
        return torch.stack([(raw[:, i] * a + b).clamp(-1, 1) for i, (a, b) in enumerate(scale)], 1)

    def decode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 2, l, f] of any block's resolution -> two raw channels [B, L, F] of the full one.

        Raises:
            ValueError: for another size.
        """
        frames, bins = self.framing.shape
        factor = frames // x.shape[2] if x.dim() == 4 and 0 < x.shape[2] <= frames else 0
        sizes = [2 ** (self.framing.blocks - block) for block in range(1, self.framing.blocks + 1)]
        if factor not in sizes or tuple(x.shape[1:]) != (2, frames // factor, bins // factor):
            raise ValueError(f"an image must be [B, 2, {frames}, {bins}] or that of a block below, got {list(x.shape)}")
        full = growth.upscale(x, factor)
        magnitude, angle = ((full[:, i] - b) / a for i, (a, b) in enumerate(self.scale()))
        return magnitude, angle

    def stft(self, audio: Tensor) -> Tensor:
        """[B, 1, segment] -> complex [B, L, F], in float32 at least.

        Raises:
            ValueError: for another shape.
        """
        if audio.dim() != 3 or tuple(audio.shape[1:]) != (1, self.framing.segment):
            raise ValueError(f"audio must be [B, 1, {self.framing.segment}], got {list(audio.shape)}")
        with torch.autocast(audio.device.type, enabled=False):
            return self.framing.stft(audio[:, 0].to(torch.promote_types(audio.dtype, torch.float32)))

    def istft(self, magnitude: Tensor, angle: Tensor) -> Tensor:
        """Linear magnitudes and phases [B, L, F] [rad] -> [B, 1, segment]."""
        return self.framing.istft(spectra.polar(magnitude, angle))[:, None]

    def set_progress(self, progress: float) -> None:
        """The resolution of what is encoded."""
        self.progress = growth.settle(progress, self.framing.blocks)

    def state_dict(self) -> dict[str, Any]:
        """a and b of the magnitude, once known."""
        return {} if self.magnitude is None else {"magnitude": list(self.magnitude)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What :meth:`state_dict` gave."""
        if "magnitude" in state:
            slope, offset = state["magnitude"]
            self.magnitude = float(slope), float(offset)
