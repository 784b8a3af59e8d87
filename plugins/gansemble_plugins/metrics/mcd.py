"""Mel-cepstral distortion, in named variants, as papers' values differ by more than systems do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.spatial.distance import cdist

from gansemble.contract import Contract
from gansemble.interfaces import Score
from gansemble_plugins.metrics.alignment import warping_path
from gansemble_plugins.metrics.cepstrum import Analysis, mel_cepstra
from gansemble_plugins.metrics.inputs import UnscorableFile, scored
from gansemble_plugins.metrics.perceptual import segments

#: dB of a Euclidean distance of cepstra: 10 / ln 10 * sqrt(2).
DECIBELS = 10 / math.log(10) * math.sqrt(2)
#: Order and alpha by sample rate [Hz], as ESPnet's and Parallel WaveGAN's evaluate_mcd have them.
ORDERS = {16000: (23, 0.42), 22050: (34, 0.45), 24000: (34, 0.46), 44100: (39, 0.53), 48000: (39, 0.55)}
#: The longest piece that is aligned at once [s]; the table of all pairs of its frames has at most 6000 x 6000 cells.
PIECE_SECONDS = 30.0
#: How far below the loudest frame of the reference one may be to count as active [dB].
ACTIVE_DB = 40.0
Variant = Literal["sptk", "espnet", "classic"]


@dataclass(frozen=True)
class _Kind:
    """What a variant consists of: fixed order or None for the table's, its first coefficient, its frames."""

    order: int | None
    first: int
    aligned: bool
    active: bool
    fixed_frames: bool


KINDS: dict[str, _Kind] = {
    "sptk": _Kind(order=None, first=1, aligned=True, active=False, fixed_frames=False),
    "espnet": _Kind(order=None, first=0, aligned=True, active=False, fixed_frames=True),
    "classic": _Kind(order=24, first=1, aligned=False, active=True, fixed_frames=False),
}


class Mcd:
    """Mel-cepstral distortion [dB], Kubichek 1993: 10 / ln 10 sqrt(2 sum over d of (c_d - c_d')^2), mean over frames.

    Variants differ in what is summed and over which frames:

    - ``sptk``: orders and warping by sample rate, without c_0 (so blind to the level), frames of 25 ms (Blackman) every
      5 ms, aligned by exact dynamic time warping; every frame of the path counts.
    - ``espnet``: the same with c_0, frames of 512 samples (Hamming) every 256: the settings of ESPnet's and Parallel
      WaveGAN's ``evaluate_mcd``. Those fit mel-cepstra by SPTK's ``mcep`` and align approximately, so their
      values differ.
    - ``classic``: order 24, without c_0, frames of 25 ms every 5 ms, not aligned, frames within 40 dB of the reference's
      loudest.

    Mel-cepstra are the warped cepstrum of the frame's log magnitude, in float64. Clips longer than 30 s are aligned in
    pieces, cut at quiet places of the reference. Only values of one variant can be compared.

    Args:
        variant: which of them; it is part of the key.

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if there is no such variant.
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far the timbre is from the reference's, frame by frame, in decibels: 0 for the same. Values of "
        "other variants, which papers often do not name, cannot be compared."
    )
    packages: tuple[str, ...] = ()

    def __init__(self, *, variant: Variant = "sptk"):
        if variant not in KINDS:
            raise ValueError(f"variant must be one of {', '.join(KINDS)}, got {variant!r}")
        self.variant, self.kind, self.key = variant, KINDS[variant], f"mcd_{variant}"
        kind = self.kind
        table = ", ".join(f"{rate} Hz {kind.order or order}/{alpha}" for rate, (order, alpha) in ORDERS.items())
        frames = "Hamming 512 every 256 samples" if kind.fixed_frames else "Blackman 25 ms every 5 ms"
        which = f"within {ACTIVE_DB:g} dB of the reference's loudest" if kind.active else "all"
        way = (
            "exact DTW of these distances, whatever their lengths, mean over the path"
            if kind.aligned
            else "not aligned, mean over frames"
        )
        self.definition = (
            f"mel-cepstral distortion [dB], Kubichek 1993, variant {variant}: c_{kind.first} to c_D, order/alpha {table}, "
            f"other rates not scored; mel-cepstrum = freqt of the log magnitude's cepstrum (no mcep iteration), floor "
            f"-100 dB of the clip's mean power; frames {frames}, {which}; {way}; pieces of at most {PIECE_SECONDS:g} s"
        )

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> Contract:
        """The sample rates that have an order."""
        return Contract(sample_rates=frozenset(ORDERS))

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """The score, under ``mcd_`` and the variant."""
        return scored((self.key,), self._values, estimate, reference, sample_rate, any_lengths=self.kind.aligned)

    def analysis(self, sample_rate: int) -> Analysis:
        """How mel-cepstra are computed at a sample rate [Hz].

        Raises:
            UnscorableFile: if the variant has no order for it.
        """
        if sample_rate not in ORDERS:
            known = ", ".join(str(rate) for rate in ORDERS)
            raise UnscorableFile(f"MCD has orders for {known} Hz; got {sample_rate} Hz: resample to one of them")
        order, alpha = ORDERS[sample_rate]
        order = self.kind.order or order
        if self.kind.fixed_frames:
            return Analysis("hamming", 512, 512, 256, order, alpha)
        length = round(0.025 * sample_rate)
        return Analysis("blackman", length, 1 << (length - 1).bit_length(), round(0.005 * sample_rate), order, alpha)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        how = self.analysis(sample_rate)
        shorter = min(reference.size, estimate.size)
        if shorter < how.length:
            raise UnscorableFile(f"too short: MCD needs {how.length} samples for a frame, got {shorter}")
        if reference.size != estimate.size and max(reference.size, estimate.size) > PIECE_SECONDS * sample_rate:
            raise UnscorableFile(
                f"estimate has {estimate.size} samples, reference {reference.size}: signals of more than {PIECE_SECONDS:g} s are "
                "aligned piece by piece, for which they must be of one length"
            )
        first, second = mel_cepstra(estimate, how), mel_cepstra(reference, how)
        if self.kind.aligned:
            return {self.key: self._aligned(first, second, reference, sample_rate, how)}
        distances = DECIBELS * np.linalg.norm((first - second)[:, self.kind.first :], axis=1)
        return {self.key: float(distances[_active(reference, how)].mean())}

    def _aligned(
        self, first: np.ndarray, second: np.ndarray, reference: np.ndarray, sample_rate: int, how: Analysis
    ) -> float:
        """Mean distance over the paths of all pieces [dB]."""
        total, count = 0.0, 0
        ends = [piece.stop // how.hop for piece in segments(reference, sample_rate, PIECE_SECONDS)][:-1]
        for start, stop in pairwise([0, *ends, None]):
            columns = np.s_[start:stop, self.kind.first :]
            distances = DECIBELS * cdist(first[columns], second[columns])
            path = warping_path(distances)
            total, count = total + float(distances[path].sum()), count + len(path[0])
        return total / count


def _active(reference: np.ndarray, how: Analysis) -> np.ndarray:
    """Which frames of the reference are active, bool [F]."""
    frames = np.lib.stride_tricks.sliding_window_view(reference, how.length)[:: how.hop]
    energies = np.einsum("ft,ft->f", frames, frames)
    active: np.ndarray = energies > energies.max() * 10 ** (-ACTIVE_DB / 10)
    return active
