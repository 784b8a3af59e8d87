"""WARP-Q: the cost of finding pieces of the estimate's speech, warped in time, in the reference."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gansemble.interfaces import Score
from gansemble_plugins.metrics.alignment import subsequence_costs
from gansemble_plugins.metrics.inputs import UnscorableFile, at_rate, scored

RATE = 16000
HOP = 64
#: Frames of a patch, and from one patch to the next, by definition.
PATCHES = {"2022": (100, 50), "2024": (92, 42)}
#: Frames of the window of normalisation.
NORMALISED_OVER = 201
#: Added to the standard deviation before division, as speechpy's cmvnw does.
TINY = 2.0**-30
#: The time grows with the square of the length: about 30 s for two minutes.
LONGEST_SECONDS = 120
#: Frames of the voice activity detector [s], and how far below loud ones they may be [dB].
ACTIVITY_SECONDS, ACTIVITY_DB = 0.03, 40.0


class WarpQ:
    """WARP-Q, the raw score of Jassim et al. 2022, lower is better: 0.6 for the same speech, about 3.5 for very bad speech.

    Both signals become 13 MFCCs [4 ms], normalised by mean and deviation over a sliding window. Pieces of 0.4 s of the
    estimate are searched for in the whole reference by subsequence dynamic time warping; the score is the median of
    their costs (equation 3). Identical signals do not score 0, as a step of the warping may pass over frames.

    The authors' code holds two definitions. That of 2022, which papers before October 2024 report, has pieces of 100
    frames, one every 50; that of 2024 has 92 and 42, as it subtracts half an FFT. The key names the definition.

    Args:
        variant: which of the two.
        vad: leave out frames without speech: ``energy`` those more than 40 dB below loud ones (a deviation: the
            authors use WebRTC's detector, which does not install today); ``none`` leaves out nothing.

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if there is no such variant or detector.
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far speech is from the reference, whatever its rhythm: about 0.6 for the same, 3.5 for very bad "
        "speech. Made for neural codecs."
    )
    packages: tuple[str, ...] = ("librosa",)

    def __init__(self, *, variant: Literal["2022", "2024"] = "2022", vad: Literal["energy", "none"] = "energy"):
        if variant not in PATCHES:
            raise ValueError(f"variant must be '2022' or '2024', got {variant!r}")
        if vad not in ("energy", "none"):
            raise ValueError(f"vad must be 'energy' or 'none', got {vad!r}")
        self.variant, self.vad = variant, vad
        self.key = f"warpq_{variant}" + ("" if vad == "energy" else "_no_vad")
        length, hop = PATCHES[variant]
        detector = (
            f"without frames of {1000 * ACTIVITY_SECONDS:g} ms more than {ACTIVITY_DB:g} dB below the 95th percentile "
            "(the authors use WebRTC's detector)"
            if vad == "energy"
            else "nothing left out"
        )
        self.definition = (
            f"WARP-Q raw score, Jassim et al. 2022, definition of {variant} (patches of {length} frames every {hop}), "
            f"{RATE} Hz (others resampled, Kaiser-windowed sinc), {detector}; 13 MFCCs of librosa, n_fft 1024, window 512, "
            f"hop {HOP}, fmax 5000 Hz, lifter 3, mean and variance normalised over {NORMALISED_OVER} frames; subsequence DTW, "
            "Euclidean, steps (1, 0) (0, 3) (1, 3); median over patches, not rounded"
        )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """The score, under ``warpq_2022`` or ``warpq_2024``; ``_no_vad`` is added without a detector."""
        return scored((self.key,), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        if reference.size > LONGEST_SECONDS * sample_rate:
            raise UnscorableFile(
                f"WARP-Q takes {LONGEST_SECONDS} s at most, as its time grows with the square of the length; "
                f"got {reference.size / sample_rate:.1f} s: cut the clip"
            )
        pair = at_rate(estimate, reference, sample_rate, RATE)
        length, hop = PATCHES[self.variant]
        features = []
        for name, signal in zip(("estimate", "reference"), pair, strict=True):
            kept = active(signal, RATE) if self.vad == "energy" else signal
            if kept.size < 0.4 * RATE:
                raise UnscorableFile(f"WARP-Q needs 0.4 s of speech; {name} has {kept.size / RATE:.2f} s")
            features.append(normalised(_mfcc(kept)))
        windows = np.lib.stride_tricks.sliding_window_view(features[0], length, axis=0)[::hop]
        return {self.key: float(np.median(subsequence_costs(windows.transpose(0, 2, 1), features[1])))}


def active(signal: np.ndarray, sample_rate: int) -> np.ndarray:
    """The signal [T'] without its quiet frames, which are 40 dB or more below the 95th percentile of all frames' energies.

    Args:
        signal: float [T].
        sample_rate: [Hz].
    """
    frame = int(ACTIVITY_SECONDS * sample_rate)
    starts = np.arange(0, signal.size, frame)
    sizes = np.diff(np.append(starts, signal.size))
    energies = np.add.reduceat(np.square(signal), starts) / sizes
    loud = energies > np.percentile(energies, 95) * 10 ** (-ACTIVITY_DB / 10)
    return signal[np.repeat(loud, sizes)]


def normalised(features: np.ndarray) -> np.ndarray:
    """Features less their mean over a sliding window, then divided by the deviation of that over the same window.

    The ends are mirrored, the last frame included (speechpy's cmvnw).

    Args:
        features: [M, K], M frames.
    """
    centred = features - _over_window(features).mean(axis=-1)
    return centred / (_over_window(centred).std(axis=-1) + TINY)


def _over_window(features: np.ndarray) -> np.ndarray:
    """The window around each frame, [M, K, window]."""
    half = NORMALISED_OVER // 2
    padded = np.pad(features, ((half, half), (0, 0)), mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(padded, NORMALISED_OVER, axis=0)


def _mfcc(signal: np.ndarray) -> np.ndarray:
    import librosa

    found = librosa.feature.mfcc(
        y=signal, sr=RATE, n_mfcc=13, fmax=5000, n_fft=1024, win_length=512, hop_length=HOP, lifter=3
    )
    return np.asarray(found.T, dtype=np.float64)
