"""Features with one mistake each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.audio.spec import AudioSpec
from gansemble.contract import FeatureContract, TermContract


class Sound:
    """The mean magnitude of each frame."""

    def __init__(self, *, audio: AudioSpec) -> None:
        self.hop = audio.hop

    def frames(self, audio: Tensor) -> Tensor:
        return audio[:, 0].unfold(-1, self.hop, self.hop)

    def __call__(self, audio: Tensor) -> Tensor:
        return self.frames(audio).abs().mean(-1)[:, None]

    @staticmethod
    def contract(parameters: dict[str, object]) -> FeatureContract:
        return FeatureContract(channels=1)


class OneFrameMore(Sound):
    """Centres its frames, which makes one more."""

    def __call__(self, audio: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(audio, (self.hop // 2, self.hop - self.hop // 2))
        return super().__call__(padded)


class NoChannels(Sound):
    """Forgets the axis of channels."""

    def __call__(self, audio: Tensor) -> Tensor:
        return super().__call__(audio)[:, 0]


class SaysTwo(Sound):
    """Says that it has two channels."""

    @staticmethod
    def contract(parameters: dict[str, object]) -> FeatureContract:
        return FeatureContract(channels=2)


class SaysNothing(Sound):
    """Does not say how many channels it has."""

    @staticmethod
    def contract(parameters: dict[str, object]) -> FeatureContract:
        return FeatureContract()


class TermsContract(Sound):
    """Has the contract of a loss."""

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:  # type: ignore[override]
        return TermContract(domain="waveform")


class InDouble(Sound):
    """Computes in double precision, and stays there."""

    def __call__(self, audio: Tensor) -> Tensor:
        return super().__call__(audio.double())


class LogOfSilence(Sound):
    """Takes the logarithm of what may be zero."""

    def __call__(self, audio: Tensor) -> Tensor:
        return super().__call__(audio).log()


class RelativeToTheBatch(Sound):
    """Divides by the batch's loudest frame."""

    def __call__(self, audio: Tensor) -> Tensor:
        made = super().__call__(audio)
        return made / made.max().clamp_min(1e-6)


class Dithers(Sound):
    """Adds a little noise, against ties."""

    def __call__(self, audio: Tensor) -> Tensor:
        return super().__call__(audio + 0.01 * torch.randn_like(audio))


class DrawsAndThrowsAway(Sound):
    """Draws noise that it does not use."""

    def __call__(self, audio: Tensor) -> Tensor:
        torch.randn(1)
        return super().__call__(audio)


class Centres(Sound):
    """Takes the mean off in place."""

    def __call__(self, audio: Tensor) -> Tensor:
        audio -= audio.mean(-1, keepdim=True)
        return super().__call__(audio)


class Constant(Sound):
    """The same for every sound."""

    def __call__(self, audio: Tensor) -> Tensor:
        return torch.zeros_like(super().__call__(audio))


class OtherHop(Sound):
    """Has frames of half a hop, and stretches what there is of them to the number that is wanted."""

    def __call__(self, audio: Tensor) -> Tensor:
        half = audio[:, 0].unfold(-1, self.hop // 2, self.hop // 2).abs().mean(-1)
        return half[:, None, : audio.shape[-1] // self.hop].contiguous()


class WeightsOnCpu(Sound):
    """Makes its window on the CPU."""

    def __call__(self, audio: Tensor) -> Tensor:
        return (self.frames(audio).abs() * torch.hann_window(self.hop)).mean(-1)[:, None]


class Learns(nn.Module):
    """A network, whose weights nobody would teach."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, audio.hop, audio.hop)

    def forward(self, audio: Tensor) -> Tensor:
        return self.conv(audio)

    @staticmethod
    def contract(parameters: dict[str, object]) -> FeatureContract:
        return FeatureContract(channels=1)
