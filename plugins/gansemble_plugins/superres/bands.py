"""Distances of magnitudes within a frequency band, such as the one that a degradation took away."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from gansemble.audio.features import hann, pad_frames
from gansemble.audio.spec import AudioSpec
from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn
from gansemble.numbers import Floor, Hertz, NonNegative, Positive, Several, Window
from gansemble_plugins.superres.spectra import bins, power_spectrum, signals

GENERATOR = frozenset({"generator"})
PAIRS = frozenset({"pairs"})


class BandStft:
    """Spectral convergence plus log-magnitude L1 of the bins of a band, mean over resolutions.

    The loss of Parallel WaveGAN (Yamamoto et al. 2020, eqs. 4 to 7) with |X| = sqrt(|X|^2 + floor), taken per item.
    Spectral convergence divides by the target's norm in the band; that is held at the norm of white noise of RMS
    ``quiet``, so an item that is silent there costs what the generator adds, measured against that level.

    Args:
        resolutions: (n_fft, hop, window) [samples].
        low: the band's lower edge [Hz], as a rule the degradation's cutoff.
        high: its upper edge [Hz]; null is half the sample rate.
        convergence, log_magnitude: weights of the two terms.
        floor: added to the power.
        quiet: RMS of white noise, full scale 1, whose band has the least norm that is divided by.

    Shape: step.real, step.fake [B, C, T] -> a scalar, the mean over B and C.

    Raises:
        ValueError: if a resolution has no bin in the band.
    """

    turns: ClassVar[frozenset[str]] = GENERATOR

    def __init__(
        self,
        *,
        audio: AudioSpec,
        resolutions: Annotated[tuple[tuple[Window, Window, Window], ...], Several] = (
            (512, 128, 512),
            (1024, 256, 1024),
            (2048, 512, 2048),
        ),
        low: Hertz = 0.0,
        high: Hertz | None = None,
        convergence: NonNegative = 1.0,
        log_magnitude: NonNegative = 1.0,
        floor: Floor = 1e-8,
        quiet: Positive = 1e-3,
    ) -> None:
        self.resolutions = resolutions
        self.bands = [bins(n_fft, audio.sample_rate, low, high) for n_fft, _, _ in resolutions]
        self.convergence, self.log_magnitude = convergence, log_magnitude
        self.floor, self.quiet = floor, quiet

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake."""
        real, fake = signals(step)
        with torch.autocast(fake.device.type, enabled=False):
            parts = [
                self._distance(real, fake, *resolution, band)
                for resolution, band in zip(self.resolutions, self.bands, strict=True)
            ]
            return torch.stack(parts).mean()

    def _distance(self, real: Tensor, fake: Tensor, n_fft: int, hop: int, window: int, band: slice) -> Tensor:
        shape = hann(window, fake.device, fake.dtype)
        target, made = (self._magnitude(x, n_fft, hop, shape)[:, band] for x in (real, fake))
        # White noise of RMS q has |X|^2 = q^2 sum(window^2) in the mean, at every bin and frame.
        least = self.quiet * (shape.square().sum() * target[0].numel()).sqrt()
        norm = torch.maximum(torch.linalg.vector_norm(target, dim=(1, 2)), least)
        convergence = (torch.linalg.vector_norm(target - made, dim=(1, 2)) / norm).mean()
        return self.convergence * convergence + self.log_magnitude * (target.log() - made.log()).abs().mean()

    def _magnitude(self, audio: Tensor, n_fft: int, hop: int, window: Tensor) -> Tensor:
        energy = power_spectrum(pad_frames(audio, n_fft, hop), n_fft, hop, "constant", window, center=False)
        return (energy + self.floor).sqrt()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        """Waveform domain; the longest FFT must fit the segment."""
        for name in ("floor", "quiet"):
            if not parameters[name] > 0:
                raise ValueError(f"{name} must be above 0, got {parameters[name]}")
        for n_fft, _, window in parameters["resolutions"]:
            if window > n_fft:
                raise ValueError(f"a window must be at most its n_fft {n_fft}, got {window}")
            bins(n_fft, parameters["audio"].sample_rate, parameters["low"], parameters["high"])
        longest = max(resolution[0] for resolution in parameters["resolutions"])
        return TermContract(domain="waveform", needs=PAIRS, shortest=longest, because={"shortest": "resolutions"})


class LogSpectralDistance:
    """mean over frames of sqrt(mean over frequency of (log10 |X|^2 - log10 |G|^2)^2): the log-spectral distance (LSD)
    of NU-Wave 2, AERO and AP-BWE, or of the bins of a band, their LSD-HF and LSD-LF.

    ``clamp`` is the published metric, log10 max(|X|^2, floor); it has no gradient where the generator is below the
    floor, which is where a filter has left nothing. ``add``, log10(|X|^2 + floor), has one. At silence and between equal
    frames both have a gradient of zero.

    Args:
        n_fft, hop: of centred frames, Hann window, reflected at the ends [samples].
        low: the band's lower edge [Hz].
        high: its upper edge [Hz]; null is half the sample rate.
        floor: of the power, full scale 1.
        floored: how.

    Shape: step.real, step.fake [B, C, T] -> a scalar, the mean over B and C.

    Raises:
        ValueError: if there is no bin in the band.
    """

    turns: ClassVar[frozenset[str]] = GENERATOR

    def __init__(
        self,
        *,
        audio: AudioSpec,
        n_fft: Window = 2048,
        hop: Window = 512,
        low: Hertz = 0.0,
        high: Hertz | None = None,
        floor: Floor = 1e-8,
        floored: Literal["add", "clamp"] = "add",
    ) -> None:
        self.n_fft, self.hop = n_fft, hop
        self.band = bins(n_fft, audio.sample_rate, low, high)
        self.floor, self.floored = floor, floored

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake."""
        real, fake = signals(step)
        with torch.autocast(fake.device.type, enabled=False):
            difference = self._level(real) - self._level(fake)
            # A norm, not a root of a mean: its gradient at zero is zero.
            distance = torch.linalg.vector_norm(difference, dim=1) / difference.shape[1] ** 0.5
            return distance.mean()

    def _level(self, audio: Tensor) -> Tensor:
        energy = power_spectrum(audio, self.n_fft, self.hop, "reflect")[:, self.band]
        return (energy + self.floor if self.floored == "add" else energy.clamp_min(self.floor)).log10()

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        """Waveform domain; reflection needs half a frame."""
        if not parameters["floor"] > 0:
            raise ValueError(f"floor must be above 0, got {parameters['floor']}")
        n_fft = parameters["n_fft"]
        bins(n_fft, parameters["audio"].sample_rate, parameters["low"], parameters["high"])
        return TermContract(domain="waveform", needs=PAIRS, shortest=n_fft // 2 + 1, because={"shortest": "n_fft"})
