"""Losses between real and fake audio, all in float32 whatever the networks' precision."""

from typing import Annotated, ClassVar

import torch
from torch import Tensor

from gansemble.audio.features import hann, log_mel, magnitude, pad_frames
from gansemble.audio.spec import AudioSpec
from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn, zero
from gansemble.numbers import Channels, Floor, NonNegative, Several, Window

GENERATOR = frozenset({"generator"})
#: These compare each fake with its own real item.
PAIRS = frozenset({"pairs"})


def _same_length(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    if real.shape != fake.shape:
        raise ValueError(f"fake must have the real audio's shape {tuple(real.shape)}, got {tuple(fake.shape)}")
    return real.detach().float(), fake.float()


def _mono(audio: Tensor) -> Tensor:
    """[B, C, T] -> [B * C, T]."""
    return audio.reshape(-1, audio.shape[-1])


class MelL1:
    """mean |log-mel(x) - log-mel(G)| (HiFi-GAN, eq. 3, without its weight of 45) of clean signals.

    Args:
        full_band: bands up to half the sample rate, as the published code does, though the generator reads up to fmax.
    """

    turns: ClassVar[frozenset[str]] = GENERATOR

    def __init__(self, *, audio: AudioSpec, full_band: bool = True) -> None:
        self.spec = audio.full_band() if full_band else audio

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake [B, 1, T]."""
        real, fake = _same_length(step.real, step.fake)
        with torch.no_grad():
            target = log_mel(_mono(real), self.spec)
        return (log_mel(_mono(fake), self.spec) - target).abs().mean()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Waveform domain; each fake against its own real item."""
        return TermContract(domain="waveform", needs=PAIRS)


class MultiScaleMel:
    """L1 of log-mel spectrograms at several window lengths (Kumar et al. 2023, DAC), summed.

    Args:
        windows: window lengths [samples]; the hop is a quarter.
        mels: bands at each window.
        log_floor: clamp before log10.
    """

    turns: ClassVar[frozenset[str]] = GENERATOR

    def __init__(
        self,
        *,
        audio: AudioSpec,
        windows: Annotated[tuple[Window, ...], Several] = (32, 64, 128, 256, 512, 1024, 2048),
        mels: Annotated[tuple[Channels, ...], Several] = (5, 10, 20, 40, 80, 160, 320),
        log_floor: Floor = 1e-5,
    ) -> None:
        if len(windows) != len(mels):
            raise ValueError(f"windows and mels must be of one length, got {len(windows)} and {len(mels)}")
        self.specs = [
            AudioSpec(audio.sample_rate, window, window // 4, window, bands, 0.0, None, log_floor)
            for window, bands in zip(windows, mels, strict=True)
        ]

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake [B, C, T]."""
        real, fake = _same_length(step.real, step.fake)
        total = zero(fake)
        for spec in self.specs:
            with torch.no_grad():
                target = log_mel(_mono(real), spec)
            total = total + (log_mel(_mono(fake), spec) - target).abs().mean() / 2.302585092994046  # log10
        return total

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Waveform domain; the longest window must fit the segment."""
        return TermContract(
            domain="waveform",
            needs=PAIRS,
            shortest=max(parameters["windows"]),  # type: ignore[call-overload]
            because={"shortest": "windows"},
        )


class MultiResolutionStftLoss:
    """Spectral convergence plus log-magnitude L1, mean over resolutions (Yamamoto et al. 2020, eqs. 4 to 7).

    Spectral convergence is taken per item, so that the loss does not depend on which clips share a batch.

    Args:
        resolutions: (n_fft, hop, window) [samples].
        convergence, log_magnitude: weights of the two terms.
        floor: added to the power.
    """

    turns: ClassVar[frozenset[str]] = GENERATOR

    def __init__(
        self,
        *,
        resolutions: Annotated[tuple[tuple[Window, Window, Window], ...], Several] = (
            (1024, 120, 600),
            (2048, 240, 1200),
            (512, 50, 240),
        ),
        convergence: NonNegative = 1.0,
        log_magnitude: NonNegative = 1.0,
        floor: Floor = 1e-7,
    ) -> None:
        self.resolutions = resolutions
        self.convergence = convergence
        self.log_magnitude = log_magnitude
        self.floor = floor

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake [B, C, T]."""
        real, fake = _same_length(step.real, step.fake)
        total = zero(fake)
        with torch.autocast(fake.device.type, enabled=False):
            for resolution in self.resolutions:
                target, made = self._magnitude(real, *resolution), self._magnitude(fake, *resolution)
                distance = torch.linalg.vector_norm(target - made, dim=(1, 2))
                convergence = distance / torch.linalg.vector_norm(target, dim=(1, 2))
                total = total + self.convergence * convergence.mean()
                total = total + self.log_magnitude * (target.log() - made.log()).abs().mean()
        return total / len(self.resolutions)

    def _magnitude(self, audio: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
        shape = hann(window, audio.device, audio.dtype)
        padded = pad_frames(_mono(audio), n_fft, hop)
        spectrum = torch.stft(padded, n_fft, hop, window, shape, center=False, return_complex=True)
        return magnitude(spectrum, self.floor)

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Waveform domain; the longest FFT must fit the segment."""
        longest = max(resolution[0] for resolution in parameters["resolutions"])  # type: ignore[attr-defined]
        return TermContract(domain="waveform", needs=PAIRS, shortest=longest, because={"shortest": "resolutions"})


class FeatureMatching:
    """sum over discriminators and maps of mean |F(x) - F(G)| (Kumar et al. 2019; HiFi-GAN, eq. 4, without its weight
    of 2), each discriminator's share times its weight. Judges what the discriminators saw, noise included.

    Args:
        logits: match the score map too, where a discriminator lists it among its features, as HiFi-GAN does.
    """

    turns: ClassVar[frozenset[str]] = GENERATOR
    needs_real_output = True

    def __init__(self, *, logits: bool = True) -> None:
        self.logits = logits

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads the outputs' features.

        Raises:
            ValueError: if no discriminator returned any.
        """
        total, maps = zero(step.fake), 0
        for name, real, fake in step.pairs():
            pairs = list(zip(real.features, fake.features, strict=True))
            for target, made in pairs if self.logits else pairs[:-1]:
                total = total + step.weights[name] * (target.detach().float() - made.float()).abs().mean()
                maps += 1
        if not maps:
            raise ValueError("feature_matching needs a discriminator that returns features, got none")
        return total

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Needs feature maps."""
        return TermContract(needs=frozenset({"features", "outputs", "pairs"}))


class WaveformL1:
    """mean |x - G| of samples."""

    turns: ClassVar[frozenset[str]] = GENERATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake."""
        real, fake = _same_length(step.real, step.fake)
        return (real - fake).abs().mean()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Each fake against its own real item, in any domain."""
        return TermContract(needs=PAIRS)


class WaveformL2:
    """mean (x - G)^2 of samples."""

    turns: ClassVar[frozenset[str]] = GENERATOR

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake."""
        real, fake = _same_length(step.real, step.fake)
        return (real - fake).square().mean()

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Each fake against its own real item, in any domain."""
        return TermContract(needs=PAIRS)
