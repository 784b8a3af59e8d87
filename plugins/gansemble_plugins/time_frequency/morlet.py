"""A bank of analytic Morlet wavelets: the continuous wavelet transform, sampled as often as each wavelet needs, and its
inverse.

psi_k(w) = 2 exp(-(w0 - s_k w)² / 2) for w > 0 and 0 elsewhere, s_k = w0 / (2 pi f_k): a sine of amplitude 1 at f_k has the
magnitude 1 in row k. W_k = ifft(fft(x) psi_k).

A wavelet's coefficients have no frequencies beyond its own band, so fewer of them than there are samples say the same. They
are taken at a rate that holds the band: the inverse transform of the band's bins alone, of as many points as there are
coefficients. The inverse is then as simple as at the full rate, X(w) = sum_k psi_k W_k(w) / sum_k psi_k(w)² (the painless case
of Daubechies, Grossmann and Meyer 1986), exact wherever the sum of squares is not nearly nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

#: A wavelet is cut off, in time and in frequency, where it has fallen to this share of its peak.
CUT = {torch.float32: 1e-8, torch.float64: 1e-16}
#: Coefficients of a wavelet between two frames, at least: means over frames are sums over so few.
LEAST = 16
#: Bins whose sum of squares is below this share of the greatest are not inverted.
COVERED = 1e-2
#: Coefficients computed in one go where no gradient is asked for.
PIECE = 1 << 18


def frequencies(count: int, fmin: float, fmax: float, spacing: str = "log") -> tuple[float, ...]:
    """``count`` centre frequencies from ``fmin`` to ``fmax`` [Hz], in equal ratios (``log``) or equal steps (``linear``).

    Raises:
        ValueError: if they cannot be.
    """
    if count < 2:
        raise ValueError(f"scales must be at least 2, got {count}")
    if not 0 < fmin < fmax:
        raise ValueError(f"fmin must be above 0 and below fmax {fmax:g} Hz, got {fmin:g}")
    shares = [index / (count - 1) for index in range(count)]
    if spacing == "linear":
        return tuple(fmin + share * (fmax - fmin) for share in shares)
    if spacing == "log":
        return tuple(fmin * (fmax / fmin) ** share for share in shares)
    raise ValueError(f"spacing must be log or linear, got {spacing!r}")


def smooth(least: int) -> int:
    """The smallest product of 2, 3 and 5 that is at least ``least``; transforms of such lengths are fast."""
    best = 1 << max(0, least - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = 1 << max(0, -(-least // three) - 1).bit_length()
            best = min(best, two * three)
            three *= 3
        five *= 5
    return best


@dataclass(frozen=True)
class Rows:
    """Wavelets that are sampled alike.

    Args:
        rows: which.
        first: the first bin that any of them covers.
        start: when the first coefficient is [samples].
        per_hop: coefficients between two frames.
        size: coefficients in all.
        filters: psi_k on the covered bins [K, bins].
        turn: what moves the first coefficient from 0 to ``start`` [bins].
    """

    rows: slice
    first: int
    start: float
    per_hop: int
    size: int
    filters: Tensor
    turn: Tensor

    def take(self, spectrum: Tensor, share: float) -> Tensor:
        """Bins [..., N / 2 + 1] -> coefficients [..., K, size]."""
        bins = self.filters.shape[-1]
        band = spectrum[..., self.first : self.first + bins] * (self.turn * share)
        product = band[..., None, :] * self.filters
        before = self.first % self.size
        turns = -(-(before + bins) // self.size)
        padded = F.pad(product, (before, turns * self.size - before - bins))
        folded = padded if turns == 1 else padded.unflatten(-1, (turns, self.size)).sum(-2)
        return torch.fft.ifft(folded)

    def give(self, coefficients: Tensor, share: float) -> Tensor:
        """Coefficients [..., K, size] -> sum_k psi_k W_k on the covered bins [..., bins]."""
        bins = self.filters.shape[-1]
        before = self.first % self.size
        turns = -(-(before + bins) // self.size)
        found = torch.fft.fft(coefficients)
        around = found if turns == 1 else torch.cat([found] * turns, -1)
        weighted = around[..., before : before + bins] * self.filters
        return weighted.sum(-2) * (self.turn.conj() / share)


@dataclass(frozen=True)
class WaveletPlan:
    """All that transforming clips of one length needs.

    Args:
        length: of the clips [samples].
        hop: between frames [samples].
        size: with the zeros behind that keep wavelets from reaching around [samples]; a multiple of the hop.
        groups: of wavelets sampled alike.
        dual: 1 / sum_k psi_k², and 0 where that is nearly nothing [size / 2 + 1].
    """

    length: int
    hop: int
    size: int
    groups: tuple[Rows, ...]
    dual: Tensor

    def analyse(self, audio: Tensor) -> list[Tensor]:
        """[..., T] -> coefficients [..., K, n] of each group, over the whole padded length."""
        spectrum = torch.fft.rfft(audio, n=self.size)
        return [group.take(spectrum, group.size / self.size) for group in self.groups]

    def synthesise(self, coefficients: Sequence[Tensor]) -> Tensor:
        """What :meth:`analyse` gives -> [..., T]."""
        lead = coefficients[0].shape[:-2]
        spectrum = torch.zeros(*lead, len(self.dual), dtype=coefficients[0].dtype, device=coefficients[0].device)
        for group, found in zip(self.groups, coefficients, strict=True):
            part = group.give(found, group.size / self.size)
            before, bins = group.first, part.shape[-1]
            spectrum = spectrum + F.pad(part, (before, len(self.dual) - before - bins))
        return torch.fft.irfft(spectrum * self.dual, n=self.size)[..., : self.length]


@dataclass(frozen=True)
class MorletBank:
    """Analytic Morlet wavelets of some centre frequencies.

    Args:
        frequencies: f_k, ascending [Hz].
        sample_rate: [Hz].
        w0: radians per standard deviation of the envelope: larger is narrower in frequency and longer in time.

    Raises:
        ValueError: if a frequency is above half the sample rate, or they do not ascend.
    """

    frequencies: tuple[float, ...]
    sample_rate: int
    w0: float = 6.0

    def __post_init__(self) -> None:
        if not self.frequencies or sorted(set(self.frequencies)) != list(self.frequencies) or self.frequencies[0] <= 0:
            raise ValueError("a bank's frequencies must be positive and ascend")
        if self.frequencies[-1] > self.sample_rate / 2:
            raise ValueError(
                f"fmax must be at most half the sample rate ({self.sample_rate / 2:g} Hz), got "
                f"{self.frequencies[-1]:g} Hz"
            )
        if not self.w0 >= 2:
            raise ValueError(f"w0 must be at least 2, below which these wavelets have a mean, got {self.w0:g}")

    def transform(self, audio: Tensor) -> Tensor:
        """The transform at the full rate, low frequencies first: [B, C, T] -> complex [B, C, K, T].

        What lies before and after the clip counts as silence.

        Raises:
            TypeError: for anything but float32 and float64.
        """
        plan = self.plan(audio.shape[-1], audio.device, audio.dtype)
        if not (audio.requires_grad and torch.is_grad_enabled()):
            return _piecewise(plan, audio)
        (found,) = plan.analyse(audio)
        return found[..., : audio.shape[-1]]

    def inverse(self, coefficients: Tensor) -> Tensor:
        """The clip of :meth:`transform`'s coefficients: complex [B, C, K, T] -> [B, C, T], limited to the bank's band.

        Wavelets reach beyond a clip's ends, and what they find there is not among its coefficients: near the ends a clip
        that does not begin and end softly comes back less exactly. :meth:`plan` keeps the whole.
        """
        length = coefficients.shape[-1]
        plan = self.plan(length, coefficients.device, coefficients.real.dtype)
        return plan.synthesise([F.pad(coefficients, (0, plan.size - length))])

    def plan(
        self,
        length: int,
        device: torch.device,
        dtype: torch.dtype,
        hop: int = 1,
        span: int = 0,
        rate: Literal["full", "decimated"] = "full",
        instant: float | None = None,
    ) -> WaveletPlan:
        """How clips of ``length`` samples are transformed; at least ``span`` samples are covered, the zeros behind included.

        Each coefficient is taken in the middle of its interval, so that their sums are those over samples; or one of them
        falls on ``instant`` [samples], and so on as many hops behind it.

        Raises:
            TypeError: for anything but float32 and float64.
        """
        if dtype not in CUT:
            raise TypeError(f"a wavelet transform is of float32 or float64, got {dtype}")
        if length < 1:
            raise ValueError(f"a clip must have at least one sample, got {length}")
        return _plan(self, length, device, dtype, hop, span, rate, instant)

    def reach(self, dtype: torch.dtype) -> int:
        """How far the longest wavelet reaches to one side [samples]."""
        deviation = self.w0 / (2 * math.pi * self.frequencies[0]) * self.sample_rate
        return math.ceil(deviation * math.sqrt(-2 * math.log(CUT[dtype])))


def _piecewise(plan: WaveletPlan, audio: Tensor) -> Tensor:
    """The full rate a few wavelets at a time, so that what lies between stays in the processor's cache; 0.4 to 0.9 of
    the time."""
    (group,) = plan.groups
    spectrum = torch.fft.rfft(audio, n=plan.size)
    bins = group.filters.shape[-1]
    band = spectrum[..., None, group.first : group.first + bins]
    count = len(group.filters)
    made = torch.empty(*audio.shape[:-1], count, audio.shape[-1], dtype=spectrum.dtype, device=audio.device)
    few = max(1, PIECE // (plan.size * audio.shape[:-1].numel()))
    held = torch.zeros(*audio.shape[:-1], min(few, count), plan.size, dtype=spectrum.dtype, device=audio.device)
    for start in range(0, count, few):
        rows = min(few, count - start)
        torch.mul(band, group.filters[start : start + rows], out=held[..., :rows, group.first : group.first + bins])
        made[..., start : start + rows, :] = torch.fft.ifft(held[..., :rows, :])[..., : audio.shape[-1]]
    return made


@lru_cache(maxsize=8)
def _plan(
    bank: MorletBank,
    length: int,
    device: torch.device,
    dtype: torch.dtype,
    hop: int,
    span: int,
    rate: str,
    instant: float | None,
) -> WaveletPlan:
    """Filters in float64 on the CPU, then where they are used; gradients may pass them later, whatever mode it is now."""
    with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
        hops = smooth(-(-max(length + bank.reach(dtype), span) // hop))
        size = hops * hop
        bins = torch.arange(size // 2 + 1, dtype=torch.float64)
        w0, rate_bins = bank.w0, bank.sample_rate / size  # Hz of one bin
        centres = torch.tensor(bank.frequencies, dtype=torch.float64)[:, None]
        filters = 2 * torch.exp(-((w0 * (1 - bins * rate_bins / centres)) ** 2) / 2)
        filters[:, 0] = 0.0
        filters[filters < 2 * CUT[dtype]] = 0.0
        squares = filters.square().sum(0)
        dual = torch.where(squares > COVERED * squares.max(), 1 / squares.clamp_min(1e-300), 0.0)
        covered = [row.nonzero().flatten() for row in filters]
        edges = [(int(row[0]), int(row[-1]) + 1) if len(row) else (1, 2) for row in covered]
        rates = [hop if rate == "full" else _per_hop(last - first, hops, hop) for first, last in edges]
        groups = []
        start = 0
        for place in range(1, len(rates) + 1):
            if place < len(rates) and rates[place] == rates[start]:
                continue
            first, last = min(edge[0] for edge in edges[start:place]), max(edge[1] for edge in edges[start:place])
            step = hop / rates[start]
            begin = (step - 1) / 2 if instant is None else instant % step
            angle = 2 * math.pi * begin / size * bins[first:last]
            turn = torch.polar(torch.ones_like(angle), angle)
            rows = filters[start:place, first:last]
            groups.append(
                Rows(
                    slice(start, place),
                    first,
                    begin,
                    rates[start],
                    rates[start] * hops,
                    rows.to(dtype).to(device).contiguous(),
                    turn.to(turn.dtype if dtype == torch.float64 else torch.complex64).to(device),
                )
            )
            start = place
        return WaveletPlan(length, hop, size, tuple(groups), dual.to(dtype).to(device))


def _per_hop(bins: int, hops: int, hop: int) -> int:
    """How many coefficients of each hop hold so many bins, in steps of a quarter of a power of two; never more than samples."""
    least = -(-bins // hops)
    half = -(-hop // 2)  # what a band up to half the sample rate needs
    if least <= half == smooth(half) and least > 3 * half // 4:
        return max(half, min(LEAST, hop))
    found = LEAST
    while found < least:
        power = 1 << (found.bit_length() - 1)
        found += power // 4 if found < power + power // 2 else power // 2
    return min(found, hop)
