"""Means and deviations of log-mel bands as an embedder: no network, no weights."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from gansemble.numbers import Range
from gansemble_plugins.set_metrics import patches


class LogMel:
    """Mean and deviation over time of each of 64 log-mel bands, for each window.

    It needs no weights, so it works everywhere and for ever the same: for tests, and to see whether sets differ at all. What
    it measures is the mean spectrum and how much it moves, and no more.

    Args:
        seconds: length of a window [s], in whole frames of 10 ms; windows stand side by side, and what is left after the last
            whole one is not heard.

    Shape:
        - input: float32 [T] at 16 kHz
        - output: float32 [L, 128]: 64 means, then 64 population deviations
    """

    sample_rate = patches.RATE
    dim = 2 * patches.BANDS
    key = "logmel"

    def __init__(self, *, seconds: Annotated[float, Range(at_least=0.02, at_most=600)] = 0.96) -> None:
        self.frames = round(seconds * patches.RATE / patches.HOP)

    @property
    def window(self) -> int:
        """Samples that the frames of one window are computed from."""
        return patches.WINDOW + (self.frames - 1) * patches.HOP

    @property
    def definition(self) -> str:
        """What exactly is computed."""
        return (
            f"mean and population deviation of each of 64 log-mel bands over {self.frames} frames side by side; "
            f"{patches.DEFINITION}"
        )

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """A row for each whole window."""
        images = patches.patches(torch.from_numpy(np.ascontiguousarray(audio, np.float32)), self.frames)
        return torch.cat([images.mean(dim=1), images.std(dim=1, correction=0)], dim=1).numpy()
