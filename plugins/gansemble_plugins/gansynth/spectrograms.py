"""GANSynth's spectrograms: frames padded on the left, a dual-window inverse, phase differences, and mel matrices.

Section 2.2 and the released code, whose numbers the matrices reproduce. Spectrograms are [B, L, F], frames first, as
the networks' images are; bin 0 (DC) is left out and the Nyquist bin kept, so that F is n_fft / 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.audio.features import full_precision, hann

#: Added to magnitudes and to mel power before the logarithm.
FLOOR = 1e-6
#: The first resolution of the networks (frames, bins), with and without the paper's "+H".
STARTS = {True: (2, 16), False: (4, 8)}


@dataclass(frozen=True)
class Framing:
    """How a segment becomes frames.

    Args:
        segment: [samples].
        n_fft: FFT and window length [samples].
        hop: between frames [samples].
        blocks: resolutions the networks grow through.
        start: the first of them (frames, bins).
    """

    segment: int
    n_fft: int
    hop: int
    blocks: int
    start: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """(frames, bins)."""
        return self.start[0] << (self.blocks - 1), self.start[1] << (self.blocks - 1)

    @property
    def padding(self) -> int:
        """Silence before the segment; none follows, because notes decay [samples]."""
        return (self.shape[0] - 1) * self.hop + self.n_fft - self.segment

    def stft(self, audio: Tensor) -> Tensor:
        """[B, segment] -> complex [B, L, F]; periodic Hann window, neither centred nor normalised."""
        window = hann(self.n_fft, audio.device, audio.dtype)
        padded = F.pad(audio, (self.padding, 0))
        spectrum = torch.stft(padded, self.n_fft, self.hop, self.n_fft, window, center=False, return_complex=True)
        return spectrum[:, 1:].transpose(1, 2)

    def istft(self, spectrum: Tensor) -> Tensor:
        """Complex [B, L, F] -> [B, segment]; DC is zero.

        The dual window is that of frames without end: the last n_fft - hop samples, which fewer frames cover, fade.
        """
        padded = torch.complex(
            F.pad(spectrum.real, (1, 0)), F.pad(spectrum.imag, (1, 0))
        )  # ONNX pads no complex numbers
        frames = torch.fft.irfft(padded, n=self.n_fft)
        frames = frames * _dual_window(self.n_fft, self.hop, frames.device, frames.dtype)
        total = self.padding + self.segment
        signal = F.fold(frames.transpose(1, 2), (1, total), (1, self.n_fft), stride=(1, self.hop))
        return signal[:, 0, 0, self.padding :]


@lru_cache(maxsize=16)
def _dual_window(n_fft: int, hop: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """w(t) / sum over k of w^2(t + k hop) [n_fft]."""
    window = torch.hann_window(n_fft, periodic=True, dtype=torch.float64)
    place = torch.arange(n_fft) % hop
    energy = torch.zeros(hop, dtype=torch.float64).index_add(0, place, window.square())
    return (window / energy[place]).to(device=device, dtype=dtype)


def framing(segment: int, hires: bool, n_fft: int | None = None, hop: int | None = None) -> Framing:
    """The framing of a segment: 64,000 samples make 128 x 1024 (``hires``) or 256 x 512.

    Without n_fft, it is the lowest power of two whose frames cover the segment; without hop, a quarter of n_fft.

    Raises:
        ValueError: if the numbers make no image that the networks can grow to, or do not cover the segment.
    """
    start = STARTS[hires]
    if n_fft is None:
        # frames * hop = n_fft / 2 * start[0] / start[1] * n_fft / 4 is at least the segment
        n_fft = 2 ** math.ceil(math.log2(max(segment * 8 * start[1] / start[0], 1)) / 2)
        n_fft = max(n_fft, 2 * start[1])
    hop = n_fft // 4 if hop is None else hop
    doublings = math.log2(n_fft / 2 / start[1]) if n_fft > 0 else -1.0
    if doublings < 0 or doublings != int(doublings):
        raise ValueError(f"n_fft must be {2 * start[1]} times a power of two, got {n_fft}")
    if not 1 <= hop <= n_fft // 2:
        raise ValueError(f"hop must be between 1 and n_fft / 2 = {n_fft // 2} for the inverse to exist, got {hop}")
    made = Framing(segment, n_fft, hop, int(doublings) + 1, start)
    if not 1 <= segment <= made.shape[0] * hop:
        raise ValueError(
            f"{made.shape[0]} frames every {hop} samples cover {made.shape[0] * hop} samples, got a segment of "
            f"{segment}; use a longer n_fft or hop, or a shorter segment"
        )
    return made


def wrap(phases: Tensor) -> Tensor:
    """Phases within [-pi, pi] [rad]; odd multiples of pi keep their sign, as in the released code."""
    turns = torch.ceil(phases.abs() / (2 * math.pi) - 0.5)
    return phases - 2 * math.pi * torch.where(phases < 0, -turns, turns)


def instantaneous_frequency(phases: Tensor) -> Tensor:
    """Phases [B, L, F] [rad] as their wrapped differences from frame to frame; the first frame's are the phases
    themselves. In units of pi [half turns per hop]."""
    differences = wrap(phases[:, 1:] - phases[:, :-1])
    return torch.cat([phases[:, :1], differences], 1) / math.pi


def accumulate(frequency: Tensor) -> Tensor:
    """The inverse of :func:`instantaneous_frequency`, modulo 2 pi [rad]."""
    return torch.cumsum(wrap(frequency * math.pi), 1)


def log_magnitude(spectrum: Tensor) -> Tensor:
    """ln(|S| + 1e-6)."""
    return torch.log(spectrum.abs() + FLOOR)


def angle(spectrum: Tensor) -> Tensor:
    """Phases within (-pi, pi] [rad]; silence has phase 0, whatever signs a transform gives its zeros."""
    return torch.angle(spectrum + 0.0)  # -0.0 + 0.0 is 0.0


def polar(magnitude: Tensor, phases: Tensor) -> Tensor:
    """The complex numbers of magnitudes and phases [rad]."""
    return torch.complex(magnitude * torch.cos(phases), magnitude * torch.sin(phases))


def mel_weights(bins: int, sample_rate: int) -> np.ndarray:
    """W [bins, bins]: linear frequencies as HTK mel bands between 0 and half the sample rate.

    Triangles linear in Hz, not normalised. A band narrower than 1.5 bins is widened about its centre. Edges and centres
    are one series, each entry the upper edge of one band, the centre of the next and the lower edge of the one after,
    and stay so when a band is widened: widening moves the centres of its neighbours. The first bin kept belongs to
    no band.
    """
    top = sample_rate / 2
    frequencies = np.linspace(0, top, bins)[:, None]
    edges = np.linspace(0, _mel(top), bins + 2)
    narrowest = 1.5 * top / bins
    for band in range(bins):
        lower, centre, upper = edges[band : band + 3]
        if _hertz(upper) - _hertz(lower) < narrowest:
            reach = _MEL_Q * np.arcsinh(0.5 * narrowest / (_hertz(centre) + _MEL_BREAK))
            edges[band], edges[band + 2] = centre - reach, centre + reach
    hertz = _hertz(edges)
    rising = (frequencies - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - frequencies) / (hertz[2:] - hertz[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return weights


_MEL_Q, _MEL_BREAK = 1127.0, 700.0


def _mel(hertz: float) -> float:
    return _MEL_Q * math.log1p(hertz / _MEL_BREAK)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return _MEL_BREAK * np.expm1(mel / _MEL_Q)


def mel_inverse(bins: int, sample_rate: int) -> np.ndarray:
    """M [bins, bins] = W^T diag(1 / column sums of W W^T): a normalised transpose, no pseudo-inverse.

    Sums up to 1e-8 are kept as they are.
    """
    weights = mel_weights(bins, sample_rate)
    sums = (weights @ weights.T).sum(0)
    return weights.T * np.divide(1, sums, out=sums.copy(), where=np.abs(sums) > 1e-8)


@lru_cache(maxsize=8)
def _matrix(inverse: bool, bins: int, sample_rate: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    made = (mel_inverse if inverse else mel_weights)(bins, sample_rate)
    return torch.from_numpy(made).to(device=device, dtype=dtype)


def to_mel(x: Tensor, sample_rate: int) -> Tensor:
    """x @ W for [B, L, F]."""
    with full_precision():
        return x @ _matrix(False, x.shape[-1], sample_rate, x.device, x.dtype)


def from_mel(x: Tensor, sample_rate: int) -> Tensor:
    """x @ M for [B, L, F]."""
    with full_precision():
        return x @ _matrix(True, x.shape[-1], sample_rate, x.device, x.dtype)
