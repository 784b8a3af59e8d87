"""Metrics of audio super-resolution: log-spectral distance on either side of a cut-off, and spectral flatness."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.interfaces import Score
from gansemble_plugins.metrics.inputs import UnscorableFile, scored
from gansemble_plugins.metrics.spectral import FLOOR, at_least, power

N_FFT, HOP = 2048, 512


class _Band:
    """The log-spectral distance of ``lsd`` over some of the frequency bins only; subclasses say which."""

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far the spectra of the two signals are from each other within a band of frequencies: 0 for the "
        "same. Empty bands weigh a lot: silence where there should be sound costs most."
    )
    key: str
    side: str

    def __init__(self, *, audio: AudioSpec | None = None, cutoff: float = 4000.0):
        self.cutoff = _checked(cutoff)
        self.definition = f"log-spectral distance as lsd, of the frequencies {self.side.format(cutoff)}"

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Refuses a cut-off that is not below half the recipe's sample rate."""
        if parameters["audio"] is not None:  # as where a part is described outside a recipe
            _within(parameters["cutoff"], parameters["audio"].sample_rate)
        return Contract()

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """One score; NaN with a reason if no frequency bin lies in the band."""
        return scored((self.key,), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        at_least(N_FFT // 2 + 1, reference)
        bins = self._bins(int((N_FFT // 2 + 1) * self.cutoff / (sample_rate / 2)), sample_rate)
        ours, target = (power(s, N_FFT, HOP, N_FFT)[bins].clamp_min(FLOOR).log10() for s in (estimate, reference))
        return {self.key: float((ours - target).square().mean(dim=0).sqrt().mean())}

    def _bins(self, first: int, sample_rate: int) -> slice:
        """The bins that are compared.

        Args:
            first: index of the first bin that counts as above the cut-off.
            sample_rate: [Hz].
        """
        raise NotImplementedError


class LsdHigh(_Band):
    """LSD-HF: the log-spectral distance of the frequencies from a cut-off on (Han & Lee 2022, NU-Wave 2).

    It is ``lsd`` with the mean over frequencies taken over the bins from int((n_fft / 2 + 1) cutoff / nyquist) on, so
    that a cut-off of 0 Hz gives ``lsd``. The paper writes the bound for recordings at 48 kHz.

    Args:
        audio: the audio specification, supplied by the toolkit; recipes are checked against it.
        cutoff: where the recordings were cut off [Hz].

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if the cut-off is below 0 Hz.
    """

    key, side = "lsd_hf", "from {:g} Hz on"

    def _bins(self, first: int, sample_rate: int) -> slice:
        if first > N_FFT // 2:
            raise UnscorableFile(
                f"cutoff must be below half the sample rate ({sample_rate / 2:g} Hz), got {self.cutoff:g} Hz"
            )
        return slice(first, None)


class LsdLow(_Band):
    """LSD-LF: the log-spectral distance of the frequencies below a cut-off (Han & Lee 2022, NU-Wave 2).

    The bins are those that :class:`LsdHigh` leaves out. Each of the two has a mean and a square root of its own, so
    they do not add up to ``lsd``. A super-resolution network should leave these frequencies alone, so the value should
    be near 0.

    Args:
        audio: the audio specification, supplied by the toolkit; recipes are checked against it.
        cutoff: where the recordings were cut off [Hz].

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if the cut-off is below 0 Hz.
    """

    key, side = "lsd_lf", "below {:g} Hz"

    def _bins(self, first: int, sample_rate: int) -> slice:
        if first < 1:
            least = sample_rate / (N_FFT + 2)
            raise UnscorableFile(
                f"cutoff must be at least {least:.2f} Hz for a bin to lie below it, got {self.cutoff:g} Hz"
            )
        return slice(0, first)


class LsdSsrEval:
    """Log-spectral distance as the package ssr_eval, and papers that use it, compute it (Liu et al. 2022, NVSR).

    It is the mean over frames of sqrt(mean over frequencies of log10(|X|^2 / (|X'| + 1e-12)^2 + 1e-12)^2), X being the
    STFT of the reference and X' that of the estimate, with n_fft = int(2048 rate / 44100) and hop = int(rate / 100).
    The signal is padded with zeros, as librosa does from version 0.10 on. There is no floor: a bin that is empty in the
    reference costs 12, even if it is empty in both, and one that is empty in the estimate only costs over 20.

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = "How far the log spectra are from each other: 0 for the same. A change of level alone moves it."
    definition = (
        "log-spectral distance of ssr_eval: log10(|X|^2 / (|X'| + 1e-12)^2 + 1e-12), no floor, "
        "n_fft 2048 rate / 44100, hop rate / 100, Hann n_fft, centred in zeros"
    )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``lsd_ssr_eval``."""
        return scored(("lsd_ssr_eval",), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        n_fft, hop = int(2048 * sample_rate / 44100), max(1, sample_rate // 100)
        at_least(n_fft // 2 + 1, reference)
        ours, target = (power(signal, n_fft, hop, n_fft, "constant") for signal in (estimate, reference))
        ratio = target / (ours.sqrt() + 1e-12).square()
        return {"lsd_ssr_eval": float((ratio + 1e-12).log10().square().mean(dim=0).sqrt().mean())}


class FlatnessDistance:
    """How far the spectral flatness of each frame is from that of the reference.

    Flatness is the geometric mean over frequencies of P = max(1e-10, |X|^2), divided by the arithmetic mean, as in
    librosa: 1 for silence, about 0.56 for white noise, near 0 for tones. The plain value is the mean over frames of
    |SF' - SF|; silent frames, if there are any, decide most of it. The weighted one weighs each frame by the
    reference's amplitude, sqrt(mean P).

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = "Whether each moment is as noisy or as tonal as in the reference: 0 for the same, at most 1."
    definition = (
        "mean |difference of spectral flatness| of |X|^2 (floor 1e-10), n_fft 2048, hop 512, Hann 2048, centred in "
        "zeros; weighted: by the reference's amplitude in each frame"
    )
    keys = ("flatness_distance", "flatness_distance_weighted")

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``flatness_distance`` and ``flatness_distance_weighted``."""
        return scored(self.keys, self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        at_least(N_FFT // 2 + 1, reference)
        ours, target = (
            power(signal, N_FFT, HOP, N_FFT, "constant").clamp_min(1e-10) for signal in (estimate, reference)
        )
        differences = (flatness(ours) - flatness(target)).abs()
        weights = target.mean(dim=0).sqrt()
        weighted = (weights * differences).sum() / weights.sum()
        return dict(zip(self.keys, (float(differences.mean()), float(weighted)), strict=True))


def flatness(power: Tensor) -> Tensor:
    """The spectral flatness [L] of a power spectrogram [F, L], F frequency bins and L frames, of positive numbers."""
    return power.log().mean(dim=0).exp() / power.mean(dim=0)


def _within(cutoff: float, sample_rate: int) -> None:
    _checked(cutoff)
    if not cutoff < sample_rate / 2:
        raise ValueError(
            f"cutoff must be below half the sample rate, which is {sample_rate / 2:g} Hz, got {cutoff:g} Hz"
        )


def _checked(cutoff: float) -> float:
    if not cutoff >= 0:
        raise ValueError(f"cutoff must be at least 0 Hz, got {cutoff:g} Hz")
    return cutoff
