"""A generator: mel spectrogram to waveform."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition


class AcmeGenerator(nn.Module):
    """Dilated convolutions over mel frames, then a hop of samples from each frame.

    Args:
        channels: width.
        dilations: of the residual convolutions [frames].

    Shape: condition.signal [B, mels, L] -> [B, 1, L * hop] within ±1.
    """

    def __init__(
        self, *, audio: AudioSpec, channels: int = 192, dilations: tuple[int, ...] = (1, 3, 5, 1, 3, 5)
    ) -> None:
        super().__init__()
        self.context_frames = 3 + sum(dilations)  # one-sided receptive field: long files are made in chunks
        self.first = nn.Conv1d(audio.mels, channels, 7, padding=3)
        self.blocks = nn.ModuleList(nn.Conv1d(channels, channels, 3, padding=d, dilation=d) for d in dilations)
        self.last = nn.Conv1d(channels, audio.hop, 1)

    def forward(self, condition: Condition) -> Tensor:
        if condition.signal is None:
            raise ValueError("acme reads condition.signal, a log-mel spectrogram [B, mels, L], got None")
        x = self.first(condition.signal)
        for block in self.blocks:
            x = x + block(F.leaky_relu(x, 0.1))
        frames = self.last(F.leaky_relu(x, 0.1))  # [B, hop, L]
        return torch.tanh(frames.transpose(1, 2).flatten(1).unsqueeze(1))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a mel spectrogram, makes mono samples, whatever the hop."""
        return GeneratorContract(reads=frozenset({"mel"}), domain="waveform", shape=(1, None))
