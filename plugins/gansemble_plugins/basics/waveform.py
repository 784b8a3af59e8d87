"""The representation of audio as its samples."""

from torch import Tensor

from gansemble.interfaces import Contract


class Waveform:
    """encode and decode are the identity on [B, C, T]."""

    domain = "waveform"

    def encode(self, audio: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return audio

    def decode(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return x

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract:
        """Waveform domain."""
        return Contract(domain="waveform")
