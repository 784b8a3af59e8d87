"""A feature: a conditioning signal that is computed of the clean audio, frame by frame."""

import torch
from torch import Tensor

from gansemble.audio.spec import AudioSpec
from gansemble.contract import FeatureContract


class AcmeFeature:
    """The level of each frame [dB], not below -100.

    Args:
        audio: the recipe's audio section; a frame is ``audio.hop`` samples.

    Shape:
        - input: audio [B, 1, T] of B clips
        - output: [B, 1, L], L = T / hop frames
    """

    def __init__(self, *, audio: AudioSpec) -> None:
        self.hop = audio.hop

    def __call__(self, audio: Tensor) -> Tensor:
        frames = audio[:, 0].unfold(-1, self.hop, self.hop)  # [B, L, hop]
        power = frames.float().square().mean(-1)
        return 10 * torch.log10(power.clamp_min(1e-10))[:, None]

    @staticmethod
    def contract(parameters: dict[str, object]) -> FeatureContract:
        """Gives one number a frame."""
        return FeatureContract(channels=1)
