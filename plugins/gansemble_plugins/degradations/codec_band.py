"""What a lossy codec leaves of the band: nothing above an abrupt cut-off and, at low bit rates, bands missing at times."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
from scipy import signal

from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.numbers import Hertz, Several, Share
from gansemble_plugins.degradations import filters

#: Cut-offs of usual encoders, from low to middling bit rates, as shares of half the sample rate: 11, 13 and 16 kHz at 44.1 kHz.
SHARES = (11 / 22.05, 13 / 22.05, 16 / 22.05)

#: Zero crossings on each side of the cut-off's sinc: from 0 to -100 dB within 2.5 % of the cut-off.
CROSSINGS = 256

#: Bands of holes to an octave, about as wide as a codec's scale-factor bands.
BANDS_PER_OCTAVE = 4


class CodecBand:
    """An abrupt band limit at a drawn cut-off, and holes: bands that are silent for a block of about 23 ms.

    The limit is a Kaiser-windowed sinc, 6 dB down at the cut-off and 100 dB from 1.3 % above. Holes are cut out of a
    short-time spectrum with sine windows that overlap by half, whose inverse is exact, and what they hold is
    subtracted: everything else stays as it is to the bit. Neither shifts anything in time, and neither adds energy, but for 0.01 %
    of the limit's ripple.

    ``margin`` is half the sinc's length, and a window more where there are holes. The blocks of holes are counted from the first
    sample that is handed in: with holes, a crop is what it would be of a recording that begins there.

    Args:
        audio: the audio specification, supplied by the toolkit.
        cutoffs: [Hz], equally likely; null is 11, 13 and 16 kHz at 44.1 kHz and in proportion at other rates.
        holes: how likely it is that a band is missing from a block.
        above: holes are cut above this frequency [Hz] only.

    Shape: [T] -> [T], float32.

    Raises:
        ValueError: for a frequency at or above half the sample rate, for none, or ``holes`` outside 0 to 1.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        cutoffs: Annotated[tuple[Hertz, ...], Several] | None = None,
        holes: Share = 0.0,
        above: Hertz = 3000.0,
    ) -> None:
        _check(audio.sample_rate, cutoffs, holes, above)
        self.rate, self.holes, self.above = audio.sample_rate, holes, above
        self.cutoffs = cutoffs or tuple(share * audio.sample_rate / 2 for share in SHARES)
        # A power of two of about 46 ms: 2048 at 44.1 kHz, as a long block of AAC.
        self.window = 2 ** max(4, round(math.log2(0.046 * audio.sample_rate)))
        reach = max(filters.sinc_reach(cutoff, audio.sample_rate, CROSSINGS) for cutoff in self.cutoffs)
        self.margin = reach + (self.window if holes else 0)

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        samples = filters.checked(audio)
        cutoff = filters.one_of(rng, self.cutoffs)
        samples = filters.convolve(_limit(cutoff, self.rate), samples)
        if self.holes:
            samples = samples - self._removed(samples, rng)
        return samples.astype(np.float32)

    def _removed(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What the holes held [T]."""
        hop = self.window // 2
        blocks = -(-len(samples) // hop) + 1
        padded = np.pad(samples, (hop, blocks * hop - len(samples)))
        shape = np.sin(np.pi * (np.arange(self.window) + 0.5) / self.window)
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.window)[::hop] * shape  # [blocks, window]
        spectrum = np.fft.rfft(frames)
        edges = self._edges()
        gone = rng.random((blocks, len(edges) - 1)) < self.holes
        in_holes = np.zeros(spectrum.shape, bool)
        in_holes[:, edges[0] : edges[-1]] = np.repeat(gone, np.diff(edges), axis=1)
        pieces = np.fft.irfft(spectrum * in_holes, self.window) * shape
        made = np.zeros((blocks + 1, hop))
        made[:-1] += pieces[:, :hop]
        made[1:] += pieces[:, hop:]
        return made.reshape(-1)[hop : hop + len(samples)]

    def _edges(self) -> np.ndarray:
        """The bands' edges [bins], from ``above`` up to half the sample rate."""
        octaves = math.log2(self.rate / 2 / self.above)
        count = max(1, round(octaves * BANDS_PER_OCTAVE))
        edges = self.above * 2 ** (octaves * np.arange(count + 1) / count) * self.window / self.rate
        bins = np.unique(np.round(edges).astype(int))
        return np.append(bins[:-1], self.window // 2 + 1) if len(bins) > 1 else np.array([bins[0], bins[0] + 1])

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Gives the degraded recording, of any length."""
        names = ("cutoffs", "holes", "above")
        _check(parameters["audio"].sample_rate, *(parameters[name] for name in names))
        return Contract(gives=frozenset({"degraded"}))


def _limit(cutoff: float, sample_rate: int) -> np.ndarray:
    return filters.sinc(cutoff, sample_rate, CROSSINGS, ("kaiser", signal.kaiser_beta(filters.SMALL_DB)))


def _check(sample_rate: int, cutoffs: tuple[float, ...] | None, holes: float, above: float) -> None:
    if cutoffs is not None:
        filters.check_frequencies("cutoffs", cutoffs, sample_rate)
    filters.check_frequencies("above", (above,), sample_rate)
    if not 0 <= holes <= 1:
        raise ValueError(f"holes must be from 0 to 1, got {holes:g}")
