"""Keeping a recording's own lows beside what a generator adds above."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.inference.streaming import bounds
from gansemble.interfaces import Condition, Representation
from gansemble.parts.device import device_of


class KeepBelow(nn.Module):
    """A generator whose output below a frequency is the recording's own: y = G(x) + LP(x - G(x)).

    LP is a linear-phase low-pass (Kaiser window, 90 dB), so that both bands fit together without a seam in phase or
    level. What the generator does to the lows is undone; what it adds above stays.

    Args:
        generator: reads signals and gives as many.
        sample_rate: [Hz].
        hertz: where the low band ends; the filter falls within 200 Hz around it.
        representation: brings what the generator makes to samples; what comes out here is samples.

    Raises:
        ValueError: if the frequency is not between 200 Hz and half the sample rate less 200 Hz.
    """

    low: Tensor

    def __init__(
        self, generator: nn.Module, sample_rate: int, hertz: float, representation: Representation | None = None
    ) -> None:
        super().__init__()
        self.decode = representation.decode if representation is not None else lambda x: x
        if not 200 <= hertz <= sample_rate / 2 - 200:
            raise ValueError(
                f"the band that is kept must end between 200 Hz and {sample_rate / 2 - 200:g} Hz, got {hertz:g} Hz"
            )
        from scipy.signal import firwin, kaiserord

        taps, beta = kaiserord(90, 400 / sample_rate)
        taps |= 1
        self.generator = generator
        coefficients = firwin(taps, hertz, window=("kaiser", beta), fs=sample_rate)
        low = torch.tensor(coefficients, dtype=torch.float32, device=device_of(generator))[None, None]
        self.register_buffer("low", low, persistent=False)
        context, unit = bounds(generator)
        self.alignment = unit
        self.context_frames = None if context is None else context + -(-(taps // 2) // unit) * unit

    def forward(self, condition: Condition) -> Tensor:
        assert condition.signal is not None
        made = self.decode(self.generator(condition).float())[..., : condition.signal.shape[-1]]
        return made + nn.functional.conv1d(condition.signal - made, self.low, padding=self.low.shape[-1] // 2)
