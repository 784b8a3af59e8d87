"""Audio as images of two channels: log magnitude, and phase or instantaneous frequency (section 2.2).

Images are [B, 2, L, F], frames before bins. What is encoded has the resolution of the current block; what is decoded
may have any block's resolution, and is brought to the full one by repeating pixels, which is what the published
generator does with its lower blocks' images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Contract
from gansemble_plugins.gansynth import growth
from gansemble_plugins.gansynth import spectrograms as spectra
from gansemble_plugins.gansynth.spectrograms import Framing, framing

#: y = slope x + offset: published for the log mel power of NSynth's acoustic notes, and for all phases.
MEL_SLOPE, MEL_OFFSET = 0.0661371661726, 0.113718730221
PHASE_SLOPE = 0.8
MARGIN = 0.8


class Images:
    """From raw channels to normalised images of the current resolution, and back.

    y = clip(a x + b, -1, 1). a and b of the magnitude are given, or measured so that the training split's smallest and
    largest values become -0.8 and 0.8; phases, within ±1 by definition, have a = 0.8 and b = 0.

    Args:
        framing: of the audio.
        preset: a and b of the magnitude; None until they are measured.
    """

    def __init__(self, framing: Framing, preset: tuple[float, float] | None = None) -> None:
        self.framing = framing
        self.magnitude, self.preset = preset, preset is not None
        self.set_progress(framing.blocks - 1)

    @property
    def fitted(self) -> bool:
        """Whether a and b are known."""
        return self.magnitude is not None

    def scale(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """((a, b) of the magnitude, (a, b) of the phase).

        Raises:
            RuntimeError: before they are known.
        """
        if self.magnitude is None:
            raise RuntimeError("the normaliser has not been measured; fit it to the training split (stage 2) first")
        return self.magnitude, (PHASE_SLOPE, 0.0)

    def measure(self, batches: Iterator[Tensor]) -> None:
        """a = 1.6 / (max - min) and b = -0.8 (max + min) / (max - min) over magnitudes [B, L, F]; a preset stays.

        Raises:
            ValueError: if there are none, or they are all alike.
        """
        if self.preset:
            return
        lowest, highest = float("inf"), float("-inf")
        for batch in batches:
            lowest, highest = min(lowest, float(batch.min())), max(highest, float(batch.max()))
        span = highest - lowest
        if not span > 1e-3:  # silence's floors differ in their last digits
            raise ValueError(f"log magnitudes must differ to be normalised, got {lowest:g} to {highest:g}")
        self.magnitude = 2 * MARGIN / span, MARGIN * (-2 * lowest / span - 1)

    def encode(self, magnitude: Tensor, angle: Tensor) -> Tensor:
        """Two raw channels [B, L, F] -> [B, 2, l, f]; resized and blended first, as published, and normalised then."""
        scale = self.scale()
        raw = growth.shrink(torch.stack([magnitude, angle], 1), self.progress, self.framing.blocks)
        return torch.stack([(raw[:, i] * a + b).clamp(-1, 1) for i, (a, b) in enumerate(scale)], 1)

    def decode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 2, l, f] of any block's resolution -> two raw channels [B, L, F] of the full one.

        Raises:
            ValueError: for another size.
        """
        frames, bins = self.framing.shape
        factor = frames // x.shape[2] if x.dim() == 4 and 0 < x.shape[2] <= frames else 0
        sizes = [2 ** (self.framing.blocks - block) for block in range(1, self.framing.blocks + 1)]
        if factor not in sizes or tuple(x.shape[1:]) != (2, frames // factor, bins // factor):
            raise ValueError(f"an image must be [B, 2, {frames}, {bins}] or that of a block below, got {list(x.shape)}")
        full = growth.upscale(x, factor)
        magnitude, angle = ((full[:, i] - b) / a for i, (a, b) in enumerate(self.scale()))
        return magnitude, angle

    def stft(self, audio: Tensor) -> Tensor:
        """[B, 1, segment] -> complex [B, L, F], in float32 at least.

        Raises:
            ValueError: for another shape.
        """
        if audio.dim() != 3 or tuple(audio.shape[1:]) != (1, self.framing.segment):
            raise ValueError(f"audio must be [B, 1, {self.framing.segment}], got {list(audio.shape)}")
        with torch.autocast(audio.device.type, enabled=False):
            return self.framing.stft(audio[:, 0].to(torch.promote_types(audio.dtype, torch.float32)))

    def istft(self, magnitude: Tensor, angle: Tensor) -> Tensor:
        """Linear magnitudes and phases [B, L, F] [rad] -> [B, 1, segment]."""
        return self.framing.istft(spectra.polar(magnitude, angle))[:, None]

    def set_progress(self, progress: float) -> None:
        """The resolution of what is encoded."""
        self.progress = growth.settle(progress, self.framing.blocks)

    def state_dict(self) -> dict[str, Any]:
        """a and b of the magnitude, once known."""
        return {} if self.magnitude is None else {"magnitude": list(self.magnitude)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What :meth:`state_dict` gave."""
        if "magnitude" in state:
            slope, offset = state["magnitude"]
            self.magnitude = float(slope), float(offset)


def _contract(domain: str, parameters: dict[str, Any]) -> Contract:
    made = framing(*(parameters[name] for name in ("segment", "hires", "n_fft", "hop")))
    return Contract(domain=domain, shape=(2, *made.shape), grows_to=made.blocks - 1, because={"shape": "hires"})


class Phase:
    """Log magnitude ln(|S| + 1e-6) and phase / pi (the paper's "Phase").

    Args:
        hires: fewer frames of more bins ("+H"): 128 x 1024 instead of 256 x 512 for 64,000 samples.
        n_fft: FFT and window length [samples]; null derives it from the segment.
        hop: between frames [samples]; null is a quarter of n_fft.

    Shape: [B, 1, segment] <-> [B, 2, L, F].
    """

    domain = "phase"

    def __init__(self, *, segment: int, hires: bool = True, n_fft: int | None = None, hop: int | None = None) -> None:
        self.images = Images(framing(segment, hires, n_fft, hop))

    @property
    def fitted(self) -> bool:
        """Whether the normaliser has been measured."""
        return self.images.fitted

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the normaliser of the magnitude on the training split."""
        self.images.measure(spectra.log_magnitude(self.images.stft(batch)) for batch in audio)

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

    def state_dict(self) -> dict[str, Any]:
        """The normaliser."""
        return self.images.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The normaliser."""
        self.images.load_state_dict(state)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
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

    def __init__(self, *, segment: int, hires: bool = True, n_fft: int | None = None, hop: int | None = None) -> None:
        self.images = Images(framing(segment, hires, n_fft, hop))

    @property
    def fitted(self) -> bool:
        """Whether the normaliser has been measured."""
        return self.images.fitted

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the normaliser of the magnitude on the training split."""
        self.images.measure(spectra.log_magnitude(self.images.stft(batch)) for batch in audio)

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

    def state_dict(self) -> dict[str, Any]:
        """The normaliser."""
        return self.images.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The normaliser."""
        self.images.load_state_dict(state)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
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
        segment: int,
        hires: bool = True,
        n_fft: int | None = None,
        hop: int | None = None,
        scale: Literal["preset", "measured"] = "preset",
    ) -> None:
        self.sample_rate = audio.sample_rate
        preset = (MEL_SLOPE, MEL_OFFSET) if scale == "preset" else None
        self.images = Images(framing(segment, hires, n_fft, hop), preset)

    @property
    def fitted(self) -> bool:
        """Whether the normaliser is known."""
        return self.images.fitted

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the normaliser of the log mel power on the training split; a preset stays."""
        self.images.measure(self._power(self.images.stft(batch)) for batch in audio)

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

    def state_dict(self) -> dict[str, Any]:
        """The normaliser."""
        return self.images.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The normaliser."""
        self.images.load_state_dict(state)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Images of a segment's own size."""
        return _contract("mel_instantaneous_frequency", parameters)
