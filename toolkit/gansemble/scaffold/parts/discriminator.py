"""A discriminator of waveforms."""

from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput

KERNEL, STRIDE = 15, 4


class AcmeDiscriminator(nn.Module):
    """Strided convolutions over the waveform; each score judges a stretch of samples.

    Args:
        channels: of the strided layers.

    Shape:
        - x: [B, 1, T], B clips of T samples
        - output: DiscriminatorOutput with N scores per clip [B, N], and a feature map [B, C, T'] of each layer
    """

    items_apart = True  # no item's output depends on the batch's others

    def __init__(self, *, channels: tuple[int, ...] = (32, 64, 128, 256)) -> None:
        super().__init__()
        layers = [nn.Conv1d(a, b, KERNEL, STRIDE, KERNEL // 2) for a, b in pairwise((1, *channels))]
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.last = weight_norm(nn.Conv1d(channels[-1], 1, 3, padding=1))

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            features.append(x)
        return DiscriminatorOutput(self.last(x).flatten(1), tuple(features))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Judges mono samples; returns feature maps."""
        # A score sees 3 outputs of the last strided layer; n outputs of a layer see (n - 1) * STRIDE + KERNEL inputs.
        seen = 3
        for _ in parameters["channels"]:
            seen = (seen - 1) * STRIDE + KERNEL
        return DiscriminatorContract(
            domain="waveform", shape=(1, None), gives=frozenset({"features"}), receptive_field=seen
        )
