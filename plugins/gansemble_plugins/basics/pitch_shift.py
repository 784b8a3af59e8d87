"""Pitch-shifted variants of short training clips, of their clips' duration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from gansemble.contract import Contract
from gansemble.numbers import Range, Seconds, Several

#: Of the phase vocoder's window [s]; the window is the power of two of samples that is nearest to it.
WINDOW = 0.05


class PitchShift:
    """Every frequency times a ratio, duration kept: a phase vocoder and resampling (``librosa.effects.pitch_shift``).

    The defaults are the scales of "Conditioning Trick for Training Stable GANs" (submitted to ICLR 2021, section 4), read
    as ratios of frequencies: 4.98 and 1.82 semitones down, 2.42 and 7.02 up, of clips of at most 2 s. Formants move along,
    as on a tape that runs at another speed. Shifted down, nothing is left between ratio times half the sample rate and half the sample
    rate; shifted up, what would lie above half the sample rate is lost. A phase vocoder blurs hits and clicks over about
    its window of 50 ms, and makes tones up to 1 dB quieter.

    A variant is called ``pitch_`` and its ratio, such as ``pitch_0.75``. It has the labels of its clip: labels that are
    pitches would be wrong, so corpora of notes are refused.

    Args:
        ratios: what frequencies are multiplied by, one variant each; 2 is an octave up.
        longest: clips longer than this are left as they are [s]; null shifts all.

    Shape: float32 [T] -> float32 [T] for each ratio.

    Raises:
        ValueError: for no ratio at all, one twice, one that is not positive and finite or is 1, or a ``longest`` that is
            not positive.
    """

    def __init__(
        self,
        *,
        ratios: Annotated[tuple[Annotated[float, Range(at_least=0.01, at_most=100)], ...], Several] = (
            0.75,
            0.9,
            1.15,
            1.5,
        ),
        longest: Seconds | None = 2.0,
    ) -> None:
        _check(ratios, longest)
        self.ratios, self.longest = ratios, longest

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Notes keep their pitch, which clips that are shifted do not."""
        _check(parameters["ratios"], parameters["longest"])
        return Contract(clashes=frozenset({"pitch"}))

    def variants(self, audio: np.ndarray, sample_rate: int) -> Iterator[tuple[str, np.ndarray]]:
        """The clip at each ratio; none of one that is too long."""
        if self.longest is not None and len(audio) > self.longest * sample_rate:
            return
        for ratio in self.ratios:
            yield f"pitch_{ratio:g}", shifted(audio, sample_rate, ratio)


def shifted(audio: np.ndarray, sample_rate: int, ratio: float) -> np.ndarray:
    """A clip [T] with every frequency times ``ratio``, float32 [T]."""
    import librosa  # takes seconds

    window = 2 ** round(math.log2(WINDOW * sample_rate))
    # A clip shorter than a window is one with silence behind it.
    padded = np.pad(audio, (0, max(0, window - len(audio))))
    made = librosa.effects.pitch_shift(padded, sr=sample_rate, n_steps=12 * math.log2(ratio), n_fft=window)
    return np.asarray(made[: len(audio)], np.float32)


def _check(ratios: tuple[float, ...], longest: float | None) -> None:
    if not ratios:
        raise ValueError("ratios must name at least one ratio of frequencies, such as 1.5, got none")
    wrong = [ratio for ratio in ratios if not (math.isfinite(ratio) and ratio > 0)]
    if wrong:
        raise ValueError(f"ratios must be positive and finite, got {wrong[0]:g}; 0.5 is an octave down, 2 one up")
    if 1 in ratios:
        raise ValueError("ratios must not hold 1, which leaves a clip as it is")
    names = [f"{ratio:g}" for ratio in ratios]
    if len(set(names)) < len(names):
        raise ValueError(f"ratios must differ in their first six digits, got {', '.join(names)}")
    if longest is not None and not longest > 0:
        raise ValueError(f"longest must be above 0 s, or null for clips of any length, got {longest:g}")
