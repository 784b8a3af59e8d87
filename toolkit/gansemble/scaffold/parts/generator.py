"""A generator: mel spectrogram to waveform."""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Several, Width

#: A recipe that gives none, or a dilation of 0, is refused by its check.
Dilations = Annotated[tuple[Width, ...], Several]


class AcmeGenerator(nn.Module):
    """Dilated convolutions over mel frames, and then a hop of samples from each frame.

    Args:
        channels: width of the network.
        dilations: of the residual convolutions [frames].

    Shape:
        - condition.signal("mel"): log-mel spectrogram [B, M, L] of B clips, with M mel bands and L frames
        - output: waveform [B, 1, L * hop] within ±1
    """

    def __init__(
        self, *, audio: AudioSpec, channels: Channels = 192, dilations: Dilations = (1, 3, 5, 1, 3, 5)
    ) -> None:
        super().__init__()
        # One-sided receptive field [frames], so that long files can be made in chunks: a kernel of 7 sees 3 frames to
        # each side, and one of 3 as many as its dilation.
        self.context_frames = 3 + sum(dilations)
        self.first = nn.Conv1d(audio.mels, channels, 7, padding=3)
        self.blocks = nn.ModuleList(nn.Conv1d(channels, channels, 3, padding=d, dilation=d) for d in dilations)
        self.last = nn.Conv1d(channels, audio.hop, 1)

    def forward(self, condition: Condition) -> Tensor:
        x = self.first(condition.signal("mel"))
        for block in self.blocks:
            x = x + block(F.leaky_relu(x, 0.1))
        frames = self.last(F.leaky_relu(x, 0.1))  # [B, hop, L]
        return torch.tanh(frames.transpose(1, 2).flatten(1).unsqueeze(1))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a mel spectrogram, makes mono samples, whatever the hop."""
        return GeneratorContract(reads=frozenset({"mel"}), domain="waveform", shape=(1, None))
