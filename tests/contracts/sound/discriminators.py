"""Discriminators that are told something: a mel spectrogram, a feature, a label, or several of them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.audio.spec import AudioSpec
from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput

#: Of two convolutions of 15 samples, each with a stride of 4: 15 + 14 * 4 [samples].
SEES = 71


class OfMel(nn.Module):
    """Scores of a waveform with its mel spectrogram beside it, a value of which is as long as a hop."""

    items_apart = True

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__()
        self.hop = audio.hop
        self.first = nn.Conv1d(1, 4, 15, stride=4, padding=7)
        self.told = nn.Conv1d(audio.mels, 4, 1)
        self.post = nn.Conv1d(4, 1, 15, stride=4, padding=7)

    def beside(self, x: Tensor, condition: Condition) -> Tensor:
        """What is added to the first layer's map [B, 4, T / 4]."""
        told = self.told(condition.signal("mel") / 10)
        if told.shape[-1] * self.hop != x.shape[-1]:
            raise ValueError(f"{told.shape[-1]} frames of {self.hop} samples do not go with {x.shape[-1]} samples")
        return told.repeat_interleave(self.hop // 4, -1)

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        hidden = F.leaky_relu(self.first(x) + self.beside(x, condition), 0.1)
        return DiscriminatorOutput(self.post(hidden).flatten(1), (hidden,))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            gives=frozenset({"features"}),
            needs=frozenset({"mel"}),
            receptive_field=SEES,
            shortest=100,
        )


class OfMelAndLabel(OfMel):
    """The same, with a projection of the class (Miyato and Koyama 2018)."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.classes = nn.Embedding(5, 4)

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        assert condition.label is not None
        hidden = F.leaky_relu(self.first(x) + self.beside(x, condition), 0.1)
        hidden = hidden * (1 + self.classes(condition.label)[:, :, None])
        return DiscriminatorOutput(self.post(hidden).flatten(1), (hidden,))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            gives=frozenset({"features"}),
            needs=frozenset({"mel", "labels"}),
            classes=5,
            receptive_field=SEES,
        )


class OfFeature(OfMel):
    """Told the logarithm of a feature, such as a fundamental frequency [Hz], which is not below zero."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.told = nn.Conv1d(1, 4, 1)

    def beside(self, x: Tensor, condition: Condition) -> Tensor:
        told = self.told(torch.log1p(condition.signal("f0")))
        return told.repeat_interleave(self.hop // 4, -1)[..., : x.shape[-1] // 4]

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(
            domain="waveform",
            shape=(1, None),
            gives=frozenset({"features"}),
            needs=frozenset({"f0"}),
            receptive_field=SEES,
        )


class OfPicturesAndMel(nn.Module):
    """Scores of pictures [B, 1, 32, 32], told the mean of a mel spectrogram."""

    items_apart = True

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__()
        self.conv, self.told = nn.Conv2d(1, 4, 5, 2, 2), nn.Linear(audio.mels, 4)

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        told = self.told(condition.signal("mel").mean(-1) / 10)
        return DiscriminatorOutput((F.leaky_relu(self.conv(x), 0.1) * told[:, :, None, None]).flatten(1))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(domain="picture", shape=(1, 32, 32), needs=frozenset({"mel"}))
