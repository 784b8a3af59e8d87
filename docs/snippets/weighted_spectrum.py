"""A loss with tensors of its own: a module whose buffers move to the device by themselves."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from gansemble.interfaces import Step, Turn


class WeightedSpectrum(nn.Module):
    """Mean |ln|X| - ln|G|| of magnitude spectra, low frequencies weighing more.

    Args:
        n_fft: length of the window [samples].
    """

    turns: ClassVar[frozenset[Turn]] = frozenset({"generator"})

    def __init__(self, *, n_fft: int = 512) -> None:
        super().__init__()
        self.n_fft = n_fft
        # Made again of the constructor's arguments, so no checkpoint need hold them.
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("weight", torch.linspace(1, 0.1, n_fft // 2 + 1)[:, None], persistent=False)

    def spectrum(self, audio: Tensor) -> Tensor:
        """Logarithm of magnitudes [B, n_fft / 2 + 1, L] of [B, 1, T]."""
        made = torch.stft(audio[:, 0].float(), self.n_fft, self.n_fft // 4, window=self.window, return_complex=True)
        return (made.real.square() + made.imag.square() + 1e-6).log() / 2

    def forward(self, step: Step, turn: Turn) -> Tensor:
        with torch.autocast(step.real.device.type, enabled=False):
            return (self.weight * (self.spectrum(step.real) - self.spectrum(step.fake)).abs()).mean()
