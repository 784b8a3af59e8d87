"""A loss of the generator."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn
from gansemble.numbers import Floor, Window


class AcmeLoss:
    """Mean absolute difference of the log-magnitude spectra of real and fake [nat].

    Args:
        n_fft: window length [samples]; the hop is a quarter of it.
        floor: magnitudes are clamped here before the logarithm.

    Shape:
        - step.real, step.fake: waveforms [B, C, T] of B clips, with C channels and T samples
        - output: a scalar
    """

    turns: ClassVar[frozenset[str]] = frozenset({"generator"})

    def __init__(self, *, n_fft: Window = 1024, floor: Floor = 1e-5) -> None:
        self.n_fft, self.floor = n_fft, floor

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        return (self._spectrum(step.real) - self._spectrum(step.fake)).abs().mean()

    def _spectrum(self, x: Tensor) -> Tensor:
        # Autocast off: logarithms of bfloat16 magnitudes have steps of 1 %.
        with torch.autocast(x.device.type, enabled=False):
            window = torch.hann_window(self.n_fft, device=x.device)
            flat = x.float().flatten(0, -2)  # [B * C, T]
            spectrum = torch.stft(flat, self.n_fft, self.n_fft // 4, window=window, return_complex=True)
            return spectrum.abs().clamp_min(self.floor).log()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        """Compares waveforms, of at least one window."""
        return TermContract(domain="waveform", shortest=parameters["n_fft"], because={"shortest": "n_fft"})
