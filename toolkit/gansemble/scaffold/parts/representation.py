"""A representation: the domain that generators make and discriminators judge."""

import math

import torch
from torch import Tensor

from gansemble.contract import RepresentationContract


class AcmeRepresentation:
    """Samples companded by the mu-law (ITU-T G.711, without its quantisation): quiet passages get more of the range.

    Args:
        mu: strength of the companding.

    Shape:
        - audio: [B, C, T] within ±1; B clips, C channels, T samples
        - x: [B, C, T] within ±1
    """

    domain = "acme"

    def __init__(self, *, mu: float = 255.0) -> None:
        self.mu = mu

    def encode(self, audio: Tensor) -> Tensor:
        """Compands audio: sign(x) ln(1 + mu |x|) / ln(1 + mu)."""
        return torch.sign(audio) * torch.log1p(self.mu * audio.abs()) / math.log1p(self.mu)

    def decode(self, x: Tensor) -> Tensor:
        """Expands again, the inverse of ``encode``: sign(x) ((1 + mu)^|x| - 1) / mu."""
        return torch.sign(x) * torch.expm1(x.abs() * math.log1p(self.mu)) / self.mu

    @staticmethod
    def contract(parameters: dict[str, object]) -> RepresentationContract:
        """Mono, with as many numbers as there are samples."""
        return RepresentationContract(domain="acme", shape=(1, None))
