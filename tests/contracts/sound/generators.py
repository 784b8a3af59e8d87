"""Generators that read several things at once."""

from typing import Any

import torch
from torch import Tensor, nn

from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition

WIDTH = 8


class PitchAndClass(nn.Module):
    """A hop of samples for each frame of a fundamental frequency and of a class."""

    context_frames = 1

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__()
        self.body, self.classes = nn.Conv1d(1, WIDTH, 3, padding=1), nn.Embedding(6, WIDTH)
        self.head = nn.Conv1d(WIDTH, audio.hop, 1)

    def told(self, condition: Condition) -> Tensor:
        """[B, WIDTH, L]."""
        pitch = condition.signal("f0")
        voiced = pitch > 0
        return self.body(torch.where(voiced, torch.log(torch.where(voiced, pitch, 1.0)), 0.0))

    def forward(self, condition: Condition) -> Tensor:
        assert condition.label is not None
        hidden = torch.tanh(self.told(condition) + self.classes(condition.label)[:, :, None])
        return torch.tanh(self.head(hidden)).transpose(1, 2).flatten(1)[:, None]

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"f0", "label"}), domain="waveform", shape=(1, None), classes=6)


class CodesBesideMel(PitchAndClass):
    """The same of a mel spectrogram and of codes, looked up in a table."""

    def __init__(self, *, audio: AudioSpec) -> None:
        super().__init__(audio=audio)
        self.body = nn.Conv1d(audio.mels, WIDTH, 3, padding=1)
        self.table = nn.Embedding(16, WIDTH)

    def told(self, condition: Condition) -> Tensor:
        codes = condition.signal("codes")[:, 0].long()
        return self.body(condition.signal("mel") / 10) + self.table(codes).transpose(1, 2)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(
            reads=frozenset({"mel", "codes", "label"}),
            codes={"codes": 16},
            domain="waveform",
            shape=(1, None),
            classes=6,
        )


class RestoresByClass(nn.Module):
    """Filters a degraded recording, each class in its own way."""

    context_frames = 8

    def __init__(self) -> None:
        super().__init__()
        self.filter, self.classes = nn.Conv1d(1, WIDTH, 17, padding=8), nn.Embedding(3, WIDTH)

    def forward(self, condition: Condition) -> Tensor:
        assert condition.label is not None
        made = self.filter(condition.signal("degraded")) * (1 + self.classes(condition.label)[:, :, None])
        return torch.tanh(made.mean(1, keepdim=True))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"degraded", "label"}), domain="waveform", shape=(1, None), classes=3)
