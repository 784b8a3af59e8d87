"""Learning from a trained generator instead of, or beside, the recordings."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn


class Distillation:
    """mean |f(T) - f(G)| between the fake G and what the recipe's teacher T makes of the same condition.

    Args:
        of: what is compared: samples, or log-mel spectrograms, which leave the phase open.
        full_band: of log-mels, bands up to half the sample rate, though the generator reads up to fmax.
    """

    turns: ClassVar[frozenset[str]] = frozenset({"generator"})

    def __init__(self, *, audio: AudioSpec, of: Literal["waveform", "mel"] = "mel", full_band: bool = True) -> None:
        self.of, self.spec = of, audio.full_band() if full_band else audio

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.fake and step.teacher() [B, C, T].

        Raises:
            ValueError: if the recipe has no teacher.
        """
        if step.teacher is None:
            raise ValueError("distillation needs the recipe's teacher, got none")
        with torch.no_grad():
            target = self._heard(step.teacher())
        return (self._heard(step.fake) - target).abs().mean()

    def _heard(self, audio: Tensor) -> Tensor:
        audio = audio.float()
        return audio if self.of == "waveform" else log_mel(audio.reshape(-1, audio.shape[-1]), self.spec)

    @staticmethod
    def contract(parameters: dict[str, object]) -> TermContract:
        """Waveform domain; the recipe's teacher."""
        return TermContract(domain="waveform", needs=frozenset({"teacher"}))
