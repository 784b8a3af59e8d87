"""Griffin-Lim from a mel spectrogram: what a vocoder is held against, with nothing learnt."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gansemble.audio.features import istft, log_amplitude_of_mel
from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import CountOrZero
from gansemble_plugins.vocos.phases import agreeing_phases, centre_turn


class GriffinLim(nn.Module):
    """The magnitudes that a mel spectrogram implies, by the pseudo-inverse of its filterbank, with phases by the fast
    Griffin-Lim algorithm (Perraudin, Balazs and Sondergaard 2013). It draws nothing: phases begin with a pulse in the middle
    of each frame.

    Args:
        rounds: of the algorithm.

    Shape: signal "mel" [B, mels, L] -> [B, 1, L * hop].
    """

    learns = False

    def __init__(self, *, audio: AudioSpec, rounds: CountOrZero = 32) -> None:
        super().__init__()
        self.audio, self.rounds = audio, rounds

    def forward(self, condition: Condition) -> Tensor:
        magnitudes = log_amplitude_of_mel(condition.signal("mel"), self.audio).exp()
        phases = centre_turn(self.audio.n_fft, magnitudes.device).to(magnitudes).expand_as(magnitudes)
        phases = agreeing_phases(magnitudes, phases, self.audio, self.rounds)
        spectrum = torch.polar(magnitudes, phases.contiguous())
        return istft(spectrum, self.audio.n_fft, self.audio.hop, self.audio.window).unsqueeze(1)

    @property
    def context_frames(self) -> int:
        """One-sided reach [frames]: each round, and the inverse transform, reach as far as frames overlap."""
        return (1 + self.rounds) * -(-self.audio.n_fft // self.audio.hop)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a mel spectrogram; makes a hop of samples of each frame."""
        return GeneratorContract(reads=frozenset({"mel"}), domain="waveform", shape=(1, None))
