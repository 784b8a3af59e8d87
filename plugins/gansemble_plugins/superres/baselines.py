"""What a restored recording is held against: the input itself, a brick-wall low-pass, and spectral band replication."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import fft, ndimage, signal
from torch import Tensor, nn

from gansemble.audio.features import hann, overlap_add
from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Hertz

#: Zero crossings on each side of the sinc: from 0 to -100 dB within 1.3 % of the cut-off.
CROSSINGS = 512
STOP_DB = 100.0

#: Frames that a sample of an octave's copy overlaps; copies move by multiples of it [bins], see BandReplication.
OVERLAP = 4

#: An extrapolated spectrum falls by at most this [dB per octave], and never rises.
STEEPEST_DB = 30.0

#: Why a baseline without a cut-off of its own is not exported.
_FOUND = "it finds the cut-off of each recording, by SciPy; give it a cutoff"

# A spectrum was cut where it falls by EDGE_DB within about half an octave and nothing louder comes above: recorded music
# falls by less than half of that. Of 408 low-passed recordings (music, notes, speech, noises; Chebyshev, Butterworth, sinc;
# cut at an eighth to three quarters of the band) 98 % are found, 89 % of these within 15 % of the cut-off; of 36 uncut ones
# 33 are let alone or found to be cut in their upper half, as most had been by their codec.
EDGE_DB, CUT_DB = 20.0, 6.0
EDGE_FROM, EDGE_TO = 0.05, 0.94  # of half the sample rate
FRAME, BANDS = 4096, 512


class Identity(nn.Module):
    """The degraded recording as it is: [B, 1, T] -> [B, 1, T]."""

    learns = False
    context_frames: int | None = 0
    alignment = 1

    def forward(self, condition: Condition) -> Tensor:
        return _signal(condition)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a degraded recording."""
        return _contract()


class SincLowpass(nn.Module):
    """Sinc resampling: down to twice the cut-off and up again, [B, 1, T] -> [B, 1, T].

    With ideal filters that is one ideal low-pass, and so it is computed: a Kaiser-windowed sinc, flat to 98.7 % of
    the cut-off and 100 dB down from the cut-off on, centred, with silence around the recording.

    Args:
        audio: the audio specification, supplied by the toolkit.
        cutoff: [Hz]; null finds each recording's own (:func:`find_cutoff`), which takes whole recordings.

    Raises:
        ValueError: for a cut-off at or above half the sample rate, or a condition without a signal.
    """

    learns = False
    alignment = 1
    taps: Tensor

    def __init__(self, *, audio: AudioSpec, cutoff: Hertz | None = None) -> None:
        super().__init__()
        _check(audio.sample_rate, cutoff)
        self.rate, self.cutoff = audio.sample_rate, cutoff
        taps = torch.zeros(0) if cutoff is None else _sinc(cutoff, self.rate)
        self.register_buffer("taps", taps, persistent=False)
        self.context_frames = None if cutoff is None else len(taps) // 2
        self.cannot_be_exported = _FOUND if cutoff is None else None

    def forward(self, condition: Condition) -> Tensor:
        x = _signal(condition)
        with torch.autocast(x.device.type, enabled=False):
            wide = _wide(x)
            if self.cutoff is not None:
                taps = self.taps.to(wide)
                # The length of the fast transform is looked up, which a graph for any length cannot do.
                exporting = torch.compiler.is_exporting() or torch.jit.is_tracing()
                return F.conv1d(wide, taps[None, None], padding="same") if exporting else _convolve(wide, taps)
            made = []
            for item in wide:
                cutoff = find_cutoff(item[0], self.rate)
                made.append(item if cutoff is None else _convolve(item, _sinc(cutoff, self.rate).to(item)))
            return torch.stack(made)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a degraded recording."""
        _check(parameters["audio"].sample_rate, parameters["cutoff"])
        return _contract()


class BandReplication(nn.Module):
    """Spectral band replication: the octave below the cut-off copied upwards, quieter by the spectrum's own tilt.

    In the short-time spectrum (Hann window of about 46 ms, four frames to a window, silence around the recording) the bins
    from the cut-off on are replaced by those of the octave below it, as often as there is room. The level falls on as
    it falls from the octave before that octave to it, in each frame: by at most 30 dB an octave, and it never rises.
    The difference is added to the recording, so that what lies below the cut-off stays as it is, but for what leaks over two bins.

    Copies move by multiples of four bins, so that a partial goes on from frame to frame in phase and nothing depends on a
    frame's number: chunks that begin at multiples of the hop (``alignment``) give what the whole gives.

    Args:
        audio: the audio specification, supplied by the toolkit.
        cutoff: [Hz]; null finds each recording's own (:func:`find_cutoff`), which takes whole recordings; one that was
            not cut stays as it is.

    Raises:
        ValueError: for a cut-off at or above half the sample rate or too low to copy from, or a condition without a
            signal.
    """

    learns = False

    def __init__(self, *, audio: AudioSpec, cutoff: Hertz | None = None) -> None:
        super().__init__()
        _check(audio.sample_rate, cutoff, _lowest(audio.sample_rate))
        self.rate, self.cutoff, self.window = audio.sample_rate, cutoff, _window(audio.sample_rate)
        self.alignment = self.window // OVERLAP
        self.context_frames = None if cutoff is None else self.window
        self.cannot_be_exported = _FOUND if cutoff is None else None

    def forward(self, condition: Condition) -> Tensor:
        x = _signal(condition)
        with torch.autocast(x.device.type, enabled=False):
            wide = _wide(x)[:, 0]
            if self.cutoff is not None:
                return self._filled(wide, self.cutoff)[:, None]
            made = []
            for item in wide:
                cutoff = find_cutoff(item, self.rate)
                found = cutoff is not None and cutoff >= _lowest(self.rate)
                made.append(self._filled(item[None], cutoff)[0] if found and cutoff else item)
            return torch.stack(made)[:, None]

    def _filled(self, x: Tensor, cutoff: float) -> Tensor:
        """The recordings [B, T] with what was above the cut-off replaced."""
        shape, hop = hann(self.window, x.device, x.dtype), self.window // OVERLAP
        if torch.compiler.is_exporting():
            return x + self._exported(x, cutoff, shape, hop)
        spectrum = torch.stft(x, self.window, hop, window=shape, pad_mode="constant", return_complex=True)
        first, source, gain = self._copies(spectrum, cutoff)
        change = torch.zeros_like(spectrum)
        change[:, first:] = spectrum[:, source] * gain - spectrum[:, first:]
        return x + torch.istft(change, self.window, hop, window=shape, length=x.shape[-1])

    def _exported(self, x: Tensor, cutoff: float, shape: Tensor, hop: int) -> Tensor:
        """The change of recordings [B, T] without operations on complex numbers that ONNX has not."""
        half = self.window // 2
        padded = F.pad(x, (half, half))
        spectrum = torch.stft(padded, self.window, hop, window=shape, center=False, return_complex=True)
        first, source, gain = self._copies(spectrum, cutoff)
        parts = [
            torch.cat([torch.zeros_like(part[:, :first]), part[:, source] * gain - part[:, first:]], 1)
            for part in (spectrum.real, spectrum.imag)
        ]
        frames = torch.fft.irfft(torch.complex(*parts), n=self.window, dim=1)
        return overlap_add(frames, hop, shape, x.shape[-1], half)

    def _copies(self, spectrum: Tensor, cutoff: float) -> tuple[int, Tensor, Tensor]:
        """(the first bin above the cut-off, which bin each one from there on is a copy of, its gain [B, bins, L])."""
        first, octave = _bins(cutoff, self.rate)
        bins = torch.arange(first, spectrum.shape[1], device=spectrum.device)
        source = first - octave + (bins - first) % octave
        octaves = torch.log2(bins.to(spectrum.real.dtype) / source)
        return first, source, 10 ** (self._tilt(spectrum, first, octave)[:, None] * octaves[:, None] / 20)

    def _tilt(self, spectrum: Tensor, first: int, octave: int) -> Tensor:
        """How the level changes from octave to octave below the cut-off in each frame [B, L], in dB, at most 0."""
        power = spectrum.real.square() + spectrum.imag.square()
        middle = first - octave
        levels = [
            10 * torch.log10(power[:, low:high].mean(dim=1).clamp_min(1e-12))
            for low, high in ((max(1, middle // 2), middle), (middle, first))
        ]
        return (levels[1] - levels[0]).clamp(-STEEPEST_DB, 0.0)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a degraded recording."""
        rate = parameters["audio"].sample_rate
        _check(rate, parameters["cutoff"], _lowest(rate))
        return _contract()


def find_cutoff(audio: Tensor, sample_rate: int) -> float | None:
    """Where a filter has cut the spectrum of a recording [T] off [Hz]; None if none did, or the recording is silent.

    The mean power spectrum falls there by 20 dB or more from the half octave below to everything above. Near that fall the
    answer is where the level is 6 dB down from what it is just before it begins to fall steeply. Gentle filters are
    missed rather than guessed.
    """
    levels = _levels(audio.detach())
    above = np.maximum.accumulate(levels[::-1])[::-1]
    cuts = np.arange(int(EDGE_FROM * BANDS), int(EDGE_TO * BANDS / 1.2))
    falls = np.array([np.median(levels[int(0.7 * cut) : cut]) - above[int(1.2 * cut)] for cut in cuts])
    if falls.max() < EDGE_DB:
        return None
    near = np.arange(int(0.8 * cuts[falls.argmax()]), min(int(1.25 * cuts[falls.argmax()]), int(EDGE_TO * BANDS)))
    slopes = levels[(0.94 * near).astype(int)] - levels[(1.06 * near).astype(int)]
    edge = near[(slopes >= slopes.max() / 2).argmax()]
    first = int(0.9 * edge)
    level = np.median(levels[first : max(int(0.97 * edge), first + 1)]) - CUT_DB
    last = first + np.flatnonzero(levels[first : int(1.2 * edge) + 1] > level).max()
    return float((last + 0.5) / BANDS * sample_rate / 2)


def _levels(audio: Tensor) -> np.ndarray:
    """The mean power spectrum [dB, BANDS], gaps between partials closed, at least -90 dB of the loudest band."""
    audio = nn.functional.pad(audio.float(), (0, max(0, FRAME - audio.shape[-1])))
    # Its side lobes do not hide what lies 90 dB down, as Hann's would for loud low tones.
    window = torch.kaiser_window(FRAME, periodic=True, beta=14.0, device=audio.device)
    power = torch.zeros(FRAME // 2 + 1, device=audio.device)
    for frames in audio.unfold(0, FRAME, FRAME // 2).split(512):  # bounds the memory
        spectrum = torch.fft.rfft(frames * window)
        power += (spectrum.real.square() + spectrum.imag.square()).sum(dim=0)
    bands = power[1:].reshape(BANDS, -1).mean(dim=1).cpu().numpy()
    closed = ndimage.grey_closing(bands, 9)  # the edge stays where it is, which the loudest around would move
    return 10 * np.log10(np.maximum(closed, 1e-9 * float(bands.max()) + 1e-20))


def _sinc(cutoff: float, sample_rate: int) -> Tensor:
    """The low-pass [2 N + 1] that is 100 dB down from ``cutoff`` on."""
    half = max(1, int(CROSSINGS * sample_rate / (2 * cutoff)))
    width = (
        (STOP_DB - 7.95) / (2.285 * 2 * math.pi * 2 * half) * sample_rate
    )  # of the transition [Hz], Kaiser's formula
    middle = max(cutoff - width / 2, cutoff / 2)
    taps = signal.firwin(2 * half + 1, middle, window=("kaiser", signal.kaiser_beta(STOP_DB)), fs=sample_rate)
    return torch.from_numpy(taps)


def _convolve(x: Tensor, taps: Tensor) -> Tensor:
    """[..., T] through a centred filter [2 N + 1], as long."""
    length, half = x.shape[-1], len(taps) // 2
    size = fft.next_fast_len(length + 2 * half, real=True)
    made = torch.fft.irfft(torch.fft.rfft(x, size) * torch.fft.rfft(taps, size), size)
    return made[..., half : half + length]


def _bins(cutoff: float, sample_rate: int) -> tuple[int, int]:
    """The first bin above the cut-off, and the width of the octave below it in multiples of the overlap [bins]."""
    first = math.ceil(cutoff * _window(sample_rate) / sample_rate)
    return first, first // 2 // OVERLAP * OVERLAP


def _window(sample_rate: int) -> int:
    """A power of two of about 46 ms: 2048 at 44.1 kHz."""
    return 2 ** max(6, round(math.log2(0.046 * sample_rate)))


def _lowest(sample_rate: int) -> float:
    """The lowest cut-off with an octave to copy from [Hz]."""
    return 4 * OVERLAP * sample_rate / _window(sample_rate)


def _signal(condition: Condition) -> Tensor:
    signal = condition.signal("degraded")
    if signal.dim() != 3 or signal.shape[1] != 1:
        raise ValueError(f"the signal 'degraded' must be a recording [B, 1, T], got {list(signal.shape)}")
    return signal


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _contract() -> GeneratorContract:
    return GeneratorContract(reads=frozenset({"degraded"}), domain="waveform", shape=(1, None))


def _check(sample_rate: int, cutoff: float | None, lowest: float = 0.0) -> None:
    if cutoff is not None and not lowest < cutoff < sample_rate / 2:
        limits = f"above {lowest:g} Hz and below half the sample rate ({sample_rate / 2:g} Hz)"
        raise ValueError(f"cutoff must be {limits}, got {cutoff:g} Hz")
