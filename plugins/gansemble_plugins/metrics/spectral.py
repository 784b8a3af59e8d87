"""Distances between magnitude spectrograms: of log-mel spectrograms, of STFTs of three resolutions, log-spectral."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gansemble.audio.features import hann, log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Score
from gansemble_plugins.metrics.inputs import UnscorableFile, scored

#: Of powers, as super-resolution papers and auraloss 0.4 have it.
FLOOR = 1e-8


class MelDistance:
    """The mean absolute difference of two natural-log mel spectrograms [nat], as HiFi-GAN reports its validation error.

    A gain g costs |ln g| in every band above the floor of the logarithm.

    Args:
        audio: the audio specification, supplied by the toolkit.
        full_band: take mel bands up to half the sample rate, as mel-spectrogram losses do, instead of up to
            ``audio.fmax``.

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "Mean difference of the mel spectrograms in natural-log units: 0 for the same, 0.1 is 0.9 dB, 0.7 "
        "about 6 dB. What a vocoder is trained on; it hears neither phases nor most noise."
    )
    by_default = True

    def __init__(self, *, audio: AudioSpec, full_band: bool = True):
        self.spec = audio.full_band() if full_band else audio
        spec = self.spec
        self.definition = (
            f"mean |ln mel - ln mel'| [nat] at {spec.sample_rate} Hz: {spec.mels} {'Slaney' if spec.mel_filters == 'slaney' else 'HTK'} bands "
            f"{spec.fmin:g}-{spec.top:g} Hz of magnitudes, "
            f"n_fft {spec.n_fft}, hop {spec.hop}, Hann {spec.window}, floor {spec.log_floor:g}"
        )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``mel_distance``; NaN with a reason at another sample rate than the audio specification's."""
        return scored(("mel_distance",), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        spec = self.spec
        if sample_rate != spec.sample_rate:
            raise UnscorableFile(f"mel distance is specified at {spec.sample_rate} Hz, got {sample_rate} Hz")
        # Room for one frame, and for reflecting (n_fft - hop) / 2 samples, which centres frames, at either end.
        at_least(max(spec.hop, (spec.n_fft - spec.hop) // 2 + 1), reference)
        mels = log_mel(torch.from_numpy(np.stack([estimate, reference])), spec)  # [2, mels, L]
        return {"mel_distance": float((mels[0] - mels[1]).abs().mean())}


class MultiResolutionStftDistance:
    """Spectral convergence plus log-magnitude distance, each averaged over three STFTs (Yamamoto et al. 2020).

    With the defaults of auraloss 0.4, which BigVGAN reports as M-STFT: the spectral convergence is || |X| - |X'| || /
    || |X| || with Frobenius norms, the log-magnitude distance is the mean of | ln |X| - ln |X'| |, and |X| =
    sqrt(max(re^2 + im^2, 1e-8)); X is the STFT of the reference, X' that of the estimate.

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far the spectra are from each other at three resolutions: 0 for the same. Useful to compare "
        "systems of one rate; no value is good or bad by itself."
    )
    by_default = True
    definition = (
        "spectral convergence + mean |ln magnitude difference|, power floor 1e-8, mean over (n_fft, hop, "
        "Hann window) (1024, 120, 600), (2048, 240, 1200), (512, 50, 240), centred: auraloss 0.4 defaults"
    )
    resolutions = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
    keys = ("multi_resolution_stft", "spectral_convergence", "log_magnitude")

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``multi_resolution_stft``, and its two summands ``spectral_convergence`` and ``log_magnitude``."""
        return scored(self.keys, self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        convergences, logs = [], []
        for n_fft, hop, window in self.resolutions:
            ours, target = (
                power(signal, n_fft, hop, window).clamp_min(FLOOR).sqrt() for signal in (estimate, reference)
            )
            convergences.append(float((target - ours).norm() / target.norm()))
            logs.append(float((target.log() - ours.log()).abs().mean()))
        convergence, log_magnitude = float(np.mean(convergences)), float(np.mean(logs))
        return dict(zip(self.keys, (convergence + log_magnitude, convergence, log_magnitude), strict=True))


class Lsd:
    """Log-spectral distance, as papers on audio super-resolution report it (Lu et al. 2024, AP-BWE).

    It is the mean over frames of sqrt(mean over frequencies of (log10 |X|^2 - log10 |X'|^2)^2), with powers clamped to
    at least 1e-8; X is the STFT of the reference, X' that of the estimate. A gain of 10 costs 2.

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = "How far the log spectra are from each other: 0 for the same. Quiet bins count as much as loud ones."
    by_default = True
    definition = "log-spectral distance of log10 |X|^2 (floor 1e-8), n_fft 2048, hop 512, Hann 2048, centred"

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``lsd``."""
        return scored(("lsd",), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        ours, target = (power(signal, 2048, 512, 2048).clamp_min(FLOOR).log10() for signal in (estimate, reference))
        return {"lsd": float((ours - target).square().mean(dim=0).sqrt().mean())}


def power(signal: np.ndarray, n_fft: int, hop: int, window: int, padding: str = "reflect") -> Tensor:
    """Power spectrogram |X|^2 [n_fft / 2 + 1, L] of L centred, Hann-windowed frames of a signal [T].

    Args:
        signal: float [T].
        n_fft: length of the FFT [samples].
        hop: from frame to frame [samples].
        window: length of the Hann window [samples].
        padding: at both ends, as ``torch.stft`` calls it: ``reflect``, or ``constant`` for zeros.

    Raises:
        UnscorableFile: if the signal is shorter than n_fft / 2 + 1 samples, which reflecting needs.
    """
    at_least(n_fft // 2 + 1, signal)
    audio = torch.from_numpy(signal)
    shape = hann(window, audio.device, audio.dtype)
    spectrum = torch.stft(audio, n_fft, hop, window, shape, pad_mode=padding, return_complex=True)
    return spectrum.real.square() + spectrum.imag.square()


def at_least(samples: int, signal: np.ndarray) -> None:
    """Raises UnscorableFile if a signal has fewer than ``samples`` samples."""
    if signal.size < samples:
        raise UnscorableFile(f"too short: the frames need at least {samples} samples, got {signal.size}")
