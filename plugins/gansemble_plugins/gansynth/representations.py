"""Audio as images of two channels: log magnitude, and phase or instantaneous frequency (section 2.2).

Each says what its raw channels are; the images that they become, their resolution and normaliser are
:class:`gansemble_plugins.gansynth.images.NormalisedImages`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.contract import RepresentationContract
from gansemble.numbers import Samples, Window
from gansemble_plugins.gansynth import spectrograms as spectra
from gansemble_plugins.gansynth.images import NormalisedImages
from gansemble_plugins.gansynth.spectrograms import framing

#: y = slope x + offset: published for the log mel power of NSynth's acoustic notes.
MEL_SLOPE, MEL_OFFSET = 0.0661371661726, 0.113718730221


def _contract(domain: str, parameters: dict[str, Any]) -> RepresentationContract:
    made = framing(*(parameters[name] for name in ("segment", "hires", "n_fft", "hop")))
    return RepresentationContract(
        domain=domain, shape=(2, *made.shape), grows_to=made.blocks - 1, because={"shape": "hires"}
    )


class PhaseSpectrogram:
    """Log magnitude ln(|S| + 1e-6) and phase / pi (the paper's "Phase").

    Args:
        hires: fewer frames of more bins ("+H"): 128 x 1024 instead of 256 x 512 for 64,000 samples.
        n_fft: FFT and window length [samples]; null derives it from the segment.
        hop: between frames [samples]; null is a quarter of n_fft.

    Shape: [B, 1, segment] <-> [B, 2, L, F].
    """

    domain = "phase"

    def __init__(
        self, *, segment: Samples, hires: bool = True, n_fft: Window | None = None, hop: Window | None = None
    ) -> None:
        self.images = NormalisedImages(framing(segment, hires, n_fft, hop))
        # All that a representation keeps is its images' normaliser.
        self.state_dict, self.load_state_dict = self.images.state_dict, self.images.load_state_dict

    @property
    def fitted(self) -> bool:
        """Whether the normaliser has been measured."""
        return self.images.fitted

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the normaliser of the magnitude on the training split."""
        self.images.fit(audio, spectra.log_magnitude)

    def encode(self, audio: Tensor) -> Tensor:
        """At the current resolution."""
        spectrum = self.images.stft(audio)
        return self.images.encode(spectra.log_magnitude(spectrum), spectra.angle(spectrum) / torch.pi)

    def decode(self, x: Tensor) -> Tensor:
        """From any resolution."""
        magnitude, angle = self.images.decode(x)
        return self.images.istft(magnitude.exp(), angle * torch.pi)

    def set_progress(self, progress: float) -> None:
        """The resolution of what is encoded, from 0 to blocks - 1."""
        self.images.set_progress(progress)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> RepresentationContract:
        """Images of a segment's own size."""
        return _contract("phase", parameters)


class InstantaneousFrequency:
    """Log magnitude ln(|S| + 1e-6) and the wrapped phase difference from frame to frame / pi (the paper's "IF").

    Args:
        hires: fewer frames of more bins ("+H"): 128 x 1024 instead of 256 x 512 for 64,000 samples.
        n_fft: FFT and window length [samples]; null derives it from the segment.
        hop: between frames [samples]; null is a quarter of n_fft.

    Shape: [B, 1, segment] <-> [B, 2, L, F].
    """

    domain = "instantaneous_frequency"

    def __init__(
        self, *, segment: Samples, hires: bool = True, n_fft: Window | None = None, hop: Window | None = None
    ) -> None:
        self.images = NormalisedImages(framing(segment, hires, n_fft, hop))
        # All that a representation keeps is its images' normaliser.
        self.state_dict, self.load_state_dict = self.images.state_dict, self.images.load_state_dict

    @property
    def fitted(self) -> bool:
        """Whether the normaliser has been measured."""
        return self.images.fitted

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the normaliser of the magnitude on the training split."""
        self.images.fit(audio, spectra.log_magnitude)

    def encode(self, audio: Tensor) -> Tensor:
        """At the current resolution."""
        spectrum = self.images.stft(audio)
        frequency = spectra.instantaneous_frequency(spectra.angle(spectrum))
        return self.images.encode(spectra.log_magnitude(spectrum), frequency)

    def decode(self, x: Tensor) -> Tensor:
        """From any resolution."""
        magnitude, frequency = self.images.decode(x)
        return self.images.istft(magnitude.exp(), spectra.accumulate(frequency))

    def set_progress(self, progress: float) -> None:
        """The resolution of what is encoded, from 0 to blocks - 1."""
        self.images.set_progress(progress)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> RepresentationContract:
        """Images of a segment's own size."""
        return _contract("instantaneous_frequency", parameters)


class MelInstantaneousFrequency:
    """Log mel power and mel instantaneous frequency, as many bands as bins (the paper's "IF-Mel", its best).

    m = ln(P W + 1e-6) of P = (|S| + 1e-6)^2; phases are mixed by the same W, unwrapped. W is no basis: decoding is not
    exact in samples, while pitches stay.

    Args:
        hires: fewer frames of more bins ("+H"): 128 x 1024 instead of 256 x 512 for 64,000 samples.
        n_fft: FFT and window length [samples]; null derives it from the segment.
        hop: between frames [samples]; null is a quarter of n_fft.
        scale: the normaliser published for NSynth, or one measured on the training split.

    Shape: [B, 1, segment] <-> [B, 2, L, F].
    """

    domain = "mel_instantaneous_frequency"

    def __init__(
        self,
        *,
        audio: AudioSpec,
        segment: Samples,
        hires: bool = True,
        n_fft: Window | None = None,
        hop: Window | None = None,
        scale: Literal["preset", "measured"] = "preset",
    ) -> None:
        self.sample_rate = audio.sample_rate
        preset = (MEL_SLOPE, MEL_OFFSET) if scale == "preset" else None
        self.images = NormalisedImages(framing(segment, hires, n_fft, hop), preset)
        # All that a representation keeps is its images' normaliser.
        self.state_dict, self.load_state_dict = self.images.state_dict, self.images.load_state_dict

    @property
    def fitted(self) -> bool:
        """Whether the normaliser is known."""
        return self.images.fitted

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the normaliser of the log mel power on the training split; a preset stays."""
        self.images.fit(audio, self._power)

    def _power(self, spectrum: Tensor) -> Tensor:
        power = (spectrum.abs() + spectra.FLOOR).square()
        return torch.log(spectra.to_mel(power, self.sample_rate) + spectra.FLOOR)

    def raw(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 1, segment] -> log mel power and mel instantaneous frequency [B, L, F], neither resized nor scaled."""
        spectrum = self.images.stft(audio)
        mixed = spectra.to_mel(spectra.instantaneous_frequency(spectra.angle(spectrum)) * torch.pi, self.sample_rate)
        # Mixing is linear: the difference of mixed phases is the mix of differences, without a long sum's rounding.
        frequency = torch.cat([mixed[:, :1], spectra.wrap(mixed[:, 1:])], 1) / torch.pi
        return self._power(spectrum), frequency

    def encode(self, audio: Tensor) -> Tensor:
        """At the current resolution."""
        return self.images.encode(*self.raw(audio))

    def decode(self, x: Tensor) -> Tensor:
        """From any resolution."""
        log_power, frequency = self.images.decode(x)
        magnitude = (spectra.from_mel(log_power.exp(), self.sample_rate) + spectra.FLOOR).sqrt()
        return self.images.istft(magnitude, spectra.accumulate(spectra.from_mel(frequency, self.sample_rate)))

    def set_progress(self, progress: float) -> None:
        """The resolution of what is encoded, from 0 to blocks - 1."""
        self.images.set_progress(progress)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> RepresentationContract:
        """Images of a segment's own size."""
        return _contract("mel_instantaneous_frequency", parameters)
