"""An embedder: what a metric of sets hears of each window of a clip, as a row of numbers."""

from itertools import pairwise

import numpy as np


class AcmeEmbedder:
    """Levels of eight octave bands in windows of a fifth of a second [dB]; what is left after the last is not heard.

    Args:
        floor: the lowest level [dB].

    Shape:
        - input: float32 [T] at 16 kHz, T samples of one channel
        - output: float32 [L, 8], L windows
    """

    sample_rate = 16000
    window = 3200
    dim = 8
    key = "acme"

    def __init__(self, *, floor: float = -120.0) -> None:
        self.floor = floor
        self.definition = f"levels of eight octave bands up to 8 kHz in windows of 0.2 s, at least {floor:g} dB"

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """A row for each window."""
        padded = np.pad(np.asarray(audio, np.float64), (0, max(0, self.window - len(audio))))
        windows = padded[: len(padded) // self.window * self.window].reshape(-1, self.window)
        power = np.square(np.abs(np.fft.rfft(windows * np.hanning(self.window))) / self.window)
        edges = [0, *(power.shape[1] >> (self.dim - 1 - band) for band in range(self.dim))]
        bands = np.stack([power[:, a:b].sum(axis=1) for a, b in pairwise(edges)], axis=1)
        levels = 10 * np.log10(bands + 1e-30)
        return np.maximum(levels, self.floor).astype(np.float32)
