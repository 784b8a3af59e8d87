"""The two transforms behind the pictures: what their magnitudes are, and a signal of coefficients.

Both say the same things: ``frames`` and ``bands``; ``magnitudes(audio [B, T])`` [B, L, F] with time before frequency, low
frequencies first, a full-scale sine at 1; ``analyse`` and ``synthesise``, exact inverses of one another; and ``aims``, which
spreads magnitudes of frames over the coefficients, with where they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from gansemble.audio.features import hann, overlap_add, reflect
from gansemble_plugins.time_frequency.morlet import MorletBank, Rows, WaveletPlan

#: ln|cos| of a phase that may be any is -ln 2 in the mean, |cos| is 2 / pi.
OF_REAL = {"mean": torch.pi / 2, "middle": 2.0}


class Transform(Protocol):
    """What pictures are drawn of."""

    @property
    def frames(self) -> int: ...

    @property
    def bands(self) -> int: ...

    @property
    def length(self) -> int: ...

    def magnitudes(self, audio: Tensor) -> Tensor: ...

    def analyse(self, audio: Tensor) -> list[Tensor]: ...

    def synthesise(self, coefficients: Sequence[Tensor]) -> Tensor: ...

    def aims(self, magnitudes: Tensor) -> list[tuple[Tensor, Tensor | None]]: ...


@dataclass(frozen=True)
class Scalogram:
    """Magnitudes of a wavelet transform, in frames.

    Args:
        bank: the wavelets.
        length: of clips [samples].
        window, hop: of frames [samples]. Frame l is of the samples from l * hop; as many as the clip fills, the last one
            reaching into the silence behind it.
        frame: the mean over the window, or the value in its middle.
        real: of the real part alone.
        rate: ``decimated`` takes the mean over the coefficients that a wavelet needs, ``full`` over all samples.
    """

    bank: MorletBank
    length: int
    window: int
    hop: int
    frame: Literal["mean", "middle"] = "mean"
    real: bool = False
    rate: Literal["full", "decimated"] = "decimated"

    def __post_init__(self) -> None:
        if not 1 <= self.hop <= self.window:
            raise ValueError(
                f"hop must be from 1 sample to the window's {self.window}, so that no sample is left out, got {self.hop}"
            )
        if self.length < 1:
            raise ValueError(f"a clip must have at least one sample, got {self.length}")

    @property
    def frames(self) -> int:
        """Frames of a clip."""
        return 1 + max(0, -(-(self.length - self.window) // self.hop))

    @property
    def bands(self) -> int:
        """Wavelets."""
        return len(self.bank.frequencies)

    def plan(self, like: Tensor) -> WaveletPlan:
        """Where the coefficients of clips like this one lie."""
        span = (self.frames - 1) * self.hop + self.window + self.hop
        instant = None if self.frame == "mean" else self.window // 2
        return self.bank.plan(self.length, like.device, like.dtype, self.hop, span, self.rate, instant)

    def magnitudes(self, audio: Tensor) -> Tensor:
        """[B, T] -> [B, L, K]."""
        plan = self.plan(audio)
        parts = []
        for group, found in zip(plan.groups, plan.analyse(audio), strict=True):
            size = found.real.abs() if self.real else found.abs()
            parts.append(self._framed(size, group))
        return torch.cat(parts, 1).transpose(1, 2)

    def _framed(self, values: Tensor, group: Rows) -> Tensor:
        """[B, K, n] -> [B, K, L]; the window's last coefficient counts as far as the window reaches."""
        per_hop = group.per_hop
        if self.frame == "middle":
            first = round((self.window // 2 - group.start) * per_hop / self.hop)
            return values[..., first::per_hop][..., : self.frames]
        reach = self.window * per_hop / self.hop
        whole = int(reach)
        used = whole + (reach > whole)
        views = values[..., : (self.frames - 1) * per_hop + used].unfold(-1, used, per_hop)
        total = views[..., :whole].sum(-1)
        if used > whole:
            total = total + (reach - whole) * views[..., whole]
        return total / reach

    def analyse(self, audio: Tensor) -> list[Tensor]:
        """[B, T] -> coefficients [B, K, n] of each group of wavelets."""
        return self.plan(audio).analyse(audio)

    def synthesise(self, coefficients: Sequence[Tensor]) -> Tensor:
        """Coefficients -> [B, T]."""
        return self.plan(coefficients[0].real).synthesise(coefficients)

    def aims(self, magnitudes: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """Straight between the middles of frames, in time; they hold within the clip, not in the silence around it."""
        wide = magnitudes.transpose(1, 2) * (OF_REAL[self.frame] if self.real else 1.0)
        found: list[tuple[Tensor, Tensor | None]] = []
        for group in self.plan(magnitudes).groups:
            step = self.hop / group.per_hop
            times = torch.arange(group.size, device=wide.device, dtype=wide.dtype) * step + group.start
            place = ((times - (self.window - 1) / 2) / self.hop).clamp(0, self.frames - 1)
            below = place.floor().clamp(0, max(0, self.frames - 2)).long()
            rows = wide[:, group.rows]
            above = (below + 1).clamp_max(self.frames - 1)
            found.append((torch.lerp(rows[..., below], rows[..., above], place - below), times < self.length))
        return found


@dataclass(frozen=True)
class Spectrogram:
    """Magnitudes of a short-time Fourier transform, of frames centred on multiples of the hop, edges reflected.

    Args:
        length: of clips [samples].
        n_fft: of the Fourier transform [samples].
        hop: between frames [samples].
        window: length of the periodic Hann window [samples].
        real: of the real part alone.
    """

    length: int
    n_fft: int
    hop: int
    window: int
    real: bool = False

    def __post_init__(self) -> None:
        if self.n_fft < 4 or self.n_fft % 2:
            raise ValueError(f"n_fft must be even and at least 4, got {self.n_fft}")
        if not 4 <= self.window <= self.n_fft:
            raise ValueError(f"window must be from 4 to n_fft {self.n_fft}, got {self.window}")
        if not 1 <= self.hop <= self.window // 2:
            raise ValueError(f"hop must be from 1 to half the window of {self.window}, got {self.hop}")

    @property
    def frames(self) -> int:
        """Frames of a clip: the last is centred on its end, or behind it."""
        return -(-self.length // self.hop) + 1

    @property
    def bands(self) -> int:
        """Bins."""
        return self.n_fft // 2 + 1

    def magnitudes(self, audio: Tensor) -> Tensor:
        """[B, T] -> [B, L, F], of a window that adds up to 2."""
        (found,) = self.analyse(audio)
        size = found.real.abs() if self.real else found.abs()
        return size.transpose(1, 2) * (2 / hann(self.window, size.device, size.dtype).sum())

    def analyse(self, audio: Tensor) -> list[Tensor]:
        """[B, T] -> one complex spectrogram [B, F, L]."""
        half = self.n_fft // 2
        behind = (self.frames - 1) * self.hop + half - self.length
        if audio.shape[-1] <= max(half, behind):
            raise ValueError(
                f"a clip must be longer than {max(half, behind)} samples to be reflected, got {audio.shape[-1]}"
            )
        padded = reflect(audio, half, behind)
        shape = hann(self.window, audio.device, audio.dtype)
        return [torch.stft(padded, self.n_fft, self.hop, self.window, shape, center=False, return_complex=True)]

    def synthesise(self, coefficients: Sequence[Tensor]) -> Tensor:
        """A spectrogram -> [B, T]."""
        frames = torch.fft.irfft(coefficients[0], n=self.n_fft, dim=1)
        shape = hann(self.window, frames.device, frames.dtype)
        return overlap_add(frames, self.hop, shape, self.length, self.n_fft // 2)

    def aims(self, magnitudes: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """The magnitudes themselves, in the spectrogram's own scale."""
        scale = hann(self.window, magnitudes.device, magnitudes.dtype).sum() / 2
        factor = OF_REAL["middle"] if self.real else 1.0
        return [(magnitudes.transpose(1, 2) * (scale * factor), None)]


def times_of(transform: Scalogram | Spectrogram, like: Tensor) -> Tensor:
    """The middles of frames [samples]."""
    steps = torch.arange(transform.frames, device=like.device, dtype=like.dtype) * transform.hop
    return steps + (transform.window - 1) / 2 if isinstance(transform, Scalogram) else steps
