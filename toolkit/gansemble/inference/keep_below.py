"""Keeps a recording's own low frequencies, beside what a generator adds above them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.contract import DEGRADED
from gansemble.inference.streaming import bounds
from gansemble.interfaces import Condition, Representation
from gansemble.interfaces.demands import generated
from gansemble.parts.device import device_of


class KeepBelow(nn.Module):
    """A generator whose output below a frequency is that of the recording itself: y = G(x) + LP(x - G(x)).

    LP is a linear-phase low-pass filter (Kaiser window, 90 dB), so that both bands fit together in phase and level.
    What the generator G does to the low frequencies is undone; what it adds above stays.

    Args:
        generator: reads signals, and gives as many samples.
        sample_rate: [Hz].
        hertz: where the low band ends [Hz]; the filter falls within 200 Hz around it.
        representation: decodes the generator's output to audio; the output here is audio.

    Shape:
        - input: condition whose signal is audio [B, 1, T], B channels of T samples
        - output: [B, 1, T]

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

        # kaiserord takes the width of the transition as a fraction of half the sample rate: 200 Hz of it here.
        taps, beta = kaiserord(90, 400 / sample_rate)
        taps |= 1  # an odd number of taps delays by whole samples
        self.generator = generator
        coefficients = firwin(taps, hertz, window=("kaiser", beta), fs=sample_rate)
        low = torch.tensor(coefficients, dtype=torch.float32, device=device_of(generator))[None, None]
        self.register_buffer("low", low, persistent=False)
        context, unit = bounds(generator)
        self.alignment = unit
        # The filter adds half its length to the context, rounded up to whole chunks.
        self.context_frames = None if context is None else context + -(-(taps // 2) // unit) * unit

    def forward(self, condition: Condition) -> Tensor:
        degraded = condition.signal(DEGRADED)
        made = self.decode(generated(self.generator, condition, degraded))[..., : degraded.shape[-1]]
        return made + nn.functional.conv1d(degraded - made, self.low, padding=self.low.shape[-1] // 2)
